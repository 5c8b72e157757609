import { once } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import {
  CIRCUIT_UNREAD,
  CIRCUIT_WINDOW,
  MAX_CELL_BYTES,
  QUIET_GRANT,
  STREAM_WINDOW_INITIAL,
} from '../../../core/limits.ts';
import { CELL_HEADER_BYTES, CellType, SMALL_CELL, cellType, encodeConnected } from '../../../node/circuit/cell.ts';
import type { CircuitStream } from '../../../node/circuit/index.ts';
import { Mux } from '../../../node/circuit/mux.ts';
import { overdrawn } from '../../../node/circuit/credit.ts';
import { MuxPair, cellOf } from './mux-pair.ts';
import { PRICE, readAll } from './net.ts';

const NOTHING = Buffer.alloc(0);

describe('mux', () => {
  it('delivers what was written, whatever the sizes and however it is read (fast-check)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 12 }), { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(fc.boolean()),
        async (streams, pauses) => {
          const pair = new MuxPair((stream) => stream.pipe(stream));
          const results = await Promise.all(
            streams.map(async (writes, index) => {
              const stream = await pair.opener.open('echo', NOTHING);
              const sent = writes.map((length) => Buffer.alloc(length, index + 1));
              for (const piece of sent) stream.write(piece);
              stream.end();
              const got: Buffer[] = [];
              stream.on('data', (chunk: Buffer) => {
                got.push(chunk);
                if (pauses.next().value !== true) return;
                stream.pause();
                setImmediate(() => stream.resume());
              });
              await once(stream, 'end');
              return Buffer.concat(got).equals(Buffer.concat(sent));
            }),
          );
          expect(pair.faults).toEqual([]);
          expect(results.every(Boolean)).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('coalesces small writes of one tick into large cells', async () => {
    const pair = new MuxPair((stream) => stream.resume());
    const stream = await pair.opener.open('sink', NOTHING);
    const before = pair.carried.toServer;
    for (let index = 0; index < 3000; index += 1) stream.write(Buffer.alloc(10));
    stream.end();
    await once(stream, 'finish');
    expect(pair.carried.toServer - before).toBeLessThan(40 * 1024);
  });

  it('half-closes each direction on its own', async () => {
    let serverSide: CircuitStream | undefined;
    const pair = new MuxPair((stream) => {
      serverSide = stream;
    });
    const stream = await pair.opener.open('x', NOTHING);
    stream.end('question');
    if (serverSide === undefined) throw new Error('not served');
    expect((await readAll(serverSide)).toString()).toBe('question');
    serverSide.end('answer');
    expect((await readAll(stream)).toString()).toBe('answer');
    expect(stream.destroyed && serverSide.destroyed).toBe(true);
    expect([pair.opener.openStreams, pair.server.openStreams]).toEqual([0, 0]);
  });

  it('resets the other end with STREAM_RESET', async () => {
    let serverSide: CircuitStream | undefined;
    const pair = new MuxPair((stream) => {
      serverSide = stream;
    });
    const stream = await pair.opener.open('x', NOTHING);
    if (serverSide === undefined) throw new Error('not served');
    const failed = once(serverSide, 'error');
    stream.destroy();
    expect((await failed)[0]).toMatchObject({ code: 'STREAM_RESET' });
    expect([pair.opener.openStreams, pair.server.openStreams]).toEqual([0, 0]);
  });

  it('stops a sender at the window of a stream that nobody reads, and not its neighbours', async () => {
    const pair = new MuxPair((stream, service) => {
      if (service === 'echo') stream.pipe(stream);
    });
    const stuck = await pair.opener.open('unread', NOTHING);
    stuck.write(Buffer.alloc(8 * 1024 * 1024));
    const lively = await pair.opener.open('echo', NOTHING);
    lively.end(Buffer.alloc(6 * 1024 * 1024, 1));
    expect((await readAll(lively)).length).toBe(6 * 1024 * 1024);
    expect(stuck.writableLength).toBeGreaterThan(0);
    expect(pair.carried.toServer).toBeLessThan(6 * 1024 * 1024 * 1.1 + 2 * STREAM_WINDOW_INITIAL);
    stuck.destroy();
  });

  it('holds at most CIRCUIT_UNREAD + CIRCUIT_WINDOW for all unread streams together', async () => {
    const pair = new MuxPair(() => {});
    const streams = await Promise.all(Array.from({ length: 100 }, () => pair.opener.open('unread', NOTHING)));
    const before = pair.carried.toServer;
    for (const stream of streams) stream.write(Buffer.alloc(STREAM_WINDOW_INITIAL));
    for (let carried = -1; carried < pair.carried.toServer - 2 * SMALL_CELL;) {
      carried = pair.carried.toServer;
      await pair.opener.ping();
    }
    expect(pair.carried.toServer - before).toBeGreaterThan(CIRCUIT_WINDOW);
    // Node's own buffer in each stream counts as read.
    expect(pair.carried.toServer - before).toBeLessThanOrEqual(CIRCUIT_UNREAD + CIRCUIT_WINDOW + 100 * 80 * 1024);
  });

  it('grows the window of a fast reader', async () => {
    const pair = new MuxPair((stream) => {
      stream.end(Buffer.alloc(48 * 1024 * 1024));
      stream.resume();
    });
    const stream = await pair.opener.open('source', NOTHING);
    stream.end();
    await readAll(stream);
    expect(stream.window).toBeGreaterThan(STREAM_WINDOW_INITIAL);
  });

  it('ends the circuit of a sender that ignores a stream window', async () => {
    const pair = new MuxPair(() => {});
    const stream = await pair.opener.open('unread', NOTHING);
    stream.sendCredit = Infinity;
    stream.write(Buffer.alloc(1024 * 1024));
    expect(await pair.faulted).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it('ends the circuit of a sender that sends data after the end', async () => {
    const pair = new MuxPair(() => {});
    const stream = await pair.opener.open('unread', NOTHING);
    stream.end();
    await pair.opener.ping();
    expect(() => pair.server.receive(cellOf(CellType.DATA, stream.id, Buffer.of(1)), SMALL_CELL)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  });

  it('ends the circuit of a sender whose data uses no credit', async () => {
    const pair = new MuxPair(() => {});
    const [open, ended] = await Promise.all(['a', 'b'].map((service) => pair.opener.open(service, NOTHING)));
    ended?.destroy();
    await pair.opener.ping();
    for (const stream of [open, ended]) {
      expect(() => pair.server.receive(cellOf(CellType.DATA, stream?.id ?? 0, NOTHING), SMALL_CELL)).toThrow(
        expect.objectContaining({ message: expect.stringContaining('without any') }),
      );
    }
  });

  it.each([
    ['a stream that was never opened', cellOf(CellType.DATA, 9, Buffer.of(1))],
    ['stream 0', cellOf(CellType.DATA, 0, Buffer.of(1))],
    ['a pong to no ping', cellOf(CellType.PONG, 0, Buffer.alloc(4))],
    ['credit of no stream', cellOf(CellType.WINDOW, 0, Buffer.of(1, 0, 0, 0))],
  ])('refuses %s', (_what, cell) => {
    const pair = new MuxPair(() => {});
    expect(() => pair.server.receive(cell, cell.length)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
  });

  it('ignores what was on its way when a stream ended', async () => {
    const pair = new MuxPair((stream) => {
      stream.end(Buffer.alloc(200_000));
    });
    pair.held = true;
    const opening = pair.opener.open('source', NOTHING);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    pair.release();
    const stream = await opening;
    stream.destroy();
    expect(await pair.opener.ping()).toBeGreaterThanOrEqual(0);
    expect(pair.faults).toEqual([]);
  });

  it('uses smaller cells when a small grant follows large ones and no more comes', async () => {
    let onWake = (): void => {};
    const owner = { fail() {}, attribute() {}, control() {}, granted: () => 0, grant() {}, serve: () => undefined };
    const mux = new Mux('initiator', { ...owner, wake: () => onWake() }, PRICE);
    const opening = mux.open('sink', NOTHING);
    const cell = Buffer.alloc(MAX_CELL_BYTES);
    while (mux.pull(cell, CIRCUIT_WINDOW) > 0);
    mux.receive(cellOf(CellType.CONNECTED, 1, encodeConnected(false)), SMALL_CELL);
    const stream = await opening;
    stream.write(Buffer.alloc(STREAM_WINDOW_INITIAL));
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(mux.pull(cell, CIRCUIT_WINDOW)).toBe(MAX_CELL_BYTES);
    // Nearly used: another one is on its way.
    expect(mux.pull(cell, QUIET_GRANT)).toBe(0);
    const woken = new Promise<void>((resolve) => {
      onWake = resolve;
    });
    // That is all that came.
    expect(mux.pull(cell, 2 * QUIET_GRANT)).toBe(0);
    await woken;
    expect(mux.pull(cell, 2 * QUIET_GRANT)).toBeGreaterThanOrEqual(SMALL_CELL);
    mux.close(overdrawn('left'));
  });

  it('lets the other end go on once it was told of the end of what it had sent for nobody', async () => {
    let granted = 0;
    const mux = new Mux(
      'initiator',
      {
        wake() {},
        fail() {},
        attribute() {},
        control() {},
        granted: () => granted,
        grant: (bytes) => void (granted += bytes),
        serve: () => undefined,
      },
      PRICE,
    );
    const opening = mux.open('source', NOTHING);
    const cell = Buffer.alloc(MAX_CELL_BYTES);
    while (mux.pull(cell, CIRCUIT_WINDOW) > 0);
    mux.receive(cellOf(CellType.CONNECTED, 1, encodeConnected(false)), SMALL_CELL);
    (await opening).destroy();
    // It has not heard of that, and uses up the window of the stream.
    const bytes = MAX_CELL_BYTES - CELL_HEADER_BYTES;
    for (let sent = 0; sent + bytes <= STREAM_WINDOW_INITIAL; sent += bytes) {
      granted -= MAX_CELL_BYTES;
      mux.receive(cellOf(CellType.DATA, 1, Buffer.alloc(bytes)), MAX_CELL_BYTES);
    }
    const before = granted;
    while (cellType(cell) !== CellType.END) expect(mux.pull(cell, CIRCUIT_WINDOW)).toBeGreaterThan(0);
    // Nothing else comes that could make us grant.
    expect(granted - before).toBeGreaterThan(STREAM_WINDOW_INITIAL / 2);
    mux.close(overdrawn('left'));
  });

  it('answers any cell with a RelaymintError at worst (fuzz)', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 6, maxLength: 300 }), { maxLength: 20 }), (cells) => {
        const pair = new MuxPair(() => {});
        for (const raw of cells) {
          const cell = Buffer.alloc(1024);
          cell.set(raw);
          cell[0] = (raw[0] ?? 0) % 14;
          cell[1] = 0;
          cell[3] = 0;
          cell[5] = 0;
          expect([pair.server, pair.opener].map((mux) => survives(mux, cell))).toEqual([true, true]);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function survives(mux: Mux, cell: Buffer): boolean {
  try {
    mux.receive(cell, cell.length);
    return true;
  } catch (error) {
    return isRelaymintError(error, 'PROTOCOL_VIOLATION', 'INVALID_ENCODING');
  }
}

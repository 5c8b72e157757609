/** An end that is paid for what it sends, and sends cells that are of no use: how much it can have paid for. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  CIRCUIT_WINDOW,
  CONTROL_ALLOWANCE,
  CONTROL_ALLOWANCE_MILLIS,
  GRANT_RESERVE,
  LEAST_WINDOW_CREDIT,
  MAX_CELL_BYTES,
  STREAM_GRANT,
  STREAM_WINDOW_INITIAL,
} from '../../../core/limits.ts';
import { ControlAllowance } from '../../../node/circuit/control-allowance.ts';
import { CellType, SMALL_CELL } from '../../../node/circuit/cell.ts';
import { Intake } from '../../../node/circuit/credit.ts';
import type { CircuitStream } from '../../../node/circuit/index.ts';
import type { Mux } from '../../../node/circuit/mux.ts';
import { MuxPair, cellOf } from './mux-pair.ts';

const NOTHING = Buffer.alloc(0);
const violation: unknown = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' });

afterEach(() => vi.useRealTimers());

function u32(value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(value, 0);
  return data;
}

/** Gives it so many copies of a cell. @returns how many it took before it ended the circuit. */
function flood(mux: Mux, cell: Buffer, most: number): number {
  for (let taken = 0; taken < most; taken += 1) {
    try {
      mux.receive(Buffer.from(cell), cell.length);
    } catch {
      return taken;
    }
  }
  return most;
}

describe('data in cells that are nearly empty', () => {
  it('gain one window of cells where nobody reads, then the circuit ends', async () => {
    const pair = new MuxPair(() => {});
    const stream = await pair.opener.open('x', NOTHING);
    const cell = cellOf(CellType.DATA, stream.id, Buffer.of(1));
    expect(flood(pair.opener, cell, 10_000)).toBe(STREAM_WINDOW_INITIAL / SMALL_CELL);
  });

  it('gain no more on a stream that ended here', async () => {
    const pair = new MuxPair(() => {});
    const stream = await pair.opener.open('x', NOTHING);
    stream.destroy();
    const cell = cellOf(CellType.DATA, stream.id, Buffer.of(1));
    expect(flood(pair.opener, cell, 10_000)).toBeLessThanOrEqual(STREAM_WINDOW_INITIAL / SMALL_CELL);
  });

  it('are kept in few pieces for a reader that has paused', async () => {
    const pair = new MuxPair(() => {});
    const stream = await pair.opener.open('x', NOTHING);
    stream.read(0);
    const cell = cellOf(CellType.DATA, stream.id, Buffer.of(1));
    flood(pair.opener, cell, STREAM_WINDOW_INITIAL / SMALL_CELL);
    expect(stream.readableLength).toBe(1);
    expect((stream.read() as Buffer).length).toBe(STREAM_WINDOW_INITIAL / SMALL_CELL);
  });
});

describe('control cells that nothing asked for', () => {
  it.each([
    ['PING', CellType.PING, 0, u32(1)],
    ['WINDOW of a stream that ended', CellType.WINDOW, 1, u32(STREAM_WINDOW_INITIAL)],
    ['END of a stream that ended', CellType.END, 1, Buffer.of(0)],
    ['CONNECTED of a stream that ended', CellType.CONNECTED, 1, Buffer.of(0)],
    ['DATAGRAM_WINDOW of a stream that ended', CellType.DATAGRAM_WINDOW, 1, u32(STREAM_WINDOW_INITIAL)],
  ])('are paid for a few times, then the circuit ends: %s', async (_what, type, id, data) => {
    const pair = new MuxPair(() => {});
    (await pair.opener.open('x', NOTHING)).destroy();
    await pair.opener.ping();
    expect(flood(pair.opener, cellOf(type, id, data), 10_000)).toBeLessThanOrEqual(CONTROL_ALLOWANCE);
  });

  it.each([CellType.PING, CellType.WINDOW, CellType.END, CellType.BEGIN, CellType.CONNECTED])(
    'end the circuit where they are padded: type %i',
    async (type) => {
      const pair = new MuxPair(() => {});
      const stream = await pair.opener.open('x', NOTHING);
      const cell = Buffer.alloc(MAX_CELL_BYTES);
      cellOf(type, type === CellType.PING ? 0 : stream.id, u32(STREAM_WINDOW_INITIAL)).copy(cell);
      expect(() => pair.opener.receive(cell, cell.length)).toThrow(
        expect.objectContaining({ message: expect.stringContaining('padded') as string }),
      );
    },
  );

  it('are paid for a few times however much was sent before', async () => {
    const pair = new MuxPair((stream) => stream.resume());
    const stream = await pair.opener.open('x', NOTHING);
    stream.end(Buffer.alloc(4 * CIRCUIT_WINDOW));
    await new Promise((resolve) => stream.once('finish', resolve));
    await pair.opener.ping();
    expect(flood(pair.opener, cellOf(CellType.PING, 0, u32(1)), 10_000)).toBeLessThanOrEqual(CONTROL_ALLOWANCE);
  });

  it('are no harm to an end that is paid for them', async () => {
    const pair = new MuxPair(() => {});
    for (let sent = 0; sent < 2 * CONTROL_ALLOWANCE; sent += 1) await pair.opener.ping();
    expect(pair.faults).toEqual([]);
  });

  it.each(['WINDOW', 'DATAGRAM_WINDOW'] as const)(
    'end the circuit where they give hardly any credit: %s',
    async (type) => {
      const pair = new MuxPair(() => {});
      pair.datagrams = true;
      const stream = await pair.opener.open('x', NOTHING, { datagrams: true });
      // Both have credit to be given back.
      stream.write(Buffer.alloc(60_000));
      for (let sent = 0; sent < 6; sent += 1) stream.sendDatagram(Buffer.alloc(10_000));
      await pair.opener.ping();
      const credit = cellOf(CellType[type], stream.id, u32(LEAST_WINDOW_CREDIT - 30_000));
      expect(() => pair.opener.receive(credit, SMALL_CELL)).toThrow(violation);
    },
  );

  it('are not the answers and ends of streams, however many there are and however they end', async () => {
    // The question is in the parameters: we send no data, which would ask for more.
    const pair = new MuxPair((stream) => {
      stream.on('error', () => {}).end('x', () => setImmediate(() => stream.destroy()));
    });
    for (let round = 0; round < 2 * CONTROL_ALLOWANCE; round += 1) {
      const stream = await pair.opener.open('x', NOTHING);
      stream.on('error', () => {}).resume();
      await new Promise((resolve) => stream.once('close', resolve));
    }
    expect(pair.faults).toEqual([]);
  });

  it('are not streams that were taken', async () => {
    const pair = new MuxPair(
      () => {},
      (stream) => stream.resume().end(),
    );
    for (let round = 0; round < 2 * CONTROL_ALLOWANCE; round += 1) {
      const stream = await pair.server.open('x', NOTHING);
      stream.resume().end();
      await new Promise((resolve) => stream.once('close', resolve));
    }
    expect(pair.faults).toEqual([]);
  });

  it('are paid for a few times, whatever streams are opened between them', async () => {
    const pair = new MuxPair(
      () => {},
      (stream) => stream.resume().end(),
    );
    let pings = 0;
    for (; pings < 4 * CONTROL_ALLOWANCE && pair.faults.length === 0; pings += 1) {
      const stream = await Promise.race([pair.server.open('x', NOTHING), pair.faulted.then(() => undefined)]);
      stream?.resume().end();
      await Promise.race([pair.server.ping(), pair.faulted]);
    }
    expect(pair.faults).toEqual([violation]);
    expect(pings).toBeLessThanOrEqual(CONTROL_ALLOWANCE + 1);
  });

  it('are taken again, one after each pause', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const allowance = new ControlAllowance();
    for (let came = 0; came < CONTROL_ALLOWANCE; came += 1) allowance.came();
    for (let round = 0; round < 10; round += 1) {
      vi.advanceTimersByTime(0.6 * CONTROL_ALLOWANCE_MILLIS);
      vi.advanceTimersByTime(0.4 * CONTROL_ALLOWANCE_MILLIS);
      allowance.came();
      expect(() => allowance.came()).toThrow(violation);
    }
  });

  it('are not what an honest end sends for data, whatever is asked of it', async () => {
    const pair = new MuxPair((stream) => stream.pipe(stream));
    for (let round = 0; round < 40; round += 1) {
      const streams = await Promise.all(Array.from({ length: 100 }, () => pair.opener.open('echo', NOTHING)));
      await Promise.all(
        streams.map(async (stream, index) => {
          stream.end(Buffer.alloc(index * 100));
          stream.resume();
          await new Promise((resolve) => stream.once('close', resolve));
        }),
      );
    }
    expect(pair.faults).toEqual([]);
  });
});

describe('an honest end that has not heard yet that its streams ended', () => {
  it('may send what it was granted before, on however many', async () => {
    const served: CircuitStream[] = [];
    const pair = new MuxPair((stream) => void served.push(stream));
    const streams = await Promise.all(Array.from({ length: 40 }, () => pair.opener.open('source', NOTHING)));
    // Large windows, so that nothing but what was granted bounds it.
    for (const stream of served) stream.write(Buffer.alloc(STREAM_WINDOW_INITIAL));
    // It grants us nothing: no END of ours goes out.
    pair.credit.toServer = 0;
    for (const stream of streams) stream.destroy();
    for (let carried = -1; carried < pair.carried.toOpener;) {
      carried = pair.carried.toOpener;
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    }
    expect(pair.faults).toEqual([]);
    expect(pair.carried.toOpener).toBeGreaterThan(STREAM_WINDOW_INITIAL);
    expect(pair.carried.toOpener).toBeLessThanOrEqual(CIRCUIT_WINDOW + 41 * SMALL_CELL);
  });

  it('is granted what its ENDs need and no data, however much came for streams that ended: it may hold back as much', () => {
    const intake = new Intake();
    intake.window.expect(STREAM_GRANT);
    intake.arrived(STREAM_GRANT, true, true);
    expect(intake.due(0)).toBe(GRANT_RESERVE);
    expect(intake.due(GRANT_RESERVE)).toBe(0);
    intake.told();
    expect(intake.due(GRANT_RESERVE)).toBe(STREAM_GRANT - GRANT_RESERVE);
  });
});

/** Datagrams of streams: what they carry, and what nobody gains by them. */
import { once } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CIRCUIT_UNREAD,
  CIRCUIT_WINDOW,
  DATAGRAM_QUEUE,
  DATAGRAM_WINDOW,
  GRANT_RESERVE,
  LEAST_GRANT,
  MAX_CELL_BYTES,
  MAX_DATAGRAM_BYTES,
  LEAST_WINDOW_CREDIT,
  STREAM_WINDOW_INITIAL,
} from '../../../core/limits.ts';
import {
  CellType,
  MEDIUM_CELL,
  SMALL_CELL,
  cellType,
  encodeBegin,
  encodeConnected,
} from '../../../node/circuit/cell.ts';
import { ALL_BPS } from '../../../core/units.ts';
import type { Circuit, CircuitEnd, CircuitStream } from '../../../node/circuit/index.ts';
import type { LocalEnd } from '../../../node/circuit/local-end.ts';
import { Mux } from '../../../node/circuit/mux.ts';
import { overdrawn } from '../../../node/circuit/credit.ts';
import { DatagramsOut } from '../../../node/circuit/datagrams.ts';
import type { MuxStream } from '../../../node/circuit/stream.ts';
import { MuxPair, cellOf } from './mux-pair.ts';
import { PRICE, TestNet, attributing, eventually, readAll, type NodeSettings } from './net.ts';

const NOTHING = Buffer.alloc(0);
const TAKES = { datagrams: true };
const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' });

/** Records as a cell holds them. */
function records(...datagrams: readonly Buffer[]): Buffer {
  return Buffer.concat(datagrams.flatMap((data) => [Buffer.of(data.length & 0xff, data.length >>> 8), data]));
}

/** A pair of which both ends take datagrams, and the host's end of one stream between them. */
async function talking(): Promise<{ pair: MuxPair; ours: MuxStream; theirs: MuxStream }> {
  let theirs: CircuitStream | undefined;
  const pair = new MuxPair((stream) => {
    theirs = stream;
  });
  pair.datagrams = true;
  const ours = await pair.opener.open('talk', NOTHING, TAKES);
  return { pair, ours, theirs: theirs as MuxStream };
}

/** All that a stream is sent, until there are so many. */
function heard(stream: CircuitStream, count: number): Promise<Buffer[]> {
  const got: Buffer[] = [];
  return new Promise((resolve) => {
    stream.onDatagram((data) => {
      got.push(data);
      if (got.length === count) resolve(got);
    });
  });
}

describe('datagrams', () => {
  it('arrive as they were sent, whatever their lengths and however they are read (fast-check)', async () => {
    const lengths = fc.array(fc.oneof(fc.nat(40), fc.nat(2000), fc.nat(MAX_DATAGRAM_BYTES)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(lengths, fc.infiniteStream(fc.boolean()), async (sizes, pauses) => {
        const { pair, ours, theirs } = await talking();
        const got: Buffer[] = [];
        const take = (data: Buffer): void => {
          got.push(data);
          if (pauses.next().value !== true) return;
          theirs.onDatagram(undefined);
          setImmediate(() => theirs.onDatagram(take));
        };
        theirs.onDatagram(take);
        const sent: Buffer[] = [];
        for (const [index, length] of [0, ...sizes, MAX_DATAGRAM_BYTES].entries()) {
          const data = Buffer.alloc(length, index + 1);
          const before = Buffer.from(data);
          if (!ours.sendDatagram(data)) continue;
          data.fill(0xff);
          sent.push(before);
        }
        await eventually(() => got.length).toBe(sent.length);
        expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true);
        expect(got.map(({ length }) => length)).toEqual(sent.map(({ length }) => length));
        expect(pair.faults).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it('take the smallest cells: small ones share one, and a packet of 1,500 bytes takes two', async () => {
    const { pair, ours, theirs } = await talking();
    const before = pair.carried.toServer;
    const got = heard(theirs, 41);
    for (let index = 0; index < 40; index += 1) expect(ours.sendDatagram(Buffer.alloc(100, index))).toBe(true);
    expect(ours.sendDatagram(Buffer.alloc(1500))).toBe(true);
    expect((await got).map((data) => data[0]).slice(0, 40)).toEqual(Array.from({ length: 40 }, (_, index) => index));
    // 5.6 KB in all, and what measures the path.
    expect(pair.carried.toServer - before).toBeLessThanOrEqual(2 * MEDIUM_CELL + SMALL_CELL);
    const single = pair.carried.toServer;
    const one = heard(theirs, 1);
    ours.sendDatagram(Buffer.alloc(1500));
    await one;
    expect(pair.carried.toServer - single).toBeLessThanOrEqual(3 * SMALL_CELL);
  });

  it('have these golden bytes', () => {
    const out = new DatagramsOut();
    const cell = Buffer.alloc(MAX_CELL_BYTES);
    for (const data of [Buffer.of(1, 2), NOTHING]) out.push(data);
    expect(out.pull(cell, 0x1234, MAX_CELL_BYTES)).toBe(SMALL_CELL);
    expect(cell.subarray(0, 12).toString('hex')).toBe('0a0034120600020001020000');
    expect(cell.subarray(6, 12).equals(records(Buffer.of(1, 2), NOTHING))).toBe(true);
  });

  it('of more than MAX_DATAGRAM_BYTES are an error, and harm nothing', async () => {
    const { ours, theirs } = await talking();
    expect(() => ours.sendDatagram(Buffer.alloc(MAX_DATAGRAM_BYTES + 1))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', remedy: expect.stringContaining(`${MAX_DATAGRAM_BYTES}`) }),
    );
    const got = heard(theirs, 1);
    ours.sendDatagram(Buffer.from('x'));
    expect(String((await got)[0])).toBe('x');
  });

  it('go before the end of their stream, and none after it', async () => {
    const { ours, theirs } = await talking();
    const got = heard(theirs, 1);
    ours.sendDatagram(Buffer.alloc(9000, 1));
    ours.end();
    expect(ours.sendDatagram(Buffer.from('x'))).toBe(false);
    expect((await got).map(({ length }) => length)).toEqual([9000]);
    expect((await readAll(theirs)).length).toBe(0);
  });

  it('are not sent to an end that takes none, and are reported as dropped', async () => {
    let theirs: CircuitStream | undefined;
    const pair = new MuxPair((stream) => {
      theirs = stream;
    });
    const asked = await pair.opener.open('x', NOTHING, TAKES);
    expect([asked.takesDatagrams, theirs?.takesDatagrams]).toEqual([false, true]);
    expect([asked.sendDatagram(NOTHING), theirs?.sendDatagram(NOTHING)]).toEqual([false, true]);
    expect(() => theirs?.onDatagram(() => {})).toThrow(TypeError);
    pair.datagrams = true;
    const silent = await pair.opener.open('x', NOTHING);
    expect([silent.takesDatagrams, theirs?.takesDatagrams]).toEqual([true, false]);
    expect(theirs?.sendDatagram(NOTHING)).toBe(false);
    await pair.opener.ping();
    expect(pair.faults).toEqual([]);
  });

  it('end a stream whose handler fails, and nothing else', async () => {
    const { pair, ours, theirs } = await talking();
    theirs.onDatagram(() => {
      throw new Error('no');
    });
    const failed = once(ours, 'error');
    ours.sendDatagram(NOTHING);
    expect((await failed)[0]).toMatchObject({ code: 'STREAM_RESET' });
    expect([pair.faults, pair.opener.openStreams, pair.server.openStreams]).toEqual([[], 0, 0]);
  });

  it('are dropped with the circuit, in the middle of one', async () => {
    const { pair, ours, theirs } = await talking();
    pair.credit.toServer = 2 * SMALL_CELL + GRANT_RESERVE;
    theirs.onDatagram(() => {
      throw new Error('half of one is none');
    });
    ours.sendDatagram(Buffer.alloc(MAX_DATAGRAM_BYTES));
    await pair.opener.ping();
    for (const mux of [pair.opener, pair.server]) mux.close(overdrawn('left'));
    expect([ours.sendDatagram(NOTHING), theirs.sendDatagram(NOTHING)]).toEqual([false, false]);
    expect([ours.errored, theirs.errored]).toEqual([violation, violation]);
  });
});

describe('a sender of datagrams', () => {
  it('queues DATAGRAM_QUEUE for a blocked path, and is told what is dropped', async () => {
    const { pair, ours } = await talking();
    pair.credit.toServer = 0;
    let kept = 0;
    while (ours.sendDatagram(Buffer.alloc(1000))) kept += 1002;
    expect(kept).toBeGreaterThan(DATAGRAM_QUEUE - 1002);
    expect(kept).toBeLessThanOrEqual(DATAGRAM_QUEUE);
    expect(pair.opener.wantsToSend).toBe(true);
    expect(ours.sendDatagram(Buffer.alloc(1))).toBe(true);
    for (let index = 0; index < DATAGRAM_QUEUE; index += 1) ours.sendDatagram(NOTHING);
    expect(ours.sendDatagram(NOTHING)).toBe(false);
  });

  it('stops at DATAGRAM_WINDOW while nobody reads, goes on once somebody does, and never stops its neighbours', async () => {
    const { pair, ours, theirs } = await talking();
    const echo = await pair.opener.open('talk', NOTHING, TAKES);
    const before = pair.carried.toServer;
    let sent = 0;
    for (let pings = 0; pings < 3; pings += 1) {
      while (ours.sendDatagram(Buffer.alloc(10_000))) sent += 1;
      await pair.opener.ping();
    }
    // What waits here, and what waits there.
    expect(pair.carried.toServer - before).toBeLessThanOrEqual(DATAGRAM_WINDOW + 8 * SMALL_CELL);
    expect(sent * 10_000).toBeLessThan(DATAGRAM_WINDOW + DATAGRAM_QUEUE);
    echo.end('still');
    await once(echo, 'finish');
    const got = heard(theirs, sent);
    expect((await got).every(({ length }) => length === 10_000)).toBe(true);
    const more = heard(theirs, 1);
    expect(ours.sendDatagram(Buffer.alloc(10_000))).toBe(true);
    await more;
    expect(pair.faults).toEqual([]);
  });

  it('carries any amount to a reader that keeps up', async () => {
    const { ours, theirs } = await talking();
    const total = 400;
    const got = heard(theirs, total);
    for (let sent = 0; sent < total;) {
      if (ours.sendDatagram(Buffer.alloc(10_000))) sent += 1;
      else await new Promise(setImmediate);
    }
    expect((await got).length * 10_000).toBeGreaterThan(4 * DATAGRAM_WINDOW);
  });
});

describe('datagrams beside bulk', () => {
  /** One end by itself: streams of both kinds, and what it sends when it is granted so much at a time. */
  async function beside(grant: (pulled: number) => number, cells: number): Promise<number[]> {
    let left = 0;
    const owner = { fail() {}, attribute() {}, control() {}, granted: () => 0, grant() {}, serve: () => undefined };
    const mux = new Mux('initiator', { ...owner, wake() {} }, PRICE);
    const cell = Buffer.alloc(MAX_CELL_BYTES);
    const opened: MuxStream[] = [];
    for (const id of [1, 3]) {
      const opening = mux.open('x', NOTHING, TAKES);
      while (mux.pull(cell, CIRCUIT_WINDOW) > 0);
      mux.receive(cellOf(CellType.CONNECTED, id, encodeConnected(true)), SMALL_CELL);
      opened.push(await opening);
    }
    const [bulk, talker] = opened as [MuxStream, MuxStream];
    const bytes = [0, 0];
    const due = [0, 0];
    const credit = Buffer.alloc(4);
    for (let pulled = 0; pulled < cells; pulled += 1) {
      if (bulk.writableLength === 0) bulk.write(Buffer.alloc(STREAM_WINDOW_INITIAL));
      while (talker.sendDatagram(Buffer.alloc(1000)));
      await new Promise<void>((resolve) => process.nextTick(resolve));
      left += grant(pulled);
      const size = mux.pull(cell, left);
      left -= size;
      if (size > 0) mux.sent(size);
      else mux.makeDo();
      const kind = cellType(cell) === CellType.DATAGRAM ? 1 : 0;
      if (size === 0) continue;
      bytes[kind] = (bytes[kind] ?? 0) + size;
      due[kind] = (due[kind] ?? 0) + size;
      if (due[kind] < LEAST_WINDOW_CREDIT) continue;
      credit.writeUInt32LE(due[kind], 0);
      due[kind] = 0;
      mux.receive(
        cellOf(kind === 1 ? CellType.DATAGRAM_WINDOW : CellType.WINDOW, kind === 1 ? 3 : 1, credit),
        SMALL_CELL,
      );
    }
    mux.close(overdrawn('left'));
    return bytes;
  }

  it('take turns with it, cell by cell, when much is granted', async () => {
    const [data = 0, datagrams = 0] = await beside(() => MAX_CELL_BYTES, 100);
    expect(datagrams).toBeGreaterThanOrEqual(49 * SMALL_CELL);
    expect(data).toBeGreaterThanOrEqual(49 * MAX_CELL_BYTES);
  });

  it('and bulk do not starve when hardly anything is granted', async () => {
    const [data = 0, datagrams = 0] = await beside(() => 2 * SMALL_CELL, 400);
    expect(data).toBeGreaterThan(100 * SMALL_CELL);
    expect(datagrams).toBeGreaterThan(100 * SMALL_CELL);
  });
});

describe('a sender of datagrams that nobody takes', () => {
  const small = records(Buffer.of(1));

  it.each([
    ['a stream that was never opened', 9],
    ['the circuit itself', 0],
    ['a stream of the other end that was never opened', 8],
  ])('ends the circuit: on %s', (_what, id) => {
    const pair = new MuxPair(() => {});
    expect(() => pair.server.receive(cellOf(CellType.DATAGRAM, id, small), SMALL_CELL)).toThrow(violation);
  });

  it('ends the circuit: on a stream whose service, or whose opener, takes none', async () => {
    const pair = new MuxPair(() => {});
    const stream = await pair.opener.open('x', NOTHING);
    for (const mux of [pair.server, pair.opener]) {
      expect(() => mux.receive(cellOf(CellType.DATAGRAM, stream.id, small), SMALL_CELL)).toThrow(violation);
    }
  });

  it('ends the circuit: on a stream that is not connected, or was refused', () => {
    const pair = new MuxPair(() => {});
    pair.opener.open('x', NOTHING, TAKES).catch(() => {});
    expect(() => pair.opener.receive(cellOf(CellType.DATAGRAM, 1, small), SMALL_CELL)).toThrow(violation);
    pair.opener.receive(cellOf(CellType.BEGIN, 2, encodeBegin('x', NOTHING, true)), SMALL_CELL);
    expect(() => pair.opener.receive(cellOf(CellType.DATAGRAM, 2, small), SMALL_CELL)).toThrow(violation);
  });

  it('ends the circuit: after the end of its stream', async () => {
    const { pair, ours } = await talking();
    ours.end();
    await pair.opener.ping();
    expect(() => pair.server.receive(cellOf(CellType.DATAGRAM, ours.id, small), SMALL_CELL)).toThrow(violation);
  });

  it.each([
    ['a cell without any', NOTHING],
    ['one that is a byte too long', Buffer.of((MAX_DATAGRAM_BYTES + 1) & 0xff, (MAX_DATAGRAM_BYTES + 1) >>> 8)],
  ])('ends the circuit: with %s', async (_what, data) => {
    const { pair, ours, theirs } = await talking();
    theirs.onDatagram(() => {});
    expect(() => pair.server.receive(cellOf(CellType.DATAGRAM, ours.id, data), SMALL_CELL)).toThrow(violation);
  });

  it('ends the circuit with one that is too long as soon as somebody reads it', async () => {
    const { pair, ours, theirs } = await talking();
    pair.server.receive(cellOf(CellType.DATAGRAM, ours.id, Buffer.alloc(2, 0xff)), SMALL_CELL);
    theirs.onDatagram(() => {});
    expect(await pair.faulted).toEqual(violation);
  });

  it('gains one window by it, however small they are: then the circuit ends', async () => {
    const { pair, theirs } = await talking();
    const cells = DATAGRAM_WINDOW / SMALL_CELL;
    for (let sent = 0; sent < cells; sent += 1) {
      pair.opener.receive(cellOf(CellType.DATAGRAM, theirs.id, small), SMALL_CELL);
    }
    expect(() => pair.opener.receive(cellOf(CellType.DATAGRAM, theirs.id, small), SMALL_CELL)).toThrow(violation);
  });

  it('gets no credit from a reader that has half of one', async () => {
    const { pair, ours, theirs } = await talking();
    ours.onDatagram(() => {});
    const piece = Buffer.of(0xf0, 0x3f, ...Buffer.alloc(1));
    pair.opener.receive(cellOf(CellType.DATAGRAM, theirs.id, piece), SMALL_CELL);
    const flood = (): void => {
      for (let sent = 0; sent < DATAGRAM_WINDOW / SMALL_CELL; sent += 1)
        pair.opener.receive(cellOf(CellType.DATAGRAM, theirs.id, Buffer.of(1)), SMALL_CELL);
    };
    expect(flood).toThrow(violation);
  });

  it.each(['DATAGRAM', 'DATA'] as const)('gains at most the credit that an ended stream had left: %s', async (type) => {
    const { pair, ours, theirs } = await talking();
    ours.destroy();
    const cell = cellOf(CellType[type], theirs.id, Buffer.alloc(SMALL_CELL - 6, 1));
    const flood = (cells: number): void => {
      for (let sent = 0; sent < cells; sent += 1) pair.opener.receive(Buffer.from(cell), SMALL_CELL);
    };
    // What was on its way is nobody's fault.
    expect(() => flood(DATAGRAM_WINDOW / SMALL_CELL)).not.toThrow();
    expect(() => flood(STREAM_WINDOW_INITIAL / SMALL_CELL + 4)).toThrow(violation);
  });

  it('gains at most one circuit window for all ended streams together', async () => {
    const { pair, theirs } = await talking();
    for (let opened = 0; opened < 40; opened += 1) (await pair.opener.open('x', NOTHING, TAKES)).destroy();
    const cell = cellOf(CellType.DATAGRAM, theirs.id + 2, Buffer.alloc(MAX_CELL_BYTES - 6, 1));
    let taken = 0;
    const flood = (): void => {
      for (; taken < 2 * CIRCUIT_WINDOW; taken += cell.length) pair.opener.receive(Buffer.from(cell), cell.length);
    };
    expect(flood).toThrow(violation);
    expect(taken).toBeLessThanOrEqual(CIRCUIT_WINDOW);
  });

  it('makes the receiver hold at most CIRCUIT_UNREAD + CIRCUIT_WINDOW, over all streams, until these end', async () => {
    const served: CircuitStream[] = [];
    const pair = new MuxPair((stream) => void served.push(stream));
    pair.datagrams = true;
    const streams = await Promise.all(Array.from({ length: 100 }, () => pair.opener.open('x', NOTHING, TAKES)));
    const before = pair.carried.toServer;
    for (let carried = -1; carried < pair.carried.toServer - 2 * SMALL_CELL;) {
      carried = pair.carried.toServer;
      for (const stream of streams) while (stream.sendDatagram(Buffer.alloc(8000)));
      await pair.opener.ping();
    }
    expect(pair.carried.toServer - before).toBeGreaterThan(CIRCUIT_WINDOW);
    expect(pair.carried.toServer - before).toBeLessThanOrEqual(CIRCUIT_UNREAD + CIRCUIT_WINDOW + 64 * SMALL_CELL);
    for (const stream of served.splice(0)) stream.destroy();
    const next = await pair.opener.open('x', NOTHING, TAKES);
    const [reader] = served as [CircuitStream];
    const got = heard(reader, 200);
    for (let sent = 0; sent < 200;) {
      if (next.sendDatagram(Buffer.alloc(8000))) sent += 1;
      else await new Promise(setImmediate);
    }
    await got;
    expect(pair.faults).toEqual([]);
  });

  it('ends the circuit by giving credit for datagrams that were not sent', async () => {
    const { pair, ours } = await talking();
    const more = Buffer.of(1, 0, 0, 0);
    expect(() => pair.opener.receive(cellOf(CellType.DATAGRAM_WINDOW, ours.id, more), SMALL_CELL)).toThrow(violation);
    const plain = new MuxPair(() => {});
    const stream = await plain.opener.open('x', NOTHING);
    expect(() => plain.opener.receive(cellOf(CellType.DATAGRAM_WINDOW, stream.id, more), SMALL_CELL)).toThrow(
      violation,
    );
  });
});

describe('datagrams over relays', () => {
  let net: TestNet;
  beforeEach(() => {
    net = new TestNet({ metered: true });
  });
  afterEach(() => net.close());

  /** A circuit over two relays, and the host's end of it and of a stream that both take datagrams of. */
  async function talkingTo(settings: NodeSettings = {}): Promise<{
    readonly circuit: Circuit;
    readonly far: CircuitEnd;
    readonly stream: CircuitStream;
    readonly host: CircuitStream;
  }> {
    const { client, host, offers } = await net.path(2, settings);
    const served = new Promise<[CircuitStream, CircuitEnd]>((resolve) => {
      host.endpoint.register('talk', { price: PRICE, datagrams: true }, (stream, _params, end) =>
        resolve([stream, end]),
      );
    });
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const stream = await circuit.openStream('talk', NOTHING, TAKES);
    const [theirs, far] = await served;
    return { circuit, far, stream, host: theirs };
  }

  it('are paid for and count for the name of their stream, and go on when a quiet circuit gave everything back', async () => {
    const { attributed, wrapMetering } = attributing();
    const { circuit, far, stream, host } = await talkingTo({ wrapMetering, timing: { grantIdleMillis: 5 } });
    host.attribute([{ name: 'news.web3', share: ALL_BPS }]);
    host.onDatagram((data) => void host.sendDatagram(data));
    const packet = Buffer.alloc(1400, 7);
    for (let rounds = 1; rounds <= 3; rounds += 1) {
      const before = circuit.bytes;
      const back = heard(stream, 8);
      for (let index = 0; index < 8; index += 1) stream.sendDatagram(packet);
      expect((await back).every((data) => data.equals(packet))).toBe(true);
      expect(circuit.bytes - before).toBeGreaterThan(16 * packet.length);
      expect(attributed.get('news.web3')).toBeGreaterThan(8 * rounds * packet.length);
      // Of an idle circuit an end keeps two of the smallest frames.
      await eventually(() => (far as LocalEnd).near.leg.credit).toBeLessThanOrEqual(LEAST_GRANT);
    }
  });

  it('that nobody reads cost the initiator one window, and a host that goes on loses the circuit', async () => {
    const { circuit, host } = await talkingTo();
    const before = circuit.bytes;
    for (let pings = 0; pings < 5; pings += 1) {
      while (host.sendDatagram(Buffer.alloc(8000)));
      await circuit.rttMillis();
    }
    expect(circuit.bytes - before).toBeLessThan(1.2 * DATAGRAM_WINDOW);
    expect(circuit.isOpen).toBe(true);
    // As a host that lets itself go on.
    const flood = setInterval(() => {
      (host as MuxStream).datagramsOut?.credited(SMALL_CELL);
      host.sendDatagram(NOTHING);
    }, 1);
    expect(await circuit.closed).toMatchObject({ code: 'CIRCUIT_DESTROYED', details: { reason: 'PROTOCOL' } });
    clearInterval(flood);
    expect(circuit.bytes - before).toBeLessThan(1.5 * DATAGRAM_WINDOW);
  });
});

/** Streams that the last hop opens at the initiator, who pays for them: what they carry, and what nobody gains by them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  MAX_REFUSED_STREAMS,
  MAX_STREAMS_PER_CIRCUIT,
  QUIET_GRANT,
  STREAM_GRANT,
  STREAM_WINDOW_INITIAL,
} from '../../../core/limits.ts';
import { nodeId } from '../../../core/ids.ts';
import { silentLog } from '../../../core/ports.ts';
import { pricePerMiB } from '../../../core/units.ts';
import { CellType, SMALL_CELL, encodeBegin } from '../../../node/circuit/cell.ts';
import { answerInitiation, onionKeyFromSeed } from '../../../node/circuit/handshake.ts';
import type { Circuit, CircuitEnd, CircuitStream } from '../../../node/circuit/index.ts';
import { InitiatedCircuit } from '../../../node/circuit/initiated.ts';
import { SealingLayer } from '../../../node/circuit/layer.ts';
import { decodeCreate, encodeCreated } from '../../../node/circuit/messages.ts';
import { CircuitPort } from '../../../node/circuit/port.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import { unmetered } from '../../../node/meter/index.ts';
import type { SignedOffer } from '../../../node/offer/index.ts';
import { MuxPair, cellOf } from './mux-pair.ts';
import { PRICE, TestNet, hashOf, patternHash, readAll, sendPattern } from './net.ts';

const NOTHING = Buffer.alloc(0);
const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' });

function beginOf(id: number): Buffer {
  return cellOf(CellType.BEGIN, id, encodeBegin('x', NOTHING));
}

describe('a host that opens streams at an initiator that takes none', () => {
  it('is refused each, is granted no more for it, and loses the circuit when it goes on', async () => {
    const pair = new MuxPair(() => {});
    for (let asked = 0; asked < MAX_REFUSED_STREAMS; asked += 1) {
      await expect(pair.server.open('x', NOTHING)).rejects.toMatchObject({
        code: 'STREAM_REFUSED',
        details: { reason: 'REFUSED' },
      });
    }
    expect(pair.credit.toOpener).toBeLessThanOrEqual(QUIET_GRANT);
    // BEGINs, and what answers its pings: nothing else was worth anything.
    expect(pair.carried.toOpener).toBeLessThanOrEqual(2 * MAX_REFUSED_STREAMS * SMALL_CELL);
    expect([pair.opener.openStreams, pair.server.openStreams]).toEqual([0, 0]);
    pair.server.open('x', NOTHING).catch(() => {});
    expect(await pair.faulted).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });

  it('gains nothing by not taking the answers: what waits for it is bounded', () => {
    const pair = new MuxPair(() => {});
    pair.credit.toServer = 0;
    for (let asked = 1; asked <= MAX_REFUSED_STREAMS; asked += 1) pair.opener.receive(beginOf(2 * asked), SMALL_CELL);
    expect(() => pair.opener.receive(beginOf(2 * MAX_REFUSED_STREAMS + 2), SMALL_CELL)).toThrow(violation);
  });

  it('is limited, unlike an initiator, which may ask in vain as often as it pays for it', async () => {
    const pair = new MuxPair(() => {});
    for (let id = 1; id <= 2 * MAX_STREAMS_PER_CIRCUIT + 2 * MAX_REFUSED_STREAMS; id += 2) {
      pair.server.receive(beginOf(id), SMALL_CELL);
    }
    for (let more = 0; more <= MAX_REFUSED_STREAMS; more += 1) {
      pair.server.receive(beginOf(2 * MAX_STREAMS_PER_CIRCUIT + 2 * MAX_REFUSED_STREAMS + 2 * more + 1), SMALL_CELL);
    }
    expect(pair.server.openStreams).toBe(MAX_STREAMS_PER_CIRCUIT);
  });
});

describe('a host that opens all it may at an initiator that takes them', () => {
  it('is refused beyond MAX_STREAMS_PER_CIRCUIT, and takes no place from the initiator', async () => {
    const pair = new MuxPair(
      () => {},
      () => {},
    );
    const all = Array.from({ length: MAX_STREAMS_PER_CIRCUIT }, () => pair.server.open('x', NOTHING));
    await Promise.all(all);
    await expect(pair.server.open('x', NOTHING)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    const own = await Promise.all(
      Array.from({ length: MAX_STREAMS_PER_CIRCUIT }, () => pair.opener.open('x', NOTHING)),
    );
    expect(pair.opener.openStreams).toBe(2 * MAX_STREAMS_PER_CIRCUIT);
    for (const stream of own) stream.destroy();
    await pair.opener.ping();
    expect([pair.opener.openStreams, pair.server.openStreams]).toEqual([
      MAX_STREAMS_PER_CIRCUIT,
      MAX_STREAMS_PER_CIRCUIT,
    ]);
    // However it counts itself.
    pair.opener.receive(beginOf(2 * MAX_STREAMS_PER_CIRCUIT + 2), SMALL_CELL);
    expect(pair.opener.openStreams).toBe(MAX_STREAMS_PER_CIRCUIT);
  });

  it('is granted for all of them together as much as for one stream', async () => {
    const pair = new MuxPair(
      () => {},
      () => {},
    );
    await Promise.all(Array.from({ length: 16 }, () => pair.server.open('x', NOTHING)));
    expect(pair.credit.toOpener).toBeLessThanOrEqual(STREAM_GRANT);
  });

  it('cannot overdraw the window of one', async () => {
    const pair = new MuxPair(
      () => {},
      () => {},
    );
    const stream = await pair.server.open('x', NOTHING);
    stream.sendCredit = Infinity;
    stream.write(Buffer.alloc(4 * STREAM_WINDOW_INITIAL));
    expect(await pair.faulted).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
  });
});

describe('stream ids', () => {
  it('are odd where the initiator opens and even where the host does', async () => {
    const taken: number[] = [];
    const take = (stream: CircuitStream): void => void taken.push((stream as { id?: number }).id ?? 0);
    const pair = new MuxPair(take, take);
    for (let index = 0; index < 3; index += 1) {
      await pair.opener.open('x', NOTHING);
      await pair.server.open('x', NOTHING);
    }
    expect(taken).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('end with the last one of an end, and not for the other', async () => {
    const pair = new MuxPair(
      (stream) => stream.destroy(),
      (stream) => stream.destroy(),
    );
    pair.opener.receive(beginOf(0xfffe), SMALL_CELL);
    pair.server.receive(beginOf(0xffff), SMALL_CELL);
    expect(() => pair.opener.receive(beginOf(0xfffe), SMALL_CELL)).toThrow(violation);
    expect(() => pair.server.receive(beginOf(0xffff), SMALL_CELL)).toThrow(violation);
    expect([pair.opener.acceptsStreams, pair.server.acceptsStreams]).toEqual([true, true]);
  });

  it.each([
    ['an even number at the host', 'server', [2]],
    ['an odd number at the initiator', 'opener', [1]],
    ['number 0 at the host', 'server', [0]],
    ['number 0 at the initiator', 'opener', [0]],
    ['the same one twice at the initiator', 'opener', [2, 2]],
    ['a lower one at the initiator', 'opener', [4, 2]],
    ['the same one twice at the host', 'server', [1, 1]],
  ] as const)('out of turn end the circuit: %s', (_what, end, ids) => {
    const pair = new MuxPair(
      () => {},
      () => {},
    );
    const [last = 0, ...before] = ids.toReversed();
    for (const id of before) pair[end].receive(beginOf(id), SMALL_CELL);
    expect(() => pair[end].receive(beginOf(last), SMALL_CELL)).toThrow(violation);
  });

  it.each(['CONNECTED', 'DATA', 'END', 'WINDOW'] as const)(
    'that nobody opened end the circuit with %s',
    async (type) => {
      for (const id of [3, 4]) {
        const pair = new MuxPair(
          () => {},
          () => {},
        );
        await pair.opener.open('x', NOTHING);
        await pair.server.open('x', NOTHING);
        const data = type === 'WINDOW' ? Buffer.of(1, 0, 0, 0) : Buffer.of(1);
        for (const mux of [pair.opener, pair.server]) {
          expect(() => mux.receive(cellOf(CellType[type], id, data), SMALL_CELL)).toThrow(violation);
        }
      }
    },
  );
});

describe('a relay on the way', () => {
  /** A first hop that the test plays; it answers the CREATE, and the EXTEND with whatever cell it likes. */
  function through(cell: Buffer): Promise<unknown> {
    const [relay, host] = [3, 4].map((byte) => nodeId(new Uint8Array(32).fill(byte))) as [never, never];
    const onion = onionKeyFromSeed(new Uint8Array(32).fill(5));
    const handlers = new Map<FrameType, (circuit: number, payload: Buffer) => void>();
    let sealing: SealingLayer | undefined;
    const answer = (type: FrameType, payload: Buffer): void => {
      if (type === FrameType.CREATE) {
        const made = answerInitiation(decodeCreate(payload).ephemeral, relay, onion);
        sealing = new SealingLayer(made.keys.backward);
        handlers.get(FrameType.CREATED)?.(1, Buffer.from(encodeCreated(made)));
      } else if (type === FrameType.RELAY) {
        const frame = Buffer.alloc(112 + cell.length);
        sealing?.originate(cell, frame, 0);
        handlers.get(FrameType.RELAY)?.(1, frame);
      }
    };
    const link: Partial<Link> = {
      dialer: true,
      isOpen: true,
      writable: true,
      closed: new Promise(() => {}),
      handle: (type, handler) => void handlers.set(type, handler),
      nextCircuitId: () => 1,
      allocFrame: (length) => Buffer.alloc(FRAME_HEADER_BYTES + length),
      send() {},
      sendFrame: (frame, type) => void setImmediate(answer, type, Buffer.from(frame.subarray(FRAME_HEADER_BYTES))),
      onDrain() {},
      retain() {},
      release() {},
    };
    const port = new CircuitPort(link as Link, unmetered().attach(link as Link), {
      traffic: { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 },
      createRate: () => ({ take: () => true }),
      accept() {},
      settled() {},
    });
    const plan = [relay, host].map((id) => ({
      offer: {
        nodeId: id,
        onionKey: onion.publicKey,
        addresses: [],
        encoded: new Uint8Array(300),
      } as unknown as SignedOffer,
      price: pricePerMiB(0n),
    }));
    const timing = { buildMillis: 5_000, hiddenBuildMillis: 5_000, quietMillis: 5_000, pingMillis: 5_000 };
    const circuit = new InitiatedCircuit(port, plan, { timing, log: silentLog, onOver() {} });
    return circuit.build(plan, undefined).catch((error: unknown) => error);
  }

  it('opens no stream before the circuit is built: the ids are the host’s', async () => {
    expect(await through(beginOf(2))).toMatchObject({
      code: 'CIRCUIT_DESTROYED',
      details: { reason: 'PROTOCOL', text: expect.stringContaining('a stream of a hop that is not the last') },
    });
  });
});

describe('a circuit both ways', () => {
  let net: TestNet;
  afterEach(() => net.close());

  /** A circuit over two relays, both its ends. */
  async function ends(): Promise<{ circuit: Circuit; far: CircuitEnd; other: Circuit }> {
    const { client, host, offers } = await net.path(2);
    const far = new Promise<CircuitEnd>((resolve) => {
      host.endpoint.register('hello', { price: PRICE }, (stream, _params, circuit) => {
        stream.end();
        resolve(circuit);
      });
    });
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const other = await client.endpoint.createCircuit(offers, { service: 'echo' });
    await circuit.openStream('hello', NOTHING);
    return { circuit, far: await far, other };
  }

  beforeEach(() => {
    net = new TestNet({ metered: true });
  });

  it('carries the host’s data and requests, bit-exact, while the initiator asks for something', async () => {
    const { circuit, far } = await ends();
    const length = 4 * 1024 * 1024 + 77;
    const got = new Promise<string>((resolve) => {
      circuit.register('push', (stream, params) => {
        expect(params.toString()).toBe('what it is');
        stream.end();
        resolve(hashOf(stream));
      });
    });
    circuit.register('echo', (stream) => stream.pipe(stream));
    const push = await far.openStream('push', Buffer.from('what it is'));
    const echo = await far.openStream('echo', NOTHING);
    const own = await circuit.openStream('echo', NOTHING);
    echo.end('asked by the host');
    own.end('asked by the initiator');
    const [, hash, theirs, ours] = await Promise.all([sendPattern(push, length), got, readAll(echo), readAll(own)]);
    expect(hash).toBe(patternHash(length));
    expect([theirs, ours].map(String)).toEqual(['asked by the host', 'asked by the initiator']);
  });

  it('refuses the host a service that the initiator does not serve on that circuit, like any unknown one', async () => {
    const { circuit, far, other } = await ends();
    other.register('push', (stream) => stream.end());
    await expect(far.openStream('push', NOTHING)).rejects.toMatchObject({
      code: 'STREAM_REFUSED',
      message: expect.stringContaining('no service "push" here'),
      details: { reason: 'REFUSED' },
    });
    expect(circuit.isOpen).toBe(true);
    expect(() => other.register('push', () => {})).toThrow(TypeError);
    expect(() => other.register('PUSH', () => {})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('ends a circuit on which the host asks in vain again and again', async () => {
    const { circuit, far } = await ends();
    for (let asked = 0; asked < MAX_REFUSED_STREAMS; asked += 1) await far.openStream('x', NOTHING).catch(() => {});
    expect(circuit.isOpen).toBe(true);
    far.openStream('x', NOTHING).catch(() => {});
    expect(await circuit.closed).toMatchObject({ code: 'CIRCUIT_DESTROYED', details: { reason: 'PROTOCOL' } });
  });

  it('ends a stream whose handler fails, and nothing else', async () => {
    const { circuit, far } = await ends();
    circuit.register('push', () => {
      throw new Error('no');
    });
    const stream = await far.openStream('push', NOTHING);
    await new Promise<void>((resolve) => (stream.closed ? resolve() : stream.once('close', resolve)));
    expect(stream.errored).toMatchObject({ code: 'STREAM_RESET' });
    expect(circuit.isOpen).toBe(true);
  });
});

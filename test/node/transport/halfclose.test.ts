import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { greeted, halfClosing } from '../../../node/transport/halfclose.ts';
import { memoryPair } from '../../../node/transport/memory.ts';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;

/** Sockets that end both directions at once, as the networks below do. */
let server: Server;
beforeAll(async () => {
  server = createServer({ allowHalfOpen: false, noDelay: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.close();
  await once(server, 'close');
});

async function tcpPair(): Promise<[Socket, Socket]> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const near = connect({ host: '127.0.0.1', port, allowHalfOpen: false, noDelay: true });
  await once(near, 'connect');
  const [far] = await accepted;
  return [near, far];
}

/** Everything up to the end. Rejects when the connection closes before. */
async function whole(connection: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  connection.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve, reject) => {
    connection.once('end', resolve);
    connection.once('close', () => reject(new Error('the connection closed before its end')));
  });
  return Buffer.concat(chunks);
}

function closed(connection: Duplex): Promise<Error | undefined> {
  return new Promise((resolve) => {
    let failure: Error | undefined;
    connection.once('error', (error) => {
      failure = error;
    });
    connection.once('close', () => resolve(failure));
  });
}

/** What one end puts on the wire for `chunks` and its end. */
async function wireBytes(chunks: readonly Buffer[]): Promise<Buffer> {
  const [near, wire] = memoryPair();
  const ours = halfClosing(near);
  ours.cork();
  for (const chunk of chunks) ours.write(chunk);
  ours.uncork();
  ours.end();
  const found: Buffer[] = [];
  wire.on('data', (chunk: Buffer) => found.push(chunk));
  const gone = closed(wire);
  await once(ours, 'finish');
  ours.destroy();
  await gone;
  return Buffer.concat(found);
}

const kinds: readonly [string, () => Promise<[Duplex, Duplex]>][] = [
  ['memory', async () => memoryPair()],
  ['sockets that end both directions at once', tcpPair],
];

describe.each(kinds)('half-close over %s', (_name, wires) => {
  const pair = async (): Promise<[Duplex, Duplex, Duplex, Duplex]> => {
    const [nearWire, farWire] = await wires();
    return [halfClosing(nearWire), halfClosing(farWire), nearWire, farWire];
  };

  it('keeps the other direction open, and closes the wire when both have ended', async () => {
    const [near, far, nearWire, farWire] = await pair();
    const gone = Promise.all([closed(near), closed(far), closed(nearWire), closed(farWire)]);
    near.end('question');
    expect(String(await whole(far))).toBe('question');
    expect(far.writable).toBe(true);
    far.write('answer ');
    far.end('in two parts');
    expect(String(await whole(near))).toBe('answer in two parts');
    expect(await gone).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('ends from both sides at once', async () => {
    const [near, far, nearWire, farWire] = await pair();
    const gone = Promise.all([closed(near), closed(far), closed(nearWire), closed(farWire)]);
    near.end('from near');
    far.end('from far');
    const texts = await Promise.all([whole(near), whole(far)]);
    expect(texts.map(String)).toEqual(['from far', 'from near']);
    expect(await gone).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('delivers everything to a slow reader although the writer has closed', async () => {
    const [near, far] = await pair();
    const gone = closed(near);
    far.end();
    near.resume();
    await once(near, 'end');
    const sent = randomBytes(3 * MIB);
    near.end(sent);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect((await whole(far)).equals(sent)).toBe(true);
    expect(await gone).toBeUndefined();
  });

  it('does not acknowledge what nobody reads', async () => {
    const [near, far] = await pair();
    const [otherNear, otherFar] = await pair();
    otherFar.pipe(otherFar);
    let acknowledged = 0;
    for (let i = 0; i < 64; i += 1) {
      near.write(Buffer.alloc(MIB, 1), () => {
        acknowledged += 1;
      });
    }
    for (let turn = 0; turn < 50; turn += 1) {
      otherNear.write('x');
      await once(otherNear, 'data');
    }
    expect(acknowledged).toBeLessThan(32);
    expect(far.readableLength).toBeLessThan(MIB);
    near.end();
    let read = 0;
    far.on('data', (data: Buffer) => {
      read += data.length;
    });
    await once(far, 'end');
    expect(read).toBe(64 * MIB);
    expect(acknowledged).toBe(64);
    near.destroy();
    otherNear.destroy();
    await Promise.all([closed(far), closed(otherFar)]);
  });

  it('carries 64 MiB in odd chunks both ways unchanged', async () => {
    const [near, far] = await pair();
    const gone = Promise.all([closed(near), closed(far)]);
    const source = randomBytes(MIB);
    const carry = async (from: Duplex, to: Duplex): Promise<void> => {
      const sent = createHash('sha256');
      const received = createHash('sha256');
      let left = 64 * MIB;
      to.on('data', (data: Buffer) => received.update(data));
      const ended = once(to, 'end');
      for (let i = 1; left > 0; i += 1) {
        const chunk = source.subarray(i % 1000, (i % 1000) + Math.min(left, 1 + ((i * 7919) % 300_000)));
        left -= chunk.length;
        sent.update(chunk);
        if (!from.write(chunk)) await once(from, 'drain');
      }
      from.end();
      await ended;
      expect(received.digest('hex')).toBe(sent.digest('hex'));
    };
    await Promise.all([carry(near, far), carry(far, near)]);
    expect(await gone).toEqual([undefined, undefined]);
  });

  it('sends nothing for an empty write', async () => {
    const [near, far] = await pair();
    near.write('');
    near.write('a');
    near.write('');
    near.end();
    expect(String(await whole(far))).toBe('a');
    near.destroy();
  });

  it('ends with ECONNRESET when the other side vanishes', async () => {
    const [near, far, , farWire] = await pair();
    near.write('x');
    await once(far, 'data');
    far.destroy();
    expect(await closed(near)).toMatchObject({ code: 'ECONNRESET' });
    expect(farWire.destroyed).toBe(true);
    const [idle, , , idleWire] = await pair();
    const gone = closed(idle);
    idleWire.end();
    expect(await gone).toMatchObject({ code: 'ECONNRESET' });
  });

  it('ends with ECONNRESET when the wire ends inside a record or a length', async () => {
    for (const bytes of [Buffer.of(0), Buffer.of(0, 5), Buffer.of(0, 5, 1, 2)]) {
      const [wire, theirs] = await wires();
      const ours = halfClosing(wire);
      ours.resume();
      const ended = once(ours, 'end').then(() => 'end');
      const gone = closed(ours);
      theirs.write(bytes);
      theirs.end();
      theirs.resume();
      expect(await Promise.race([ended, gone])).toMatchObject({ code: 'ECONNRESET' });
    }
  });

  it('gives a reader what arrived before the wire was lost, then closes', async () => {
    const [near, far, , farWire] = await pair();
    const gone = closed(near);
    far.end('the last words');
    await once(far, 'finish');
    if (near.readableLength === 0) await once(near, 'readable');
    farWire.destroy();
    near.write('too late');
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(String(await whole(near))).toBe('the last words');
    expect(await gone).toBeInstanceOf(Error);
  });

  it('ends both ends and the wire when it is destroyed', async () => {
    const [near, far, nearWire, farWire] = await pair();
    const gone = Promise.all([closed(near), closed(far), closed(nearWire), closed(farWire)]);
    far.resume();
    for (let i = 0; i < 64; i += 1) near.write(Buffer.alloc(MIB));
    near.destroy();
    const [ours, theirs] = await gone;
    expect(ours).toBeUndefined();
    expect(theirs).toMatchObject({ code: 'ECONNRESET' });
  });

  it('lets the dialer wait for the greeting and loses no byte behind it', async () => {
    const [nearWire, farWire] = await wires();
    const waiting = greeted(nearWire, signal);
    const far = halfClosing(farWire, { greet: true });
    far.end('first words');
    const near = await waiting;
    near.end('back');
    expect(String(await whole(near))).toBe('first words');
    expect(String(await whole(far))).toBe('back');
  });

  it('reports a wire that ends, speaks otherwise, breaks or is too slow instead of greeting', async () => {
    for (const act of [
      (wire: Duplex) => wire.end(),
      (wire: Duplex) => wire.destroy(),
      (wire: Duplex) => wire.write('HTTP/1.1 400'),
    ]) {
      const [wire, theirs] = await wires();
      theirs.on('error', () => {});
      const waiting = greeted(wire, signal);
      act(theirs);
      await expect(waiting).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
      expect(wire.destroyed).toBe(true);
      theirs.destroy();
    }
    const [wire, theirs] = await wires();
    theirs.on('error', () => {});
    const controller = new AbortController();
    const waiting = greeted(wire, controller.signal);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    expect(wire.destroyed).toBe(true);
    const [late] = await wires();
    await expect(greeted(late, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(greeted(late, signal)).rejects.toMatchObject({ code: 'CONNECTION_REFUSED' });
  });
});

describe('half-close records', () => {
  it('are a length of two bytes and that many bytes, and a length of 0 at the end', async () => {
    expect((await wireBytes([])).toString('hex')).toBe('0000');
    expect((await wireBytes([Buffer.from('ab'), Buffer.from('c')])).toString('hex')).toBe('00036162630000');
    const long = await wireBytes([Buffer.alloc(65_536, 7)]);
    expect(long.length).toBe(65_536 + 3 * 2);
    expect(long.readUInt16BE(0)).toBe(65_534);
    expect(long.subarray(65_536).toString('hex')).toBe('000207070000');
  });

  it('are read alike however the wire splits them', async () => {
    const wire = await wireBytes([randomBytes(3), randomBytes(1), Buffer.alloc(0), randomBytes(300)]);
    const expected = Buffer.concat([wire.subarray(2, wire.length - 2)]);
    const read = async (pieces: readonly Buffer[]): Promise<Buffer> => {
      const [near, theirs] = memoryPair();
      const ours = halfClosing(near);
      for (const piece of pieces) theirs.write(piece);
      const bytes = await whole(ours);
      ours.destroy();
      return bytes;
    };
    for (let cut = 0; cut <= wire.length; cut += 1) {
      expect((await read([wire.subarray(0, cut), wire.subarray(cut)])).equals(expected)).toBe(true);
    }
    expect((await read(Array.from(wire, (byte) => Buffer.of(byte)))).equals(expected)).toBe(true);
  });

  it('hand on bytes without copying them', async () => {
    const [near, theirs] = memoryPair();
    const ours = halfClosing(near);
    const chunk = Buffer.concat([Buffer.of(0x40, 0x00), randomBytes(0x4000)]);
    theirs.write(chunk);
    const [data] = (await once(ours, 'data')) as [Buffer];
    expect(data.buffer).toBe(chunk.buffer);
    expect(data.byteOffset).toBe(chunk.byteOffset + 2);
    ours.destroy();
  });

  it('from garbage keep nothing and never end the process', async () => {
    for (let turn = 0; turn < 50; turn += 1) {
      const [near, theirs] = memoryPair();
      const ours = halfClosing(near);
      let read = 0;
      ours.on('data', (data: Buffer) => {
        read += data.length;
      });
      const gone = closed(ours);
      const garbage = randomBytes(1 + turn * 5000);
      theirs.end(garbage);
      theirs.resume();
      ours.on('end', () => ours.end());
      await gone;
      expect(read).toBeLessThanOrEqual(garbage.length);
      expect(ours.readableLength).toBe(0);
    }
  });

  it('after the end break the connection', async () => {
    const [near, theirs] = memoryPair();
    const ours = halfClosing(near);
    const gone = closed(ours);
    theirs.write(Buffer.of(0, 0, 0));
    ours.resume();
    expect(await gone).toMatchObject({ code: 'EPROTO' });
    expect(near.destroyed).toBe(true);
  });
});

describe('a window', () => {
  const windowed = async (window: number): Promise<[Duplex, Duplex]> => {
    const [near, far] = await tcpPair();
    return [halfClosing(near, { window }), halfClosing(far, { window })];
  };

  it('stops a writer that nobody reads, whatever the network would take', async () => {
    const [near, far] = await windowed(1000);
    let written = 0;
    for (let i = 0; i < 10; i += 1) near.write(Buffer.alloc(300, i), () => (written += 1));
    // An answer shows that all that could come has come.
    far.write('x');
    await once(near, 'data');
    expect(written).toBeLessThan(4);
    expect(far.readableLength).toBeLessThanOrEqual(1000);
    near.end();
    const all = await whole(far);
    expect(all).toEqual(Buffer.concat(Array.from({ length: 10 }, (_, i) => Buffer.alloc(300, i))));
    expect(written).toBe(10);
    far.destroy();
  });

  it('carries far more than itself both ways at once, bit-exact, and ends', async () => {
    const [near, far] = await windowed(100_000);
    const there = randomBytes(3 * MIB);
    const back = randomBytes(2 * MIB);
    const gone = Promise.all([closed(near), closed(far)]);
    for (let at = 0; at < there.length; at += 70_001) near.write(there.subarray(at, at + 70_001));
    near.end();
    far.end(back);
    const [arrivedThere, arrivedBack] = await Promise.all([whole(far), whole(near)]);
    expect(arrivedThere.equals(there)).toBe(true);
    expect(arrivedBack.equals(back)).toBe(true);
    expect(await gone).toEqual([undefined, undefined]);
  });

  it('ends the connection of a peer that sends more than it allows, or gives back what was not sent', async () => {
    for (const wrong of ['more', 'grant'] as const) {
      const [near, far] = await tcpPair();
      far.on('error', () => {}).resume();
      const ours = halfClosing(near, { window: 10 });
      const failure = closed(ours);
      far.write(wrong === 'more' ? Buffer.from([0, 11, ...Buffer.alloc(11)]) : Buffer.from('ffff00000001', 'hex'));
      expect(await failure).toMatchObject({ code: 'EPROTO' });
    }
  });
});

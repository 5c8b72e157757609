/** One stream and what it tells the end of the circuit that it belongs to. */
import { describe, expect, it } from 'vitest';
import { basisPoints } from '../../../core/units.ts';
import { MuxStream } from '../../../node/circuit/stream.ts';
import type { StreamHost } from '../../../node/circuit/stream.ts';
import { PRICE } from './net.ts';

/** An end of a circuit that notes what is asked of it. */
class Host implements StreamHost {
  readonly price = PRICE;
  readonly said: string[] = [];
  /** What it holds to be unread, bytes. */
  held = 0;

  ready(): void {}
  finish(): void {}
  talks(): void {}
  heard(): void {}
  fail(): void {}

  consumed(_stream: MuxStream, bytes: number): void {
    this.said.push(`consumed ${bytes}`);
  }

  unread(bytes: number): void {
    this.held += bytes;
  }

  gone(): void {
    this.said.push('gone');
  }
}

describe('a stream whose reader destroys it with what it was given', () => {
  it('reports nothing once it is destroyed: its window is free for others', async () => {
    const host = new Host();
    const stream = new MuxStream(host, 1);
    stream.on('data', (chunk: Buffer) => {
      if (chunk.length > 10) stream.destroy();
    });
    const closed = new Promise((resolve) => stream.once('close', resolve));
    // Flowing streams begin to read a tick later.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    stream.deliver(Buffer.alloc(10), 1024);
    stream.deliver(Buffer.alloc(11), 4096);
    await closed;
    expect(host.said).toEqual(['consumed 1024', 'gone']);
  });

  it('leaves nothing unread behind, however much had been waiting', async () => {
    const host = new Host();
    const stream = new MuxStream(host, 1);
    for (let i = 0; i < 4; i += 1) stream.deliver(Buffer.alloc(60_000), 61_440);
    expect(host.held).toBe(4 * 61_440);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.once('data', () => stream.destroy());
    await closed;
    expect(host.held).toBe(0);
    expect(host.said.at(-1)).toBe('gone');
  });
});

describe('little data in large cells', () => {
  it('is copied out of its cell, and counts as a whole cell until it is read', () => {
    const host = new Host();
    const stream = new MuxStream(host, 1);
    const cell = Buffer.alloc(61_440);
    for (let i = 0; i < 4; i += 1) stream.deliver(cell.subarray(0, 1), cell.length);
    expect(host.held).toBe(4 * cell.length);
    stream.read(0);
    expect((stream.read(1) as Buffer).buffer).not.toBe(cell.buffer);
    expect([host.held, stream.cellBytesReceived]).toEqual([0, 4 * cell.length]);
    stream.destroy();
    expect(host.held).toBe(0);
  });
});

describe('the attribution of a stream', () => {
  it('stays unchanged when new shares are refused, and is empty once there are none', () => {
    const stream = new MuxStream(new Host(), 1);
    const own = { name: 'a.web3', share: basisPoints(10_000) };
    stream.attribute([own]);
    expect(() => stream.attribute([own, { name: 'b.web3', share: basisPoints(1) }])).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
    expect(stream.attribution).toEqual([own]);
    stream.attribute([]);
    expect(stream.attribution).toBeUndefined();
  });
});

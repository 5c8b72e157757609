/** Circuits of real nodes over a line that is slow and far: what is on its way is what the line carries, and no more. */
import { afterEach, describe, expect, it } from 'vitest';
import { DelayProxy } from '../../../bench/page/delay.ts';
import { TestNet, hashOf, patternHash, readAll, sendPattern, u32 } from './net.ts';
import type { NodeSettings, TestNode } from './net.ts';

const MB = 1_000_000;

let net: TestNet;
let line: DelayProxy | undefined;
afterEach(async () => {
  await net.close();
  await line?.[Symbol.asyncDispose]();
});

/** A client whose link to the host goes over that line. */
async function over(
  distance: { readonly roundTripMillis: number; readonly bytesPerSecond: number },
  client: NodeSettings = {},
): Promise<{ readonly client: TestNode; readonly host: TestNode; readonly line: DelayProxy }> {
  net = new TestNet({ transport: 'tcp' });
  const { host } = await net.path(0);
  const port = Number(host.offer.addresses[0]?.split('/').at(-1));
  const opened = await DelayProxy.open({ ...distance, target: () => port });
  line = opened;
  const near = await net.node({ relayPrice: undefined, ...client });
  await near.links.connect(host.id, [`/ip4/127.0.0.1/tcp/${opened.port}`]);
  return { client: near, host, line: opened };
}

describe('a slow line', () => {
  it('holds about what it carries in a round trip, however long a download takes', async () => {
    const distance = { roundTripMillis: 150, bytesPerSecond: 3 * MB };
    const { client, host, line: between } = await over(distance);
    const circuit = await client.endpoint.createCircuit([host.offer], { service: 'source' });
    const length = 16 * MB;
    const stream = await circuit.openStream('source', u32(length));
    let [come, most] = [0, 0];
    stream.on('data', (chunk: Buffer) => {
      come += chunk.length;
      if (come > (length * 3) / 4) most = Math.max(most, between.waiting);
    });
    expect(await hashOf(stream)).toBe(patternHash(length));
    const carries = (distance.bytesPerSecond * distance.roundTripMillis) / 1000;
    expect(most).toBeLessThan(3 * carries);
  });

  it('is not taken for dead while uploads fill it', async () => {
    // The usual times are 20 times as long, so this is 50 kB/s. Credit of these streams comes back all at once, after 2 MiB: 2 s of it.
    const [millis, bytesPerSecond] = [500, MB];
    const timing = { quietMillis: millis, pingMillis: millis };
    const { client, host } = await over({ roundTripMillis: 60, bytesPerSecond }, { timing });
    const circuit = await client.endpoint.createCircuit([host.offer], { service: 'sink' });
    const length = 300_000;
    const upload = async (): Promise<string> => {
      const stream = await circuit.openStream('sink', Buffer.alloc(0));
      const [, answer] = await Promise.all([sendPattern(stream, length), readAll(stream)]);
      return answer.toString();
    };
    const hashes = await Promise.all(Array.from({ length: 16 }, upload));
    expect(hashes).toEqual(hashes.map(() => patternHash(length)));
  });
});

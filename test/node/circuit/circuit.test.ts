import { afterEach, describe, expect, it } from 'vitest';
import { MAX_HOPS } from '../../../core/limits.ts';
import { TestNet, hashOf, patternHash, readAll, sendPattern, u32 } from './net.ts';

let net: TestNet;
afterEach(() => net.close());

describe.each(['memory', 'tcp'] as const)('circuits over %s', (transport) => {
  it.each([0, 1, 2, 3, 4, 5, MAX_HOPS - 1])('echo through %i relays', async (relays) => {
    net = new TestNet({ transport });
    const { client, offers } = await net.path(relays);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const stream = await circuit.openStream('echo', Buffer.alloc(0));
    stream.end('hello through the hops');
    expect((await readAll(stream)).toString()).toBe('hello through the hops');
    expect(await circuit.rttMillis()).toBeGreaterThan(0);
    circuit.destroy();
    expect(await circuit.closed).toBeUndefined();
  });

  it('carries big transfers bit-exact both ways', async () => {
    net = new TestNet({ transport });
    const { client, offers } = await net.path(2);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
    const length = 24 * 1024 * 1024 + 4321;
    const down = await circuit.openStream('source', u32(length));
    const up = await circuit.openStream('sink', Buffer.alloc(0));
    const [got, , answer] = await Promise.all([hashOf(down), sendPattern(up, length, 50_001), readAll(up)]);
    expect(got).toBe(patternHash(length));
    expect(answer.toString()).toBe(patternHash(length));
  });
});

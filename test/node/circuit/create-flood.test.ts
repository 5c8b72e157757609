/** Payers that have as many CREATEs under way as they like: `npm run bench -- load` measures what this counts. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_CREATES_PER_SECOND_AND_LINK } from '../../../core/limits.ts';
import { TestNet, eventually, readAll } from './net.ts';
import type { TestNode } from './net.ts';

const PAYERS = 2;
const AT_ONCE = 64;
const ROUNDS = 3;

let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await net.close();
});

describe('a flood of CREATEs', () => {
  it('gets few answers on each link, and an honest client gets its circuit meanwhile', async () => {
    const { client, offers, host } = await net.path(0);
    const payers = await Promise.all(Array.from({ length: PAYERS }, () => net.node({ relayPrice: undefined })));
    // The first opens the channel.
    const create = async (node: TestNode): Promise<boolean> => {
      try {
        (await node.endpoint.createCircuit(offers, { service: 'echo' })).destroy();
        return true;
      } catch {
        return false;
      }
    };
    await Promise.all([client, ...payers].map(create));
    // All of it comes at once.
    const began = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(began);
    const flood = async (node: TestNode): Promise<number> => {
      let made = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => create(node)));
        made += answers.filter(Boolean).length;
      }
      return made;
    };
    const floods = payers.map(flood);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const stream = await circuit.openStream('echo', Buffer.alloc(0));
    stream.end('through');
    expect((await readAll(stream)).toString()).toBe('through');
    const made = await Promise.all(floods);
    // What is left of one second and the whole of the next.
    for (const count of made) expect(count).toBeLessThanOrEqual(2 * MAX_CREATES_PER_SECOND_AND_LINK);
    vi.restoreAllMocks();
    await eventually(() => host.endpoint.stats().joined).toBe(1);
  });
});

/** A circuit that is built: whoever waits for one that ends is told at once, and CREATE does not tell how long it is. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_CREATES_PER_SECOND_AND_LINK, MAX_HOPS } from '../../../core/limits.ts';
import { decodeCreate } from '../../../node/circuit/messages.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import { TestNet, type TestNode } from './net.ts';

/** Fewer than a link may bring at once, however fast the machine is. */
const MANY = MAX_CREATES_PER_SECOND_AND_LINK - 10;

let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

/** A relay that destroys each circuit in one write with its CREATED. */
function answersAndEnds(link: Link): void {
  const send = link.sendFrame.bind(link);
  link.sendFrame = (frame, type, circuit) => {
    send(frame, type, circuit);
    if (type === FrameType.CREATED) link.send(FrameType.DESTROY, circuit, Buffer.of(0));
  };
}

/** What the CREATEs that a node sends say of the hops to follow. */
function hopsSaid(node: TestNode): number[] {
  const said: number[] = [];
  node.links.onLink((link) => {
    const send = link.sendFrame.bind(link);
    link.sendFrame = (frame, type, circuit) => {
      if (type === FrameType.CREATE) said.push(decodeCreate(frame.subarray(FRAME_HEADER_BYTES)).hops);
      send(frame, type, circuit);
    };
  });
  return said;
}

describe('building a circuit', () => {
  it('fails at once when the first hop answers and ends it before the next one is asked for', async () => {
    const { client, relays, offers } = await net.path(1);
    relays[0]?.links.onLink(answersAndEnds);
    await expect(client.endpoint.createCircuit(offers, { service: 'echo' })).rejects.toMatchObject({
      code: 'CIRCUIT_DESTROYED',
      details: { reason: 'FINISHED' },
    });
    expect(client.endpoint.stats().initiated).toBe(0);
  });

  it.each([1, 3])(
    'tells each hop, over %i relays, the number of hops that follow plus a random number',
    async (count) => {
      const { client, relays, offers } = await net.path(count);
      const [first, ...onward] = [client, ...relays].map(hopsSaid);
      for (let circuit = 0; circuit < MANY; circuit += 1) {
        (await client.endpoint.createCircuit(offers, { service: 'echo' })).destroy();
      }
      expect(first).toHaveLength(MANY);
      expect(Math.min(...(first ?? []))).toBeGreaterThanOrEqual(count);
      expect(Math.max(...(first ?? []))).toBeLessThan(MAX_HOPS);
      expect(new Set(first).size).toBeGreaterThan(2);
      for (const [index, said] of onward.entries()) expect(said).toEqual(first?.map((hops) => hops - index - 1));
    },
  );
});

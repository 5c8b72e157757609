/** A circuit that ends while it is built: whoever waits for it is told at once. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FrameType } from '../../../node/link/index.ts';
import type { Link } from '../../../node/link/index.ts';
import { TestNet } from './net.ts';

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

describe('building a circuit', () => {
  it('fails at once when the first hop answers and ends it before anybody asked for the next', async () => {
    const { client, relays, offers } = await net.path(1);
    relays[0]?.links.onLink(answersAndEnds);
    await expect(client.endpoint.createCircuit(offers, { service: 'echo' })).rejects.toMatchObject({
      code: 'CIRCUIT_DESTROYED',
      details: { reason: 'FINISHED' },
    });
    expect(client.endpoint.stats().initiated).toBe(0);
  });
});

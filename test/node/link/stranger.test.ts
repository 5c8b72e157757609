/** A node that sells nothing is another one on each link: what two relays that put their heads together have of it. */
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FrameType, type Link, type LinkManager } from '../../../node/link/index.ts';
import { createTlsContext, secureInbound } from '../../../node/link/tls.ts';
import {
  TestNodes,
  linkBetween,
  newIdentity as named,
  nextLink,
  offerOf,
  orderedIdentities,
  type TestNode,
} from './nodes.ts';
import { newIdentity } from '../../../platform/keys/identity.ts';

let nodes: TestNodes;
beforeEach(() => {
  nodes = new TestNodes();
});
afterEach(() => nodes.close());

/** The certificate that a relay is shown by who dials it, and nothing more comes of it. */
async function certificateShownBy(links: LinkManager): Promise<X509Certificate> {
  const relay = named();
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const arriving = once(server, 'connection') as Promise<[Socket]>;
  const dialled = links.connect(relay.nodeId, [`/ip4/127.0.0.1/tcp/${port}`]).catch(() => undefined);
  const [raw] = await arriving;
  const { socket } = await secureInbound(raw, createTlsContext(relay), new AbortController().signal);
  const shown = socket.getPeerX509Certificate();
  socket.destroy();
  await dialled;
  server.close();
  if (shown === undefined) throw new Error('no certificate');
  return shown;
}

/** What a certificate says beside its key and the signature, which nobody can compare: all else in its text. */
function restOf(certificate: X509Certificate): unknown {
  const { subject, issuer, serialNumber, validFrom, validTo, raw } = certificate;
  return { subject, issuer, serialNumber, validFrom, validTo, length: raw.length };
}

describe('a stranger', () => {
  let client: TestNode;
  let relays: [TestNode, TestNode];
  beforeEach(async () => {
    client = await nodes.start({ dialAs: newIdentity });
    relays = [await nodes.start(), await nodes.start()];
  });

  it('is another node to each relay, and to the same one when it comes again', async () => {
    const first = await linkBetween(client, relays[0]);
    const second = await linkBetween(client, relays[1]);
    const again = nextLink(relays[0].links);
    await first.near.close();
    await client.links.connect(relays[0].identity.nodeId, relays[0].addresses);
    const third = await again;
    const seen = [first.far.peer, second.far.peer, third.peer];
    expect(new Set([...seen, client.identity.nodeId]).size).toBe(4);
    expect([first.near.self, second.near.self]).toEqual([first.far.peer, second.far.peer]);
    expect(first.far.self).toBe(relays[0].identity.nodeId);
  });

  it('shows certificates that have nothing in common except what all certificates have', async () => {
    const shown = [await certificateShownBy(client.links), await certificateShownBy(client.links)];
    const plain = await nodes.start();
    const anybodys = await certificateShownBy(plain.links);
    const keyOf = (certificate?: X509Certificate): unknown => certificate?.publicKey.export({ format: 'jwk' })['x'];
    expect(keyOf(shown[0])).not.toEqual(keyOf(shown[1]));
    for (const certificate of shown) expect(restOf(certificate)).toEqual(restOf(anybodys));
  });

  it('tells no offer, neither at the start nor later', async () => {
    client.links.setOffer(offerOf(client.identity));
    const heard: unknown[] = [];
    relays[0].links.onOffer((offer) => heard.push(offer));
    const { near, far } = await linkBetween(client, relays[0]);
    expect(far.offer).toBeUndefined();
    client.links.setOffer(offerOf(client.identity, { sequence: 2n }));
    // What was sent before it has arrived.
    await near.ping();
    expect(heard).toEqual([]);
  });

  it('keeps one link to a peer that it dials twice at once', async () => {
    const { nodeId } = relays[0].identity;
    const arrived: Link[] = [];
    relays[0].links.onLink((link) => arrived.push(link));
    const [one, two] = await Promise.all([
      client.links.connect(nodeId, relays[0].addresses),
      client.links.connect(nodeId, relays[0].addresses),
    ]);
    expect(one).toBe(two);
    await one.ping();
    expect(arrived).toHaveLength(1);
  });

  it('is reached by its own name where it listens, whichever end decides', async () => {
    for (const [identity, other] of [orderedIdentities(), orderedIdentities().toReversed()]) {
      const listener = await nodes.start({ identity: identity as NonNullable<typeof identity>, dialAs: newIdentity });
      const dialer = await nodes.start({ identity: other as NonNullable<typeof other> });
      const { near, far } = await linkBetween(dialer, listener);
      expect([near.peer, far.self]).toEqual([listener.identity.nodeId, listener.identity.nodeId]);
      // It has a link to that peer: no other is dialled.
      expect(await listener.links.connect(dialer.identity.nodeId, dialer.addresses)).toBe(far);
      near.send(FrameType.OFFERS_WANTED, 0, new Uint8Array(1));
      await near.ping();
    }
  });
});

/** Paying as another node on each link: the channel is what counts, not by whom it is shown. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PairCounts } from '../../../ledger/accounting/index.ts';
import { FrameType } from '../../../node/link/index.ts';
import { unmetered } from '../../../node/meter/index.ts';
import { encodeClaim, proofMessage } from '../../../node/meter/messages.ts';
import { TestNet, eventually, hashOf, patternHash, u32, type TestNode } from '../circuit/net.ts';

const LENGTH = 3_000_000;
let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

function earning(node: TestNode): PairCounts[] {
  return node.book.peers().filter(({ role }) => role === 'payee');
}

async function fetchOver(client: TestNode, path: readonly TestNode[]): Promise<void> {
  const offers = path.map(({ offer }) => offer);
  const circuit = await client.endpoint.createCircuit(offers, { service: 'source' });
  expect(await hashOf(await circuit.openStream('source', u32(LENGTH)))).toBe(patternHash(LENGTH));
  circuit.destroy();
}

/** The payer's counts and the payee's of the only channel between them, once all is paid. */
async function agreed(client: TestNode, relay: TestNode): Promise<PairCounts> {
  const ends = (): readonly (PairCounts | undefined)[] => {
    const [theirs] = earning(relay);
    return [theirs, client.book.peers().find(({ channel }) => channel.id === theirs?.channel.id)];
  };
  await eventually(() => {
    const [theirs, ours] = ends().map((end) => end && [end.up, end.down, end.due, end.signed].join(' '));
    return theirs !== undefined && theirs === ours && ends()[0]?.due === ends()[0]?.signed;
  }).toBe(true);
  return ends()[0] as PairCounts;
}

describe('a client that is another node on each link', () => {
  it('pays two relays that cannot tell by its node id that they serve the same one', async () => {
    const { relays, host } = await net.path(2);
    const client = await net.node({ relayPrice: undefined, stranger: true });
    const [left, right] = relays as [TestNode, TestNode];
    await fetchOver(client, [left, host]);
    await fetchOver(client, [right, host]);
    const peers = [(await agreed(client, left)).peer, (await agreed(client, right)).peer];
    expect(new Set([...peers, client.id]).size).toBe(3);
    // The wallet is the same still: docs/adr/0034-strangers-on-links.md.
    expect([earning(left)[0]?.channel.payer, earning(right)[0]?.channel.payer]).toEqual([client.wallet, client.wallet]);
  });

  it('goes on with its channel, to the byte, when it comes again as somebody else', async () => {
    const { relays, host } = await net.path(1);
    const client = await net.node({ relayPrice: undefined, stranger: true });
    const [relay] = relays as [TestNode];
    await fetchOver(client, [relay, host]);
    const before = await agreed(client, relay);
    for (let i = 0; i < 2; i += 1) {
      await client.links.get(relay.id)?.close();
      await fetchOver(client, [relay, host]);
    }
    const after = await agreed(client, relay);
    expect(after.channel.id).toBe(before.channel.id);
    expect(after.peer).not.toBe(before.peer);
    expect(after.down).toBeGreaterThan(2n * before.down);
    expect(earning(relay)).toHaveLength(1);
  });

  it('uses a channel on one link, the last on which it presented it', async () => {
    const [relay, payer] = [await net.node(), await net.node({ relayPrice: undefined })];
    const { till, slot, generation, id } = net.ledger.open(
      payer.wallet,
      relay.wallet,
      payer.delegate.address,
      10n ** 12n,
    );
    const shown: TestNode[] = [];
    for (let count = 0; count < 5; count += 1) {
      const other = await net.node({ relayPrice: undefined, wrapMetering: () => unmetered() });
      shown.push(other);
      const link = await other.links.connect(relay.id, relay.offer.addresses);
      link.handle(FrameType.ACCOUNT, () => {});
      const proof = payer.delegate.sign(proofMessage(id, other.id, relay.id));
      link.send(FrameType.CHANNEL, 0, encodeClaim({ till, slot, generation, proof }));
      await eventually(() => relay.metering.walletOf(other.id)).toBe(payer.wallet);
    }
    expect(shown.filter((other) => relay.metering.walletOf(other.id) !== undefined)).toEqual(shown.slice(-1));
  });
});

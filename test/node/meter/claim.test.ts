/** Channels that a payee refuses: what it looks up for a stranger, and how often. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ledgerAddress, type LedgerAddress } from '../../../core/ids.ts';
import { MAX_FAILED_CHANNELS } from '../../../core/limits.ts';
import { amount, unixSeconds } from '../../../core/units.ts';
import { delegateFromSeed } from '../../../ledger/receipt/index.ts';
import { FrameType, type Link } from '../../../node/link/index.ts';
import { TokenBucket } from '../../../core/rate.ts';
import { AccountStatus, encodeClaim, proofMessage } from '../../../node/meter/messages.ts';
import { Sponsors } from '../../../node/meter/sponsor.ts';
import type { ChannelProvider } from '../../../node/meter/index.ts';
import { ContentCounts } from '../../../node/meter/content-counts.ts';
import { MeteredLink } from '../../../node/meter/metered.ts';
import { PRICE, TestNet, eventually } from '../circuit/net.ts';
import type { TestNode } from '../circuit/net.ts';
import { TestNodes } from '../link/nodes.ts';

const NOTHING = Buffer.alloc(0);
let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

describe('a refused channel', () => {
  /** A client whose claims are bad in some way, and the error of its circuit. */
  async function refusedWith(spoil: (client: TestNode, host: TestNode) => void): Promise<unknown> {
    const { client, host, offers } = await net.path(0);
    spoil(client, host);
    return client.endpoint.createCircuit(offers, { service: 'echo' }).catch((error: unknown) => error);
  }

  it('is not on the ledger', async () => {
    const error = await refusedWith((client, host) => {
      net.ledger.open(client.wallet, host.wallet, client.delegate.address, 1000n);
      net.ledger.channel = async () => undefined;
    });
    expect(error).toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  });

  it('pays another wallet', async () => {
    const error = await refusedWith((client, host) => {
      const channel = net.ledger.open(client.wallet, host.wallet, client.delegate.address, 1000n);
      net.ledger.channels.set(`${channel.till}/${channel.slot}`, { ...channel, payee: client.wallet });
      net.ledger.open = () => channel;
    });
    expect(error).toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  });

  /** Strangers' bare links to a node that meters its ends of them. */
  async function strangers(lookups: TokenBucket): Promise<{
    readonly wallet: LedgerAddress;
    readonly nodes: TestNodes;
    /** A new stranger's link, and the statuses that it was answered with. */
    readonly connect: () => Promise<{ readonly link: Link; readonly answers: number[] }>;
  }> {
    const { host } = await net.path(0);
    if (host.book === undefined) throw new Error('the host keeps books');
    const nobody: ChannelProvider = {
      known: () => false,
      openingCost: async () => amount(0n),
      channelTo: () => Promise.reject(new Error('pays nobody')),
    };
    const parts = { wallet: host.wallet, book: host.book, channels: nobody, price: PRICE };
    const nodes = new TestNodes();
    const connect = async (): Promise<{ link: Link; answers: number[] }> => {
      const { near, far } = await nodes.pair({ transport: 'memory' });
      const meter = new MeteredLink(
        far,
        { ...parts, reader: net.ledger },
        { sponsors: new Sponsors(parts.book), lookups, looks: lookups, content: new ContentCounts() },
        50,
      );
      void far.closed.then(() => meter.close());
      const answers: number[] = [];
      near.handle(FrameType.ACCOUNT, (_circuit, payload) => void answers.push(payload[0] ?? -1));
      return { link: near, answers };
    };
    return { wallet: host.wallet, nodes, connect };
  }

  const claimOf = (till: LedgerAddress, slot = 0): Uint8Array =>
    encodeClaim({ till, slot, generation: 1, proof: randomBytes(64) });

  it("of somebody else's till is not even looked at", async () => {
    const { nodes, connect } = await strangers(new TokenBucket(1000, () => 0));
    const { link, answers } = await connect();
    const before = net.ledger.reads;
    for (let index = 1; index < MAX_FAILED_CHANNELS; index += 1) {
      link.send(FrameType.CHANNEL, 0, claimOf(ledgerAddress(randomBytes(32))));
      await eventually(() => answers.length).toBe(index);
    }
    link.send(FrameType.CHANNEL, 0, claimOf(ledgerAddress(randomBytes(32))));
    await link.closed;
    expect(net.ledger.reads).toBe(before);
    expect(new Set(answers)).toEqual(new Set([AccountStatus.NOT_OURS]));
    await nodes.close();
  });

  it('is looked up a limited number of times per second, however many links bring one', async () => {
    const { wallet, nodes, connect } = await strangers(new TokenBucket(3, () => 0));
    const before = net.ledger.reads;
    const told: number[] = [];
    for (let slot = 40; slot < 45; slot += 1) {
      const { link, answers } = await connect();
      link.send(FrameType.CHANNEL, 0, claimOf(wallet, slot));
      await eventually(() => answers.length).toBe(1);
      told.push(...answers);
    }
    expect(net.ledger.reads - before).toBe(3);
    const { UNKNOWN, LIMIT } = AccountStatus;
    expect(told).toEqual([UNKNOWN, UNKNOWN, UNKNOWN, LIMIT, LIMIT]);
    await nodes.close();
  });

  it('is not looked at for a link from which a newer one took it, however often that says that more was burned', async () => {
    const { wallet, nodes, connect } = await strangers(new TokenBucket(1000, () => 0));
    const delegate = delegateFromSeed(randomBytes(32));
    const { slot } = net.ledger.open(ledgerAddress(randomBytes(32)), wallet, delegate.address, 10n ** 9n);
    const channel = await net.ledger.channel(wallet, slot);
    if (channel === undefined) throw new Error('no channel');
    const links: Link[] = [];
    for (let index = 0; index < 2; index += 1) {
      const { link, answers } = await connect();
      const proof = delegate.sign(proofMessage(channel.id, link.self, link.peer));
      link.send(FrameType.CHANNEL, 0, encodeClaim({ till: wallet, slot, generation: 1, proof }));
      await eventually(() => answers).toEqual([AccountStatus.ACCEPTED]);
      links.push(link);
    }
    const before = net.ledger.reads;
    const [older] = links;
    older?.send(FrameType.WIDEN, 0, NOTHING);
    // It ends the link: what came before it has been dealt with.
    older?.send(FrameType.CHANNEL, 0, claimOf(wallet));
    await older?.closed;
    expect(net.ledger.reads).toBe(before);
    await nodes.close();
  });

  it('is being closed', async () => {
    const error = await refusedWith((client, host) => {
      const channel = net.ledger.open(client.wallet, host.wallet, client.delegate.address, 1000n);
      net.ledger.channels.set(`${channel.till}/${channel.slot}`, { ...channel, closeAt: unixSeconds(1n) });
      net.ledger.open = () => channel;
    });
    expect(error).toMatchObject({ code: 'CHANNEL_CLOSING' });
  });

  it("is somebody else's", async () => {
    const victim = await net.node({ relayPrice: undefined });
    const error = await refusedWith((_client, host) => {
      const channel = net.ledger.open(victim.wallet, host.wallet, victim.delegate.address, 1_000_000n);
      net.ledger.open = () => channel;
    });
    expect(error).toMatchObject({ code: 'RECEIPT_INVALID' });
  });

  it('cannot be checked while the ledger is down; after a few such attempts the link is closed', async () => {
    const { client, host, offers } = await net.path(0);
    net.ledger.channel = () => Promise.reject(new Error('down'));
    const codes: unknown[] = [];
    const link = await client.links.connect(host.id, host.offer.addresses);
    for (let index = 0; index < 4; index += 1) {
      codes.push(
        await client.endpoint
          .createCircuit(offers, { service: 'echo' })
          .catch((error: { code: unknown }) => error.code),
      );
    }
    expect(codes).toEqual(Array.from({ length: 4 }, () => 'LEDGER_UNREACHABLE'));
    expect(await link.closed).toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });
});

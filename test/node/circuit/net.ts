/** A small network of real nodes for circuit tests: real links over memory or loopback TCP, metered or not. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { expect } from 'vitest';
import { ledgerAddress } from '../../../core/ids.ts';
import { RelaymintError } from '../../../core/errors.ts';
import type { LedgerAddress, NodeId } from '../../../core/ids.ts';
import { channelId } from '../../../core/ids.ts';
import { silentLog, systemClock } from '../../../core/ports.ts';
import { amount, pricePerMiB, unixMillis } from '../../../core/units.ts';
import type { PricePerMiB } from '../../../core/units.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import type { AccountBook } from '../../../ledger/accounting/index.ts';
import { delegateFromSeed } from '../../../ledger/receipt/index.ts';
import type { Signer } from '../../../ledger/receipt/index.ts';
import { createCircuitEndpoint, onionKeyFromSeed } from '../../../node/circuit/index.ts';
import type { CircuitEndpoint, CircuitTiming } from '../../../node/circuit/index.ts';
import { signOffer, walletBindingMessage, type SignedOffer } from '../../../node/offer/index.ts';
import { identityFromSeed, newIdentity, type NodeIdentity } from '../../../platform/keys/identity.ts';
import { createLinkManager } from '../../../node/link/index.ts';
import type { LinkManager } from '../../../node/link/index.ts';
import { createMetering, unmetered } from '../../../node/meter/index.ts';
import type { ChannelProvider, LinkMeter, Metering } from '../../../node/meter/index.ts';
import {
  createMemoryNetwork,
  createMemoryTransport,
  createPolicy,
  createTcpTransport,
} from '../../../node/transport/index.ts';
import { serveSink, serveSource } from '../../pattern.ts';

export { hashOf, patternHash, sendPattern, u32 } from '../../pattern.ts';

export const PRICE: PricePerMiB = pricePerMiB(1000n);
const WINDOW_HOPS = 4n;
const OPENING_COST = 100n;

export interface NodeSettings {
  /** undefined: does not relay. Default PRICE. */
  readonly relayPrice?: bigint | undefined;
  /** Services besides 'relay', with their price. */
  readonly services?: Readonly<Record<string, bigint>>;
  readonly maxJoinedCircuits?: number;
  readonly timing?: CircuitTiming;
  /** Wraps the book's accounts, to cheat. */
  readonly wrapMetering?: (metering: Metering) => Metering;
  readonly deposit?: bigint;
  /** What opening a channel is said to cost. Default OPENING_COST. */
  readonly openingCost?: bigint;
  /** What the node adds to a channel that runs low. */
  readonly topUp?: bigint;
  /** So many of its top-ups fail first: the ledger is away. Default 0. */
  readonly failedTopUps?: number;
  /** Burns as much again for a channel once it paid much. Default false. */
  readonly widens?: boolean;
  /** Default true. */
  readonly nets?: boolean;
  /** Another node on each link that it dials, as one that sells nothing is. Default false. */
  readonly stranger?: boolean;
}

/** What a node is again after a restart. */
interface Kept {
  readonly settings: NodeSettings;
  readonly seeds: readonly Buffer[];
  readonly books: string;
}

export interface NetSettings {
  readonly transport?: 'memory' | 'tcp';
  readonly metered?: boolean;
}

/** The channels of the test: what a ledger would show. */
export class TestLedger {
  readonly channels: Map<string, ChannelState> = new Map();
  /** What the terms of a payee's till ask a payer to burn: a MiB of the usual circuit. */
  readonly openings: Map<LedgerAddress, bigint> = new Map();
  reads = 0;

  /** Here a till stands at its owner's address. */
  tillAddress(owner: LedgerAddress): LedgerAddress {
    return owner;
  }

  async channel(till: LedgerAddress, slot: number): Promise<ChannelState | undefined> {
    this.reads += 1;
    return this.channels.get(`${till}/${slot}`);
  }

  find(payer: LedgerAddress, payee: LedgerAddress): ChannelState | undefined {
    return [...this.channels.values()].find((channel) => channel.payer === payer && channel.payee === payee);
  }

  /** The payer's channel to `payee`, opened when there is none. */
  open(payer: LedgerAddress, payee: LedgerAddress, delegate: LedgerAddress, deposit: bigint): ChannelState {
    const known = this.find(payer, payee);
    if (known !== undefined) return known;
    const slot = this.channels.size;
    const channel: ChannelState = {
      id: channelId(createHash('sha256').update(`${payee}/${slot}`).digest().subarray(0, 22)),
      till: payee,
      payee,
      slot,
      generation: 1,
      payer,
      delegate,
      deposit: amount(deposit),
      opening: amount(this.openings.get(payee) ?? 0n),
      settled: amount(0n),
      settledUp: 0n,
      settledDown: 0n,
      closeAt: undefined,
    };
    this.channels.set(`${payee}/${slot}`, channel);
    return channel;
  }

  add(channel: ChannelState, value: bigint, burned = 0n): ChannelState {
    const { deposit, opening } = channel;
    const topped = { ...channel, deposit: amount(deposit + value), opening: amount(opening + burned) };
    this.channels.set(`${channel.till}/${channel.slot}`, topped);
    return topped;
  }
}

export interface TestNode {
  readonly id: NodeId;
  readonly identity: NodeIdentity;
  readonly wallet: LedgerAddress;
  readonly delegate: Signer;
  readonly links: LinkManager;
  readonly endpoint: CircuitEndpoint;
  readonly metering: Metering;
  readonly book: AccountBook | undefined;
  readonly offer: SignedOffer;
  close(): Promise<void>;
}

export class TestNet {
  readonly ledger: TestLedger = new TestLedger();
  readonly nodes: TestNode[] = [];
  readonly #settings: Required<NetSettings>;
  readonly #memory = createMemoryNetwork();
  readonly #kept = new Map<TestNode, Kept>();
  #names = 0;

  constructor({ transport = 'memory', metered = false }: NetSettings = {}) {
    this.#settings = { transport, metered };
  }

  async node(settings: NodeSettings = {}): Promise<TestNode> {
    const books = await mkdtemp(join(tmpdir(), 'relaymint-circuit-'));
    return this.#start({ settings, seeds: Array.from({ length: 4 }, () => randomBytes(32)), books });
  }

  /** Stops a node and starts it with the same keys and books. */
  async restart(node: TestNode): Promise<TestNode> {
    const kept = this.#kept.get(node);
    if (kept === undefined) throw new TypeError('not a node of this net');
    await node.close();
    return this.#start(kept);
  }

  async #start(kept: Kept): Promise<TestNode> {
    const { settings, books } = kept;
    const [nodeSeed, walletSeed, delegateSeed, onionSeed] = kept.seeds as [Buffer, Buffer, Buffer, Buffer];
    const identity = identityFromSeed(nodeSeed);
    const walletKey = identityFromSeed(walletSeed);
    const wallet = ledgerAddress(walletKey.publicKey);
    const delegate = delegateFromSeed(delegateSeed);
    const policy = createPolicy({
      transports: [createTcpTransport(), createMemoryTransport(this.#memory)],
      outbound: 'loopback',
    });
    const links = createLinkManager({
      identity,
      ...(settings.stranger === true ? { dialAs: newIdentity } : {}),
      policy,
      clock: systemClock,
      log: silentLog,
    });
    this.#names += 1;
    const where = this.#settings.transport === 'tcp' ? '/ip4/127.0.0.1/tcp/0' : `/memory/node-${this.#names}`;
    const addresses = await links.listen([where]);
    const relayPrice = 'relayPrice' in settings ? settings.relayPrice : PRICE;
    const prices = Object.entries(settings.services ?? {});
    if (relayPrice !== undefined) prices.unshift(['relay', relayPrice]);
    const onionKey = onionKeyFromSeed(onionSeed);
    const offer = signOffer(
      {
        onionKey: onionKey.publicKey,
        wallet,
        walletBinding: walletKey.sign(walletBindingMessage(identity.nodeId)),
        addresses,
        services: prices.map(([name, price]) => ({ name, price: pricePerMiB(price) })),
        sequence: 1n,
        expires: unixMillis(Date.now() + 3_600_000),
      },
      identity,
    );
    links.setOffer(offer);
    const cleanups: (() => Promise<void>)[] = [];
    let failures = settings.failedTopUps ?? 0;
    let metering = unmetered();
    let book: AccountBook | undefined;
    // As `relayWindowPrice`: a window holds a MiB of a circuit whose hops all ask the same.
    const windowPrice = pricePerMiB((relayPrice ?? prices[0]?.[1] ?? 0n) * WINDOW_HOPS);
    this.ledger.openings.set(wallet, windowPrice);
    if (this.#settings.metered) {
      const store = await openBookStore(books);
      book = openAccountBook({ store, reader: this.ledger });
      const channels: ChannelProvider = {
        known: (peerWallet) =>
          [...this.ledger.channels.values()].some(({ payer, payee }) => payer === wallet && payee === peerWallet),
        channelTo: async (peerWallet, _peer, sponsor) => {
          if (this.ledger.find(wallet, peerWallet) === undefined) {
            await sponsor?.advance(amount(settings.openingCost ?? OPENING_COST));
          }
          const deposit = settings.deposit ?? 10n ** 12n;
          return { channel: this.ledger.open(wallet, peerWallet, delegate.address, deposit), delegate };
        },
        openingCost: async (peerWallet) =>
          amount(this.ledger.find(wallet, peerWallet) === undefined ? (settings.openingCost ?? OPENING_COST) : 0n),
        ...(settings.topUp === undefined
          ? {}
          : {
              topUp: async (channel: ChannelState) => {
                if (failures > 0) {
                  failures -= 1;
                  throw new RelaymintError('LEDGER_UNREACHABLE', 'The ledger does not answer.');
                }
                return this.ledger.add(channel, settings.topUp ?? 0n);
              },
            }),
        ...(settings.widens === true
          ? { widen: async (channel: ChannelState) => this.ledger.add(channel, 0n, channel.opening) }
          : {}),
      };
      metering = createMetering({
        wallet,
        book,
        reader: this.ledger,
        channels,
        price: windowPrice,
        idleMillis: 50,
        nets: settings.nets ?? true,
      });
      const opened = book;
      cleanups.push(async () => {
        await opened.close();
        await store.close();
      });
    }
    metering = settings.wrapMetering?.(metering) ?? metering;
    const endpoint = createCircuitEndpoint({
      links,
      metering,
      nodeId: identity.nodeId,
      onionKey,
      ...(relayPrice === undefined ? {} : { relayPrice: pricePerMiB(relayPrice) }),
      ...(settings.maxJoinedCircuits === undefined ? {} : { maxJoinedCircuits: settings.maxJoinedCircuits }),
      ...(settings.timing === undefined ? {} : { timing: settings.timing }),
    });
    let closed = false;
    const node: TestNode = {
      id: identity.nodeId,
      identity,
      wallet,
      delegate,
      links,
      endpoint,
      metering,
      book,
      offer,
      close: async () => {
        if (closed) return;
        closed = true;
        await endpoint.close();
        await metering.close();
        await links.close();
        for (const cleanup of cleanups) await cleanup();
      },
    };
    this.nodes.push(node);
    this.#kept.set(node, kept);
    return node;
  }

  /** A client, `relays` relays and a host that offers `echo` and `sink`. */
  async path(
    relays: number,
    host: NodeSettings = {},
  ): Promise<{ client: TestNode; relays: TestNode[]; host: TestNode; offers: SignedOffer[] }> {
    const client = await this.node({ relayPrice: undefined });
    const hops: TestNode[] = [];
    for (let index = 0; index < relays; index += 1) hops.push(await this.node());
    const last = await this.node({
      relayPrice: undefined,
      services: { echo: PRICE, sink: PRICE, source: PRICE },
      ...host,
    });
    serveEcho(last);
    return { client, relays: hops, host: last, offers: [...hops, last].map((node) => node.offer) };
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.splice(0).map((node) => node.close()));
    for (const { books } of this.#kept.values()) await rm(books, { recursive: true, force: true });
  }
}

/** For `wrapMetering`: shows each meter of a node when its link opens, to be watched or changed. */
export function eachMeter(show: (meter: LinkMeter) => void): (metering: Metering) => Metering {
  return (metering) => {
    const attach = metering.attach.bind(metering);
    metering.attach = (link) => {
      const meter = attach(link);
      show(meter);
      return meter;
    };
    return metering;
  };
}

/** `echo` returns what it gets; `source` and `sink` are those of the pattern. */
export function serveEcho(node: TestNode): void {
  node.endpoint.register('echo', { price: PRICE }, (stream) => stream.pipe(stream));
  node.endpoint.register('source', { price: PRICE }, serveSource);
  node.endpoint.register('sink', { price: PRICE }, serveSink);
}

export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

/** Asks again and again until it is so; patient, for a loaded machine. */
export function eventually<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 30_000, interval: 10 });
}

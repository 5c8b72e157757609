/** A node of the rows `hops-N`: composed as every node is, selling a source and an echo where it is the host. */
import { elapsed } from '../../../core/abort.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { MAX_WINDOW } from '../../../core/limits.ts';
import { MIB, U64_MAX, amount, lamports, parseCredits, pricePerMiB, type PricePerMiB } from '../../../core/units.ts';
import type { Circuit, CircuitStream } from '../../../node/circuit/index.ts';
import { createLog } from '../../../cli/output.ts';
import {
  nodeSection,
  outboundSection,
  reachSection,
  tillSection,
  valuesOf,
  type NodeSettings,
  type NodeTerms,
  type OutboundValues,
} from '../../../app/config/index.ts';
import { openNode, relayWindowPrice, type RunningNode } from '../../../app/node/index.ts';
import { pingPong, serveEcho, serveSource, transfer } from '../load.ts';
import { parseEndpoint, parseTunnels, type Location } from '../../../node/transport/index.ts';
import { SOURCE_SERVICE } from '../protocol.ts';
import type { NodePeer, Peer, PeerCommands, Settled, Way } from '../protocol.ts';
import { TUNNELS } from './raw.ts';

const ECHO_SERVICE = 'echo';
/** A relay's default: 0.01 credits per MiB. */
const PRICE: PricePerMiB = pricePerMiB(10_000n);
/** The faucet's 20 SOL buy 10,000 credits; a deposit of a fifth of that carries 66 GiB over three hops before a top-up. */
const AIRDROP = lamports(20_000_000_000n);
const DEPOSIT = parseCredits('2000');
/** A minute here carries what a home gateway does in a month. */
const UNLIMITED = amount(U64_MAX);
/** Neighbours that dealt with each other for long have widened their windows as far as they go (docs/adr/0028). */
const WIDEST = amount(BigInt(MAX_WINDOW / MIB) * relayWindowPrice(PRICE));
const TILL_SLOTS = 8;
/** How often a hop that is to leave looks whether its circuits have ended, milliseconds. */
const LEAVE_POLL_MILLIS = 20;

export async function openNodePeer(config: NodePeer): Promise<Peer> {
  const node = await openNode(settingsOf(config));
  if (config.part === 'host') {
    node.serve(SOURCE_SERVICE, PRICE, serveSource);
    node.serve(ECHO_SERVICE, PRICE, serveEcho);
  }
  const addresses = await node.announce();
  return {
    where: { nodeId: node.keys.identity.nodeId, addresses },
    commands: config.part === 'initiator' ? initiatorCommands(node, config) : hopCommands(node),
  };
}

/** What a node of a benchmark is opened with. */
export function settingsOf(config: NodePeer): NodeSettings {
  const initiates = config.part === 'initiator';
  const way = wayOut(config.way);
  return {
    role: config.part,
    label: config.label,
    dataDir: config.dataDir,
    node: {
      ...valuesOf(nodeSection(config.part)),
      bootstrap: config.path.map(({ nodeId, addresses: [address = ''] }) => ({ nodeId, address })),
      airdrop: AIRDROP,
      deposit: DEPOSIT,
      maxOpening: WIDEST,
      spendLimit: UNLIMITED,
      spendLimitPeer: UNLIMITED,
    },
    ledger: { ledger: config.ledgerUrl, program: config.programId },
    outbound: { ...valuesOf(outboundSection), ...way },
    peers: { phase: config.way.transport === 'tcp' ? undefined : 'tor-only', prefer: [] },
    reach: initiates ? undefined : { ...valuesOf(reachSection), location: [LOCATIONS[config.way.transport]] },
    till: initiates ? undefined : { ...valuesOf(tillSection), slots: TILL_SLOTS, maxSlots: TILL_SLOTS },
    terms: termsOf(config.part),
    purposes: [],
    tillOpening: WIDEST,
    ...(config.metered ? {} : { unmetered: true }),
    log: createLog('warn', config.label),
  };
}

function termsOf(part: NodePeer['part']): NodeTerms {
  if (part === 'initiator') return { spendLimitSite: UNLIMITED };
  return part === 'relay' ? { relayPrice: PRICE, windowPrice: relayWindowPrice(PRICE) } : { windowPrice: PRICE };
}

const LOCATIONS: Readonly<Record<Way['transport'], readonly Location[]>> = {
  tcp: [],
  tor: [{ kind: 'onion', port: 80 }],
  i2p: [{ kind: 'i2p' }],
};

function wayOut(way: Way): Partial<OutboundValues> {
  switch (way.transport) {
    case 'tcp':
      return { loopbackOnly: true };
    case 'tor':
      return { torSocks: parseEndpoint(way.socks), torControl: parseEndpoint(way.control) };
    default:
      return { i2pSam: parseEndpoint(way.sam), i2pTunnels: parseTunnels(TUNNELS) };
  }
}

interface Joined {
  readonly circuit: Circuit;
  readonly source: CircuitStream;
  readonly echo: CircuitStream;
}

function initiatorCommands(node: RunningNode, { path }: NodePeer): PeerCommands {
  let joined: Joined | undefined;
  const inUse = (): Joined => {
    if (joined === undefined) throw new TypeError('join first');
    return joined;
  };
  return {
    async join() {
      const offers = path.map(({ nodeId }) => {
        const offer = node.discovery.book.get(nodeId);
        if (offer === undefined) throw new RelaymintError('NO_ROUTE', `The offer of ${nodeId} is not known.`);
        return offer;
      });
      const circuit = await node.circuits.createCircuit(offers, { service: SOURCE_SERVICE });
      const nothing = new Uint8Array(0);
      joined = {
        circuit,
        source: await circuit.openStream(SOURCE_SERVICE, nothing),
        echo: await circuit.openStream(ECHO_SERVICE, nothing),
      };
    },
    transfer: (bytes) => transfer(inUse().source, bytes),
    pingPong: (count) => pingPong(inUse().echo, count),
    async leave() {
      const { circuit } = inUse();
      joined = undefined;
      // Both times: the answer comes after all that the other end had still to send.
      await circuit.rttMillis();
      circuit.destroy();
      await Promise.all(node.links.links().map((link) => link.ping()));
      await closeLinks(node);
    },
  };
}

function hopCommands(node: RunningNode): PeerCommands {
  return {
    async leave() {
      while (node.circuits.stats().joined > 0) {
        await elapsed(LEAVE_POLL_MILLIS, undefined);
      }
      await closeLinks(node);
    },
    async meet({ nodeId, addresses }) {
      await node.links.connect(nodeId, addresses);
    },
    async settle(): Promise<Settled> {
      await node.settlement.settleAll();
      const { transactions, receipts } = node.settlement.totals();
      return { transactions, receipts };
    },
  };
}

/** Pays first: what is written before the goodbye arrives before it. */
async function closeLinks(node: RunningNode): Promise<void> {
  node.metering.flush();
  await Promise.all(node.links.links().map((link) => link.close()));
}

/** The stage: honest nodes, an honest stranger who uses the same relay during the attack, and how a row is measured. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Circuit } from '../../node/circuit/index.ts';
import type { SignedOffer } from '../../node/offer/index.ts';
import { SMALLEST_FRAME_BYTES } from '../../core/limits.ts';
import { NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import type { BareNode, NodeSettings, PlayNode } from './node.ts';
import { OPENING, DEPOSIT, PRICE, hashOf, openBareNode, openPlayNode, patternHash, u32 } from './node.ts';
import { TestNodes } from '../node/link/nodes.ts';
import { PaperLedger } from '../node/paper.ts';
import { Payee } from './payee.ts';
import type { Manners } from './payee.ts';
import { Payer } from './payer.ts';
import type { Seed } from './seed.ts';
import type { TappedCircuit } from './tap.ts';

/** What the stranger fetches during the attack, and once more after it, bytes. */
const DURING = 1_500_000;
const AFTER = 200_000;
/** How long a stranger waits for what takes a moment, milliseconds. */
const PATIENCE_MILLIS = 6_000;
/** What a stranger pays for a relay and a host. */
const PATH_PRICE = 2n * PRICE;

/** What a payer of the adversary's puts into a channel, and burns for it. */
interface Funds {
  readonly deposit?: bigint;
  readonly opening?: bigint;
}

export class World {
  readonly ledger: PaperLedger = new PaperLedger();
  readonly nodes: TestNodes = new TestNodes();
  readonly seed: Seed;
  readonly honest: PlayNode[] = [];
  readonly #all: BareNode[] = [];

  constructor(seed: Seed) {
    this.seed = seed;
  }

  /** An honest node. */
  async node(settings: NodeSettings = {}): Promise<PlayNode> {
    const node = await this.bent(settings);
    this.honest.push(node);
    return node;
  }

  /** A node of the adversary's with the real parts, bent. */
  async bent(settings: NodeSettings): Promise<PlayNode> {
    const node = await openPlayNode(this, this.seed, settings);
    this.#all.push(node);
    return node;
  }

  /** A node of the adversary's that speaks by hand. */
  async bare(settings: NodeSettings = {}): Promise<BareNode> {
    const node = await openBareNode(this, this.seed, settings);
    this.#all.push(node);
    return node;
  }

  /** A payee of the adversary's. */
  async payee(manners: Manners = {}, settings: NodeSettings = { services: { source: PRICE } }): Promise<Payee> {
    return new Payee(await this.bare(settings), this.ledger, this.seed, manners);
  }

  /** A payer of the adversary's, with a channel and a link to that node. */
  async payer(to: SignedOffer, funds: Funds = {}, node?: BareNode): Promise<Payer> {
    const bare = node ?? (await this.bare());
    const { deposit = DEPOSIT, opening = OPENING } = funds;
    const channel = bare.purse.open(to.wallet, bare.delegate.address, deposit, opening);
    return Payer.present(bare, to, channel, this.seed);
  }

  async close(): Promise<void> {
    // Whoever pays leaves first, so that nobody waits for a payer that is gone.
    await Promise.all(this.#all.toReversed().map((node) => node.close()));
  }
}

/** A relay and a host, both honest, and a stranger whose circuit goes through them. */
export class Scene {
  readonly world: World;
  readonly relay: PlayNode;
  readonly host: PlayNode;
  readonly #strangers: Stranger[];
  /** Of the relay to the host, before the attack. */
  readonly #before: ReadonlySet<TappedCircuit>;
  #linksLost = 0;

  private constructor(world: World, relay: PlayNode, host: PlayNode, strangers: Stranger[]) {
    this.world = world;
    this.relay = relay;
    this.host = host;
    this.#strangers = strangers;
    this.#before = new Set(relay.taps.flatMap((tap) => [...tap.circuits.values()]));
    const friends = new Set(world.honest.map((node) => node.id));
    for (const node of world.honest) {
      for (const tap of node.taps) {
        if (tap.link.dialer && friends.has(tap.peer)) void tap.link.closed.then(() => (this.#linksLost += 1));
      }
    }
  }

  static async open(
    world: World,
    settings: { readonly relay?: NodeSettings; readonly host?: NodeSettings } = {},
  ): Promise<Scene> {
    const host = await world.node({ services: { source: PRICE, sink: PRICE }, ...settings.host });
    const relay = await world.node({ relayPrice: PRICE, ...settings.relay });
    const stranger = await Stranger.come(world, [relay.offer, host.offer]);
    return new Scene(world, relay, host, [stranger]);
  }

  /** What the adversary pays a relay that pays the host, base units per MiB. */
  get pathPrice(): bigint {
    return PATH_PRICE;
  }

  /** Another stranger, over honest nodes of the play. */
  async addStranger(path: readonly SignedOffer[]): Promise<void> {
    this.#strangers.push(await Stranger.come(this.world, path));
  }

  /** Plays the attack while the strangers fetch something, and lets them fetch once more when it is over. */
  async during(attack: () => Promise<void>): Promise<void> {
    const fetching = this.#strangers.map((stranger) => stranger.fetch(DURING));
    await attack();
    await Promise.all(fetching);
    await Promise.all(this.#strangers.map((stranger) => stranger.fetch(AFTER)));
  }

  get strangersHarmed(): number {
    return this.#strangers.filter((stranger) => stranger.harmed).length;
  }

  get linksLost(): number {
    return this.#linksLost;
  }

  /**
   * What honest `node` did for those payers and was not paid for: frames both ways at the agreed price, and what it had to pay
   * onward for frames that it could not pass on to them. Base units.
   */
  unpaid(
    node: PlayNode,
    payers: readonly BareNode[],
    onward?: { readonly to: BareNode; readonly price: bigint },
  ): bigint {
    const ids = new Set(payers.map(({ id }) => id));
    const taps = node.taps.filter((tap) => ids.has(tap.peer));
    const served = taps.reduce((sum, tap) => sum + tap.due(false), 0n);
    const got = new Map<string, bigint>();
    for (const tap of taps) for (const [channel, most] of tap.got) got.set(channel, max(got.get(channel) ?? 0n, most));
    const paid = [...got.values()].reduce((sum, most) => sum + most, 0n);
    const lost = onward === undefined ? 0n : this.#lostOnward(node, ids, onward);
    return max(served - paid, 0n) + lost;
  }

  /** What an honest payer signed or owes to those payees for circuits that it wants no more, or for frames of nothing. */
  late(node: PlayNode, payees: readonly BareNode[]): bigint {
    const ids = new Set(payees.map(({ id }) => id));
    let numerator = 0n;
    for (const tap of node.taps) {
      if (!ids.has(tap.peer)) continue;
      for (const circuit of tap.circuits.values()) {
        if (circuit.ours) numerator += BigInt(circuit.late) * circuit.price;
      }
    }
    return numerator >> NUMERATOR_BITS;
  }

  /** What an honest payer signed or owes to those payees beyond what it asked for: base units. `wanted` in bytes of frames at `price`. */
  signedBy(node: PlayNode, payees: readonly BareNode[]): bigint {
    const ids = new Set(payees.map(({ id }) => id));
    const most = new Map<string, bigint>();
    for (const tap of node.taps) {
      if (!ids.has(tap.peer)) continue;
      for (const [channel, signed] of tap.signed) most.set(channel, max(most.get(channel) ?? 0n, signed));
    }
    return [...most.values()].reduce((sum, signed) => sum + signed, 0n);
  }

  #lostOnward(node: PlayNode, payers: ReadonlySet<string>, { to, price }: { to: BareNode; price: bigint }): bigint {
    let came = 0;
    let passed = 0;
    for (const tap of node.taps) {
      for (const circuit of tap.circuits.values()) {
        if (this.#before.has(circuit)) continue;
        if (tap.peer === to.id && circuit.ours) came += circuit.relayIn;
        if (!payers.has(tap.peer) || circuit.ours || circuit.relayOutFrames === 0) continue;
        // The answer to EXTEND is the relay's own.
        passed += circuit.relayOut - SMALLEST_FRAME_BYTES;
      }
    }
    return came > passed ? (BigInt(came - passed) * price) >> NUMERATOR_BITS : 0n;
  }
}

/** An honest client with one circuit that lasts for the whole play. */
class Stranger {
  readonly node: PlayNode;
  readonly #circuit: Circuit;
  harmed = false;

  constructor(node: PlayNode, circuit: Circuit) {
    this.node = node;
    this.#circuit = circuit;
  }

  static async come(world: World, path: readonly SignedOffer[]): Promise<Stranger> {
    const node = await world.node();
    const circuit = await node.endpoint.createCircuit(path, { service: 'source' });
    return new Stranger(node, circuit);
  }

  /** Fetches so many bytes over the one circuit; it is harmed when they do not all arrive as they were sent. */
  async fetch(bytes: number): Promise<void> {
    const patience = new AbortController();
    const late = delay(PATIENCE_MILLIS, undefined, { signal: patience.signal, ref: false });
    try {
      const hash = await Promise.race([this.#hash(bytes), late]);
      if (hash !== patternHash(bytes)) this.harmed = true;
    } catch {
      this.harmed = true;
    } finally {
      patience.abort();
      late.catch(() => {});
    }
  }

  async #hash(bytes: number): Promise<string> {
    const stream = await this.#circuit.openStream('source', u32(bytes));
    stream.on('error', () => {});
    return hashOf(stream);
  }
}

export function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

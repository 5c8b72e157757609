/**
 * A whole marketplace in one process: relays, hosts, a gateway and publishers over the memory transport and the embedded ledger,
 * with a clock that can be moved. For tests, benchmarks and site developers; nothing leaves the process but loopback HTTP.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { silentLog, systemClock, type Clock, type Log } from '../../core/ports.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import {
  EMBEDDED_PROGRAM_ID,
  programFile,
  startEmbeddedLedger,
  type EmbeddedLedger,
} from '../../ledger/solana/index.ts';
import { createMemoryNetwork, createMemoryTransport, type MemoryNetwork } from '../../node/transport/index.ts';
import type { ManifestTerms } from '../../sites/manifest/index.ts';
import { valuesOf, type Said, type Section } from '../config/index.ts';
import type * as Publisher from '../roles/publisher.ts';
import { openNode, type RunningNode } from '../node/index.ts';
import {
  baseSection,
  earnerSection,
  gateway as gatewayRole,
  host as hostRole,
  hostsWanted,
  relay as relayRole,
  settingsOf,
  site as siteRole,
  type BaseValues,
  type EarnerValues,
  type Role,
  type RunningRole,
  type SiteValues,
} from '../roles/index.ts';

export interface TestnetOptions {
  /** Default 3, as a gateway's circuits need. */
  readonly relays?: number;
  /** Default 1. */
  readonly hosts?: number;
  /** SOL that each node gets from the faucet; half of it buys credits. Default 20. */
  readonly airdrop?: string;
  readonly log?: Log;
}

/** A clock that goes on by itself, and can be moved forward. */
export class TestClock implements Clock {
  #ahead = 0;

  now(): UnixMillis {
    return unixMillis(systemClock.now() + this.#ahead);
  }

  /** @param millis 0 or more: nothing in the house expects a clock that a test turns back */
  advance(millis: number): void {
    this.#ahead += millis;
  }
}

/** Disposing it stops that node alone, as Ctrl-C does. Opened again with its label, it has its keys, books and content. */
export interface TestnetNode extends AsyncDisposable {
  readonly node: RunningNode;
  /** What its role reports. */
  readonly role: RunningRole;
  readonly addresses: readonly string[];
  /** Fields of its ready event: a gateway's URL. */
  readonly ready: Readonly<Record<string, unknown>>;
}

export interface TestnetSite {
  /** With its TLD: demo.web3. */
  readonly name: string;
  readonly root: string;
  readonly files: number;
  /** Those that took it, at least one. */
  readonly hosts: readonly string[];
  /** What of the folder was left out, and why. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

/** Settings of a node: texts, as on the command line. */
export type SaidOf<Own> = { readonly [K in keyof Own | keyof BaseValues | keyof EarnerValues]?: Said };

export interface Testnet extends AsyncDisposable {
  readonly ledger: EmbeddedLedger;
  readonly clock: TestClock;
  readonly relays: readonly TestnetNode[];
  readonly hosts: readonly TestnetNode[];
  readonly gateway: TestnetNode;
  /** Where browsers find the gateway. */
  readonly url: string;
  /** Runs one more node. */
  open<Own>(role: Role<Own>, label: string, said?: SaidOf<NoInfer<Own>>): Promise<TestnetNode>;
  /**
   * Publishes a folder to a host and points a name at it, as `relaymint site publish` does with the settings `said`, and a manifest file that
   * says `terms`. A name that was published before is published anew, by who has it.
   */
  publish(directory: string, name: string, said?: SaidOf<SiteValues>, terms?: ManifestTerms): Promise<TestnetSite>;
  /** Moves the clock of all nodes, and of the chain, forward. */
  advance(seconds: number): Promise<void>;
}

/** Starts it; each node is announced when it resolves. */
export async function createTestnet(options: TestnetOptions = {}): Promise<Testnet> {
  const { relays = 3, hosts = 1, airdrop = '20', log = silentLog } = options;
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-testnet-'));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const clock = new TestClock();
  const ledger = stack.use(
    await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID, log }),
  );
  const ground = new Ground({ folder, ledger, clock, airdrop, log });
  stack.defer(() => ground.close());
  const running = { relays: [] as TestnetNode[], hosts: [] as TestnetNode[] };
  for (let number = 1; number <= relays; number += 1) {
    running.relays.push(await ground.open(relayRole, `relay-${number}`));
  }
  for (let number = 1; number <= hosts; number += 1) {
    running.hosts.push(await ground.open(hostRole, `host-${number}`));
  }
  const gateway = await ground.open(gatewayRole, 'gateway', { port: '0', relays: String(Math.min(relays, 3)) });
  const owned = stack.move();
  return {
    ledger,
    clock,
    ...running,
    gateway,
    url: String(gateway.ready['gateway']),
    open: (role, label, said) => ground.open(role, label, said),
    publish: (...site) => ground.publish(...site),
    advance: async (seconds) => {
      clock.advance(seconds * 1_000);
      await ledger.warp(seconds);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface GroundParts {
  readonly folder: string;
  readonly ledger: EmbeddedLedger;
  readonly clock: Clock;
  readonly airdrop: string;
  readonly log: Log;
}

/** What all nodes share. */
class Ground {
  readonly #parts: GroundParts;
  readonly #network: MemoryNetwork = createMemoryNetwork();
  readonly #nodes = new AsyncDisposableStack();
  /** The first node, from which the others learn. */
  #first: string | undefined;
  /** Labels of those who publish, by name. */
  readonly #publishers = new Map<string, string>();

  constructor(parts: GroundParts) {
    this.#parts = parts;
  }

  async open<Own>(role: Role<Own>, label: string, said?: SaidOf<NoInfer<Own>>): Promise<TestnetNode> {
    const section: Section<Own> = role.settings;
    const own = valuesOf(section, said ?? {});
    await using stack = new AsyncDisposableStack();
    const node = stack.use(await this.#openNode(role, label, own, said));
    const running = stack.use(await role.start(node, own));
    const addresses = await node.announce();
    this.#first ??= `${node.keys.identity.nodeId}@${addresses[0]}`;
    const ready = { ...(await running.announced?.()) };
    const owned = stack.move();
    return this.#nodes.use({
      node,
      role: running,
      addresses,
      ready,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    });
  }

  async publish(...[directory, name, said, terms]: Parameters<Testnet['publish']>): Promise<TestnetSite> {
    const { publish } = await publisher();
    const label = this.#publishers.get(name) ?? `site-${this.#publishers.size + 1}`;
    this.#publishers.set(name, label);
    const section: Section<SiteValues> = siteRole.settings;
    const own = valuesOf(section, said ?? {});
    await using node = await this.#openNode(siteRole, label, own, undefined);
    await node.announce();
    const { signal } = new AbortController();
    const published = await publish(node, {
      directory,
      name,
      terms,
      royaltyBps: own.royalty,
      years: own.years,
      hosts: own.host,
      replicas: hostsWanted(own),
      relays: own.relays,
      signal,
      onImport: () => {},
      onUpload: () => {},
      onRegistration: () => {},
    });
    const { cid: root, files, hosts, skipped } = published;
    return { name: published.name, root, files, hosts, skipped };
  }

  async close(): Promise<void> {
    await this.#nodes.disposeAsync();
  }

  #openNode<Own>(
    role: Pick<Role<Own>, 'name' | 'earns' | 'purposes' | 'terms'>,
    label: string,
    own: Own,
    said: SaidOf<Own> | undefined,
  ): Promise<RunningNode> {
    const { folder, ledger, clock, airdrop, log } = this.#parts;
    const base = valuesOf(baseSection(role), {
      data: path.join(folder, label),
      label,
      ledger: ledger.url,
      program: EMBEDDED_PROGRAM_ID,
      bootstrap: this.#first,
      airdrop,
      loopbackOnly: true,
      ...said,
    });
    const earner = valuesOf(earnerSection, { listen: `/memory/${label}`, ...said });
    const settings = settingsOf(role, { ...base, ...earner, ...own }, () => log);
    return openNode({ ...settings, world: { transports: [createMemoryTransport(this.#network)], clock } });
  }
}

/** Not before something is published. In a function of its own: where `await using` is, the compiler leaves the file's name as it is in the sources. */
function publisher(): Promise<typeof Publisher> {
  return import('../roles/publisher.ts');
}

/** One row: its processes, and its turn in a round. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { Carried, Turn } from './figures.ts';
import { PeerProcess, type AskedPeer } from './process.ts';
import type { NodePeer, PeerConfig, Way, Where } from './protocol.ts';

/** Messages there and back in one turn: enough for a p99, a moment even over three hops. */
const MESSAGES = 1000;

export interface RowOptions {
  readonly name: string;
  readonly shape: Shape;
  readonly way: Way;
  /** Each node's files go into a directory of their own in here. */
  readonly directory: string;
  readonly ledgerUrl: string;
  readonly programId: LedgerAddress;
  readonly signal: AbortSignal;
}

/** What stands between the two ends of a row. */
export type Shape =
  | { readonly kind: 'plain'; readonly tls: boolean }
  | { readonly kind: 'circuit'; readonly hops: number; readonly metered: boolean };

/** Application bytes of one turn. */
export interface TurnSize {
  readonly bytes: number;
  /** Carried right before and not counted: a network that limits lets pass at first what it saved up while nothing came. */
  readonly leadBytes: number;
}

/** What a warm-up put on chain. */
export interface WarmUp {
  readonly transactions: number;
  readonly receipts: number;
}

export class Row implements AsyncDisposable {
  readonly name: string;
  readonly #shape: Shape;
  readonly #initiator: AskedPeer;
  /** The first hop first, the one that serves last. */
  readonly #hops: readonly AskedPeer[];
  readonly #owned: AsyncDisposable;

  private constructor(
    { name, shape }: RowOptions,
    initiator: AskedPeer,
    hops: readonly AskedPeer[],
    owned: AsyncDisposable,
  ) {
    this.name = name;
    this.#shape = shape;
    this.#initiator = initiator;
    this.#hops = hops;
    this.#owned = owned;
  }

  /** Starts the row's processes. @throws RelaymintError INTERNAL, ABORTED. */
  static async start(options: RowOptions): Promise<Row> {
    const { name, shape, way, signal } = options;
    await using stack = new AsyncDisposableStack();
    const launch = async (part: Part, label: string, to: readonly Where[]): Promise<AskedPeer> => {
      const config: PeerConfig =
        shape.kind === 'plain'
          ? { kind: 'plain', way, tls: shape.tls, to: to[0] }
          : nodeOf(options, shape.metered, { part, label, to });
      return stack.use(new PeerProcess(`${name}-${label}`, config, signal)).peer(0);
    };
    const relays = shape.kind === 'plain' ? 0 : shape.hops - 1;
    const hops = await Promise.all(hopsOf(relays).map(([part, label]) => launch(part, label, [])));
    const initiator = await launch('initiator', 'initiator', await Promise.all(hops.map((hop) => hop.where())));
    await initiator.where();
    return new Row(options, initiator, hops, stack.move());
  }

  /** Two circuits of as many hops whose nodes share processes, hop by hop. Closing one of them ends both. */
  static async startBoth(
    options: Omit<RowOptions, 'shape'>,
    { hops, metered }: { readonly hops: number; readonly metered: readonly [boolean, boolean] },
  ): Promise<readonly [Row, Row]> {
    await using stack = new AsyncDisposableStack();
    const launch = (part: Part, label: string, paths: readonly [readonly Where[], readonly Where[]]): PeerProcess => {
      const nodes = paths.map((to, index) =>
        nodeOf(options, metered[index] === true, { part, label: `${label}-${index}`, to }),
      );
      return stack.use(new PeerProcess(`${options.name}-${label}`, { kind: 'shared', nodes }, options.signal));
    };
    const path = hopsOf(hops - 1).map(([part, label]) => launch(part, label, [[], []]));
    const whereOf = (index: number): Promise<Where[]> => Promise.all(path.map((hop) => hop.peer(index).where()));
    const initiator = launch('initiator', 'initiator', [await whereOf(0), await whereOf(1)]);
    await initiator.peer(0).where();
    const owned = stack.move();
    const row = (index: 0 | 1): Row =>
      new Row(
        { ...options, shape: { kind: 'circuit', hops, metered: metered[index] } },
        initiator.peer(index),
        path.map((hop) => hop.peer(index)),
        owned,
      );
    return [row(0), row(1)];
  }

  /**
   * Makes the ends acquainted: carries `bytes`, pays and settles them, then opens the path anew (on metered links with
   * the windows that settled history earns) and carries as much once more, so that every row's code is warm.
   */
  async warmUp(bytes: number): Promise<WarmUp> {
    await this.#initiator.ask('join');
    await this.#initiator.ask('transfer', bytes);
    let transactions = 0;
    let receipts = 0;
    if (this.#shape.kind === 'circuit') {
      const { metered } = this.#shape;
      await this.#leave();
      for (const hop of metered ? this.#hops : []) {
        const settled = await hop.ask('settle');
        transactions += settled.transactions;
        receipts += settled.receipts;
      }
      if (metered && receipts < this.#hops.length) {
        throw new RelaymintError(
          'INTERNAL',
          `The warm-up of ${this.name} did not settle: its windows would not be what is said.`,
        );
      }
      await this.#initiator.ask('join');
    }
    await this.#initiator.ask('transfer', bytes);
    return { transactions, receipts };
  }

  /** New links, a new circuit and new streams, which carry so much before they are measured. */
  async reopen(bytes: number): Promise<void> {
    await this.#leave();
    for (const [index, hop] of this.#hops.slice(0, -1).entries()) {
      const next = await this.#hops[index + 1]?.where();
      if (next !== undefined) await hop.ask('meet', next);
    }
    await this.#initiator.ask('join');
    await this.#initiator.ask('transfer', bytes);
  }

  async #leave(): Promise<void> {
    await this.#initiator.ask('leave');
    for (const hop of this.#hops) await hop.ask('leave');
  }

  async turn({ bytes, leadBytes }: TurnSize): Promise<Turn> {
    const { p50, p99 } = await this.#initiator.ask('pingPong', MESSAGES);
    if (leadBytes > 0) await this.#initiator.ask('transfer', leadBytes);
    return { ...(await this.carry(bytes)), rttP50Us: p50, rttP99Us: p99 };
  }

  async carry(bytes: number): Promise<Carried> {
    const before = await this.#cpuMicros();
    const millis = await this.#initiator.ask('transfer', bytes);
    return { bytes, millis, cpuMicros: (await this.#cpuMicros()) - before };
  }

  async #cpuMicros(): Promise<number> {
    const each = await Promise.all([this.#initiator, ...this.#hops].map((peer) => peer.ask('cpuMicros')));
    return each.reduce((sum, micros) => sum + micros, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]();
  }
}

type Part = NodePeer['part'];

/** The first one first, the one that serves last; with their labels. */
function hopsOf(relays: number): readonly (readonly [Part, string])[] {
  const names = Array.from({ length: relays }, (_, index): [Part, string] => ['relay', `relay-${index + 1}`]);
  return [...names, ['host', 'host']];
}

function nodeOf(
  { name, way, directory, ledgerUrl, programId }: Omit<RowOptions, 'shape'>,
  metered: boolean,
  { part, label, to }: { readonly part: Part; readonly label: string; readonly to: readonly Where[] },
): NodePeer {
  return {
    kind: 'node',
    way,
    part,
    label: `${name}-${label}`,
    dataDir: path.join(directory, `${name}-${label}`),
    ledgerUrl,
    programId,
    metered,
    path: to,
  };
}

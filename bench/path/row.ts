/** One row: its processes, and its turn in a round. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { Turn } from './figures.ts';
import { PeerProcess } from './process.ts';
import type { PeerConfig, Way, Where } from './protocol.ts';

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
  readonly #initiator: PeerProcess;
  /** The first hop first, the one that serves last. */
  readonly #hops: readonly PeerProcess[];
  readonly #owned: AsyncDisposable;

  private constructor(
    { name, shape }: RowOptions,
    initiator: PeerProcess,
    hops: readonly PeerProcess[],
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
    const launch = (part: string, config: PeerConfig): PeerProcess =>
      stack.use(new PeerProcess(`${name}-${part}`, config, signal));
    const configOf = (part: 'initiator' | 'relay' | 'host', label: string, to: readonly Where[]): PeerConfig =>
      shape.kind === 'plain'
        ? { kind: 'plain', way, tls: shape.tls, to: to[0] }
        : {
            kind: 'node',
            way,
            part,
            label: `${name}-${label}`,
            dataDir: path.join(options.directory, `${name}-${label}`),
            ledgerUrl: options.ledgerUrl,
            programId: options.programId,
            metered: shape.metered,
            path: to,
          };
    const hops: PeerProcess[] = [];
    for (let relay = 1; shape.kind === 'circuit' && relay < shape.hops; relay += 1)
      hops.push(launch(`relay-${relay}`, configOf('relay', `relay-${relay}`, [])));
    hops.push(launch('host', configOf('host', 'host', [])));
    const whole = await Promise.all(hops.map((hop) => hop.where()));
    const initiator = launch('initiator', configOf('initiator', 'initiator', whole));
    await initiator.where();
    return new Row(options, initiator, hops, stack.move());
  }

  get processes(): number {
    return 1 + this.#hops.length;
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
      await this.#initiator.ask('leave');
      for (const hop of this.#hops) await hop.ask('leave');
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

  async turn({ bytes, leadBytes }: TurnSize): Promise<Turn> {
    const { p50, p99 } = await this.#initiator.ask('pingPong', MESSAGES);
    if (leadBytes > 0) await this.#initiator.ask('transfer', leadBytes);
    const before = await this.#cpuMicros();
    const millis = await this.#initiator.ask('transfer', bytes);
    const cpuMicros = (await this.#cpuMicros()) - before;
    return { bytes, millis, cpuMicros, rttP50Us: p50, rttP99Us: p99 };
  }

  async #cpuMicros(): Promise<number> {
    const each = await Promise.all([this.#initiator, ...this.#hops].map((peer) => peer.ask('cpuMicros')));
    return each.reduce((sum, micros) => sum + micros, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]();
  }
}

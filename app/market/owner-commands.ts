/** What owners of names do in a marketplace, each a `relaymint` command on that owner's data folder. */
import path from 'node:path';
import type { Log } from '../../core/ports.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import type { Cluster } from './cluster.ts';
import {
  followingSchema,
  publishedSchema,
  saidSchema,
  threadSchema,
  type Following,
  type PostId,
  type Published,
  type Said,
  type Thread,
} from './events.ts';
import type { MarketLayout } from './layout.ts';
import { MarketProcess, runCommand, type ProcessOptions } from './process.ts';
import type { Live, Post, Showing } from './showing.ts';
import { trafficAt } from './traffic.ts';

export interface OwnerCommandsOptions {
  readonly cluster: Pick<Cluster, 'joinArgs' | 'seedArgs'>;
  /** How long a command may take to be ready, milliseconds. */
  readonly readyMillis: number;
  readonly layout: Pick<MarketLayout, 'root' | 'dirOf'>;
  readonly logLevel: string;
  readonly log: Log;
  readonly onLogLine: (label: string, line: string) => void;
  readonly signal: AbortSignal;
}

/** What each owner is given on the test ledger, in SOL. */
const OWNER_SOL = '20';
/** Positions of a round are looked at later in it. */
const ROUND_LIFE = '2h';
/** Positions that nobody renews are shown no longer than this. */
const LIFE = '30s';

export class OwnerCommands {
  readonly #options: OwnerCommandsOptions;

  constructor(options: OwnerCommandsOptions) {
    this.#options = options;
  }

  /** @throws RelaymintError INTERNAL with the command's last output. */
  async publish({ directory, name, owner, publishArgs }: Showing): Promise<Published> {
    const args = ['site', 'publish', directory, '--name', name, ...publishArgs];
    return await runCommand(this.#command(owner, args), publishedSchema, 'published');
  }

  /** What was said in a thread before. @throws RelaymintError INTERNAL with the command's last output. */
  async thread({ name, path: page, owner }: Post): Promise<Thread> {
    return await runCommand(this.#command(owner, ['post', 'list', name, page]), threadSchema, 'thread');
  }

  /** @param answered the post that it answers, if it answers one. @throws RelaymintError INTERNAL with the command's last output. */
  async post({ name, path: page, as, owner, text }: Post, answered: PostId | undefined): Promise<Said> {
    const answer = answered === undefined ? [] : ['--answer', `${answered.author}/${answered.sequence}`];
    const args = ['post', 'write', name, page, text, '--as', as, ...answer];
    return await runCommand(this.#command(owner, args), saidSchema, 'said');
  }

  /** Says once where the boats of a name are now. @throws RelaymintError INTERNAL with the command's last output. */
  async sayTraffic(live: Live): Promise<Said> {
    await this.writeTraffic(live);
    const args = ['route', 'update', live.name, this.#fileOf(live), '--life', ROUND_LIFE];
    return await runCommand(this.#command(live.owner, args), saidSchema, 'said');
  }

  /** Says where they are whenever `writeTraffic` was called, until it is disposed. */
  async followTraffic(live: Live): Promise<AsyncDisposable> {
    await this.writeTraffic(live);
    const args = ['route', 'update', live.name, this.#fileOf(live), '--watch', '--life', LIFE];
    const child = new MarketProcess<Following>(this.#command(live.owner, args), followingSchema);
    await child.start();
    return child;
  }

  async writeTraffic(live: Live): Promise<void> {
    await replaceFile(this.#fileOf(live), Buffer.from(JSON.stringify(trafficAt(live.timetable, Date.now()))));
  }

  #fileOf({ name }: Live): string {
    return path.join(this.#options.layout.root, `${name}.geojson`);
  }

  #command(owner: string, args: readonly string[]): ProcessOptions {
    const { cluster, layout, logLevel, log, onLogLine, signal, readyMillis } = this.#options;
    const place = ['--json', '--log-level', logLevel, '--data', layout.dirOf(owner), '--airdrop', OWNER_SOL];
    // Keys that come of a seed come of the label too: without it all owners would be one.
    const keys = ['--label', owner, ...cluster.seedArgs];
    return {
      label: owner,
      args: () => [...args, ...place, ...cluster.joinArgs, ...keys],
      log,
      onLogLine,
      signal,
      readyMillis,
    };
  }
}

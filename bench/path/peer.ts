/**
 * The entry of every process of a row. It ends when the channel to the benchmark closes, whether the benchmark closed it
 * or died, and takes its own files with it.
 */
import { rmSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import type { CommandName, Peer, PeerCommands, PeerConfig, Question, Word } from './protocol.ts';

const config = JSON.parse(process.argv[2] ?? 'null') as PeerConfig;

/** For what other threads of this process are writing when it is to end, milliseconds: it may come after the removal. */
const LEAVING_MILLIS = 100;

// However it ends: the ledger dies with the benchmark, and what asks it fails before the channel is seen to close.
process.once('exit', removeOwn);
process.once('disconnect', leave);
if (!process.connected) leave();

function leave(): void {
  removeOwn();
  setTimeout(() => process.exit(0), LEAVING_MILLIS);
}

function removeOwn(): void {
  if (config.kind === 'node') removeFiles(config.dataDir);
  if (config.kind === 'shared') for (const { dataDir } of config.nodes) removeFiles(dataDir);
}

function removeFiles(directory: string): void {
  // What a library still writes in another thread makes it fail for a moment.
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  try {
    rmdirSync(path.dirname(directory));
  } catch {
    // Others still have theirs in it: the last one to leave removes it.
  }
}

/** Loads only what its kind needs, so that a plain row's processes stay plain. */
async function open(): Promise<readonly Peer[]> {
  if (config.kind === 'plain') {
    const { way } = config;
    if (way.transport !== 'tcp') return [await (await import('./peers/raw.ts')).openRawPeer(config, way)];
    return [await (await import('./peers/plain.ts')).openPlainPeer(config)];
  }
  const { openNodePeer } = await import('./peers/node.ts');
  return Promise.all((config.kind === 'shared' ? config.nodes : [config]).map(openNodePeer));
}

function say(word: Word): void {
  // Nobody is left to hear it when this fails: 'disconnect' follows.
  process.send?.(word, undefined, {}, () => {});
}

async function answer(all: readonly Peer[], { id, peer, command, args }: Question): Promise<void> {
  try {
    say({ type: 'answer', id, value: await call(all[peer]?.commands ?? {}, command, args) });
  } catch (error) {
    say({ type: 'failed', id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

function call(commands: PeerCommands, name: CommandName, args: readonly unknown[]): Promise<unknown> {
  const command = commands[name] as ((...values: readonly unknown[]) => Promise<unknown>) | undefined;
  if (command === undefined) throw new TypeError(`this process cannot be asked to ${name}`);
  return command(...args);
}

const cpuMicros = async (): Promise<number> => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const residentBytes = (): Promise<number> => Promise.resolve(process.memoryUsage.rss());
const opened = await open();
const peers = opened.map(({ where, commands }): Peer => ({
  where,
  commands: { ...commands, cpuMicros, residentBytes },
}));
process.on('message', (question) => void answer(peers, question as Question));
say({ type: 'ready', where: peers.map(({ where }) => where) });

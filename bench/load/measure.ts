/** A relay in a process of its own, a slow honest node, and one flood after the other. */
import { programFile } from '../../ledger/solana/index.ts';
import { fork } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted, deadline, orAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { NODE_FLAGS } from '../../app/market/process.ts';
import { openNode, type RunningNode } from '../../app/node/node.ts';
import { DelayProxy } from '../page/delay.ts';
import { PeerProcess, type AskedPeer } from '../path/process.ts';
import { settingsOf } from '../path/peers/node.ts';
import type { NodePeer, Where } from '../path/protocol.ts';
import { clickMillis } from './clicks.ts';
import { BULK_DOWNLOAD, type AttackerConfig, type RowName } from './protocol.ts';

/** Next to the package's own files: from dist/bench/load. */
const ATTACKER = fileURLToPath(new URL('./attacker.js', import.meta.url));
/** A node that gets nowhere in this time is kept out, milliseconds. */
const GIVE_UP_MILLIS = 30_000;
/** Until a flood is at its full height: the slots are jammed at the rate at which circuits are given. */
const RUNNING_MILLIS = 180_000;
const BYTES_PER_MB = 1_000_000;
/** What a good circuit of the public Tor network carries. */
const LINE_BYTES_PER_SECOND = 4 * BYTES_PER_MB;
/** Of a download before anybody clicks: by then it has found out what the line carries. */
const BULK_BYTES_BEFORE = 24 * BYTES_PER_MB;

export interface LoadOptions {
  readonly names: readonly RowName[];
  /** Between the honest node and the relay, milliseconds. */
  readonly roundTripMillis: number;
  /** Connections of each kind; the medians are reported. */
  readonly runs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (what: string) => void;
}

export interface LoadRow {
  readonly name: RowName;
  /** From the dial to a built circuit, or of BULK_DOWNLOAD there and back on it, milliseconds. */
  readonly unloadedMs: number;
  readonly loadedMs: number;
  readonly ratio: number;
  /** Of the connections under load, those that failed: each counts as GIVE_UP_MILLIS. */
  readonly failed: number;
  /** Processor time of the relay under load, as a part of one core. */
  readonly relayCpu: number;
  readonly relayRssMb: number;
}

/** Leaves no process and no file behind, however it ends. @throws RelaymintError INTERNAL, ABORTED. */
export async function measureLoad(options: LoadOptions): Promise<LoadRow[]> {
  const { names, roundTripMillis, signal, onProgress } = options;
  setMaxListeners(0, signal);
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-'));
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  onProgress('starting the ledger');
  const ledger = stack.use(await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID }));
  const ground = { ledgerUrl: ledger.url, programId: EMBEDDED_PROGRAM_ID };
  const rows: LoadRow[] = [];
  for (const name of names) {
    assertNotAborted(signal, 'Measuring');
    onProgress(`starting a relay for ${name}`);
    // A relay of its own: what one flood leaves behind is none of the next one's.
    await using row = new AsyncDisposableStack();
    const isBulk = name === BULK_DOWNLOAD;
    const peer = (part: 'relay' | 'host' | 'initiator', hops: readonly Where[]): NodePeer => {
      const label = `${name}-${part}`;
      const dataDir = path.join(directory, label, 'node');
      return { kind: 'node', way: { transport: 'tcp' }, part, label, dataDir, ...ground, metered: true, path: hops };
    };
    const relay = row.use(new PeerProcess(`the relay of ${name}`, peer(isBulk ? 'host' : 'relay', []), signal)).peer(0);
    const where = await relay.where();
    const port = Number(where.addresses[0]?.split('/').at(-1));
    const line = isBulk ? { bytesPerSecond: LINE_BYTES_PER_SECOND } : {};
    const proxy = row.use(await DelayProxy.open({ roundTripMillis, target: () => port, ...line }));
    const near: Where = { nodeId: where.nodeId, addresses: [`/ip4/127.0.0.1/tcp/${proxy.port}`] };
    const honest = row.use(await openNode(settingsOf(peer('initiator', [near])), signal));
    await honest.announce(signal);
    onProgress(`${name}: without load`);
    if (isBulk) {
      await honest.links.connect(near.nodeId, near.addresses, { signal });
      const unloaded = await clickMillis(honest, near, { bytesBefore: 0 });
      onProgress(`${name}: under load`);
      const click = () => clickMillis(honest, near, { bytesBefore: BULK_BYTES_BEFORE });
      rows.push(await underLoad({ name, options, relay, unloaded: [unloaded], connect: click }));
      continue;
    }
    // The first opens the channel.
    await connectMillis(honest, near, signal);
    const unloaded = await several(options, () => connectMillis(honest, near, signal));
    onProgress(`${name}: the flood begins`);
    const attacker = { flood: name, relay: where, ...ground, directory: path.join(directory, `${name}-attacker`) };
    row.use(await startAttacker(attacker, signal));
    onProgress(`${name}: under load`);
    rows.push(await underLoad({ name, options, relay, unloaded, connect: () => connectMillis(honest, near, signal) }));
  }
  return rows;
}

interface UnderLoad {
  readonly name: RowName;
  readonly options: LoadOptions;
  readonly relay: AskedPeer;
  readonly unloaded: readonly (number | undefined)[];
  readonly connect: () => Promise<number | undefined>;
}

async function underLoad({ name, options, relay, unloaded, connect }: UnderLoad): Promise<LoadRow> {
  const [began, cpu] = [performance.now(), await relay.ask('cpuMicros')];
  const loaded = await several(options, connect);
  const micros = (await relay.ask('cpuMicros')) - cpu;
  const relayRssMb = Math.round((await relay.ask('residentBytes')) / BYTES_PER_MB);
  const [unloadedMs, loadedMs] = [median(unloaded), median(loaded)];
  return {
    name,
    unloadedMs,
    loadedMs,
    ratio: round(loadedMs / unloadedMs),
    failed: loaded.filter((millis) => millis === undefined).length,
    relayCpu: round(micros / 1000 / (performance.now() - began)),
    relayRssMb,
  };
}

async function several<T>({ runs }: LoadOptions, act: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let run = 0; run < runs; run += 1) all.push(await act());
  return all;
}

/** From the dial to a built circuit; undefined when it fails. The link is gone afterwards. */
async function connectMillis(node: RunningNode, relay: Where, signal: AbortSignal): Promise<number | undefined> {
  await Promise.all(node.links.links().map((link) => link.close()));
  const offer = node.discovery.book.get(relay.nodeId);
  if (offer === undefined) throw new RelaymintError('INTERNAL', 'The relay told the honest node no offer.');
  const began = performance.now();
  using limit = deadline(GIVE_UP_MILLIS, 'Connecting', signal);
  try {
    await node.links.connect(relay.nodeId, relay.addresses, { signal: limit.signal });
    const circuit = await node.circuits.createCircuit([offer], { service: 'relay', signal: limit.signal });
    const millis = performance.now() - began;
    circuit.destroy();
    return millis;
  } catch (error) {
    assertNotAborted(signal, 'Measuring');
    if (!isRelaymintError(error) && !limit.signal.aborted) throw error;
    return undefined;
  }
}

/** Resolves once it runs at its full height. @throws RelaymintError INTERNAL, ABORTED. */
async function startAttacker(config: AttackerConfig, signal: AbortSignal): Promise<AsyncDisposable> {
  const child = fork(ATTACKER, [JSON.stringify(config)], {
    execArgv: [...NODE_FLAGS],
    // A group of its own: Ctrl-C reaches the benchmark, which ends its processes.
    detached: true,
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  const exited = once(child, 'exit');
  const end = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    await exited;
  };
  try {
    const running = new Promise<void>((resolve, reject) => {
      const failed = (why: string): void =>
        reject(new RelaymintError('INTERNAL', `The process that floods (${config.flood}) ${why}.`));
      const timer = setTimeout(() => failed('took too long to begin'), RUNNING_MILLIS);
      child.once('message', () => {
        clearTimeout(timer);
        resolve();
      });
      child.once('exit', () => {
        clearTimeout(timer);
        failed('ended');
      });
    });
    await orAborted(running, signal, 'Measuring');
  } catch (error) {
    await end();
    throw error;
  }
  return { [Symbol.asyncDispose]: end };
}

function median(values: readonly (number | undefined)[]): number {
  const sorted = values.map((value) => value ?? GIVE_UP_MILLIS).toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Runs the benchmark: a ledger, the rows' processes, a warm-up, then rounds in which every row has its turn. */
import { programFile } from '../../ledger/solana/index.ts';
import { setMaxListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { summarize, type Block, type Comparison, type RowFigures, type Turn } from './figures.ts';
import type { Way } from './protocol.ts';
import { Row, type RowOptions, type Shape, type TurnSize } from './row.ts';

/** A kind of path, and by what its processes reach each other. */
export interface Measured {
  readonly shape: Shape;
  readonly way: Way;
}

interface Ground {
  readonly signal: AbortSignal;
  /** For people: what is being done now. */
  readonly onProgress: (what: string) => void;
}

export interface MeasureOptions extends Ground {
  /** What is measured, by the name of its row, in the order of the report. */
  readonly rows: Readonly<Record<string, Measured>>;
  /** Of each run of each row. */
  readonly size: TurnSize;
  /** Carried before, and settled where there is something to settle. */
  readonly warmUpBytes: number;
  readonly runs: number;
}

export interface Report {
  readonly rows: readonly RowFigures[];
  /** What the warm-up of all metered rows put on chain. */
  readonly settled: { readonly transactions: number; readonly receipts: number };
  /** A metered circuit beside one that is not, where that was measured. */
  readonly metering?: Comparison;
}

/** Next to the package's own files: from dist/bench/path. */

/** Leaves no process and no file behind, however it ends. @throws RelaymintError INTERNAL, ABORTED. */
export async function measure(options: MeasureOptions): Promise<Report> {
  const { size, warmUpBytes, runs, onProgress } = options;
  await using stack = new AsyncDisposableStack();
  const ground = await openGround(stack, options);
  const started: Row[] = [];
  for (const [name, measured] of Object.entries(options.rows)) {
    onProgress(`starting ${name}`);
    started.push(stack.use(await Row.start({ ...ground, ...measured, name })));
  }
  const settled = { transactions: 0, receipts: 0 };
  for (const row of started) {
    onProgress(`warming up ${row.name}`);
    const { transactions, receipts } = await row.warmUp(warmUpBytes);
    settled.transactions += transactions;
    settled.receipts += receipts;
  }
  const turns = new Map<Row, Turn[]>(started.map((row) => [row, []]));
  for (let round = 0; round < runs; round += 1) {
    // Each round begins with another row, so that none always follows the same one.
    const first = round % started.length;
    for (const row of [...started.slice(first), ...started.slice(0, first)]) {
      onProgress(`round ${round + 1} of ${runs}: ${row.name}`);
      turns.get(row)?.push(await row.turn(size));
    }
  }
  return { rows: started.map((row) => summarize(row.name, turns.get(row) ?? [])), settled };
}

/** A metered and an unmetered circuit, in turns so short that what disturbs the machine disturbs both. */
export interface CompareOptions extends Ground {
  readonly hops: number;
  /** Four turns each: metered, unmetered, unmetered, metered. */
  readonly blocks: number;
  /** Of each turn. */
  readonly bytes: number;
  readonly warmUpBytes: number;
}

/**
 * Both circuits go through the same processes, whose memory and compiled code they share; each block has new links, for buffers and
 * windows settle differently on each.
 * @returns the blocks. Leaves no process and no file behind, however it ends. @throws RelaymintError INTERNAL, ABORTED.
 */
export async function compare(options: CompareOptions): Promise<readonly Block[]> {
  const { hops, blocks, bytes, warmUpBytes, onProgress } = options;
  await using stack = new AsyncDisposableStack();
  const ground = await openGround(stack, options);
  onProgress('starting a metered circuit beside one that is not');
  const start = { ...ground, name: 'beside', way: { transport: 'tcp' } } as const;
  const [metered, unmetered] = await Row.startBoth(start, { hops, metered: [true, false] });
  stack.use(metered);
  for (const row of [metered, unmetered]) await row.warmUp(warmUpBytes);
  const measured: Block[] = [];
  for (let block = 1; block <= blocks; block += 1) {
    onProgress(`metered beside unmetered: block ${block} of ${blocks}`);
    for (const row of [metered, unmetered]) await row.reopen(bytes);
    const before = await metered.carry(bytes);
    const within = [await unmetered.carry(bytes), await unmetered.carry(bytes)] as const;
    measured.push({ first: [before, await metered.carry(bytes)], second: within });
  }
  return measured;
}

/** A folder and a ledger, which go with `stack`. @returns what every row on them is started with. */
async function openGround(
  stack: AsyncDisposableStack,
  { signal, onProgress }: Ground,
): Promise<Omit<RowOptions, 'name' | keyof Measured>> {
  // Each process listens, and stops listening when it is disposed.
  setMaxListeners(0, signal);
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  onProgress('starting the ledger');
  const ledger = stack.use(await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID }));
  return { directory, ledgerUrl: ledger.url, programId: EMBEDDED_PROGRAM_ID, signal };
}

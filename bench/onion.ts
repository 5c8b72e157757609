/** `npm run bench -- onion`: what a metered link costs over Tor and I2P, beside a plain socket over the same network. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { watchLifecycle } from '../node/cli/lifecycle.ts';
import { startI2pNetwork } from '../node/cli/network/i2p.ts';
import { startTorNetwork } from '../node/cli/network/tor.ts';
import { wholeNumber } from '../node/cli/options.ts';
import { createLog, createOutput, createStatus, table } from '../node/cli/output.ts';
import { formatEndpoint } from '../node/transport/index.ts';
import { speedOf } from './path/figures.ts';
import { measure, type Measured, type Report } from './path/measure.ts';
import type { Way } from './path/protocol.ts';

interface OnionOptions {
  readonly json?: true;
  readonly megabytes: number;
  readonly warmUp: number;
  readonly runs: number;
}

const MEGABYTE = 1_000_000;
/** Metering may cost 3 %. */
const AIM = 0.97;

export function onionCommand(program: Command): void {
  program
    .command('onion')
    .summary('a metered link over Tor and I2P, beside a plain socket over the same network')
    .description(
      'Starts a private Tor and a private I2P network on this machine and measures, in turns: a plain socket through each, a ' +
        'link without metering, and a link that is metered and paid for. Needs tor and i2pd (apt-get install tor i2pd).',
    )
    .option('--json', 'print JSON, and nothing else, on stdout')
    .option('--megabytes <n>', 'application data of each run', wholeNumber(1, 1_000_000), 48)
    .option('--runs <n>', 'turns of each row; the medians are reported', wholeNumber(1, 1000), 5)
    .option('--warm-up <n>', 'megabytes carried and settled before measuring', wholeNumber(1, 1_000_000), 32)
    .addHelpText('after', '\nSee docs/benchmarks.md for how to read the figures.\n')
    .action((options: OnionOptions) => run(options));
}

async function run(options: OnionOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const status = createStatus(output.json);
  let report: Report;
  try {
    report = await measure({
      rows: await startNetworks(stack, lifecycle.signal, (what) => status.show(what)),
      bytes: options.megabytes * MEGABYTE,
      warmUpBytes: options.warmUp * MEGABYTE,
      runs: options.runs,
      signal: lifecycle.signal,
      onProgress: (what) => status.show(what),
    });
  } finally {
    status.clear();
  }
  output.value({ bench: 'onion', rows: report.rows });
  output.line(describe(report, options));
}

async function startNetworks(
  stack: AsyncDisposableStack,
  signal: AbortSignal,
  onProgress: (what: string) => void,
): Promise<Readonly<Record<string, Measured>>> {
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-onion-'));
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const log = createLog('warn', 'bench');
  onProgress('starting a Tor network');
  const tor = stack.use(await startTorNetwork({ directory: path.join(directory, 'tor'), log, signal }));
  onProgress('starting an I2P network');
  const i2p = stack.use(await startI2pNetwork({ directory: path.join(directory, 'i2p'), log, signal }));
  const overTor: Way = { transport: 'tor', socks: formatEndpoint(tor.socks), control: formatEndpoint(tor.control) };
  const overI2p: Way = { transport: 'i2p', sam: formatEndpoint(i2p.sam) };
  return {
    'tor-socket': { shape: { kind: 'plain', tls: false }, way: overTor },
    'tor-link': { shape: { kind: 'circuit', hops: 1, metered: false }, way: overTor },
    'tor-link-metered': { shape: { kind: 'circuit', hops: 1, metered: true }, way: overTor },
    'i2p-socket': { shape: { kind: 'plain', tls: false }, way: overI2p },
    'i2p-link-metered': { shape: { kind: 'circuit', hops: 1, metered: true }, way: overI2p },
  };
}

function describe({ rows }: Report, { megabytes, runs }: OnionOptions): string {
  const cells = rows.map((row) => [
    row.name,
    row.mbPerSecond.toFixed(1),
    row.cpuSecondsPerGB.toFixed(3),
    row.rttP50Us.toFixed(0),
    row.rttP99Us.toFixed(0),
  ]);
  const ratio = (of: string, to: string): string => (speedOf(rows, of) / speedOf(rows, to)).toFixed(3);
  return [
    `${megabytes} MB a run, medians of ${runs} runs in turns. Node ${process.version}, ${availableParallelism()} cores.`,
    '',
    table([['', 'MB/s', 'CPU s/GB', 'RTT p50 us', 'RTT p99 us'], ...cells], [1, 2, 3, 4]),
    '',
    `metered link / socket, over Tor   ${ratio('tor-link-metered', 'tor-socket')}   aim: at least ${AIM}`,
    `metered / unmetered, over Tor     ${ratio('tor-link-metered', 'tor-link')}   aim: at least ${AIM}`,
    `metered link / socket, over I2P   ${ratio('i2p-link-metered', 'i2p-socket')}`,
  ].join('\n');
}

/** `npm run bench -- circuit`: what a circuit costs, side by side with the connections it is made of. */
import type { Command } from 'commander';
import { count, flagsOnly, standard, type ValuesOf } from '../app/config/index.ts';
import { addSettings } from '../cli/settings.ts';
import { pathBenchmark, type PathOptions, type Rows } from './path/command.ts';
import { speedOf, type Comparison } from './path/figures.ts';
import type { Measured, Report } from './path/measure.ts';
import type { Shape } from './path/row.ts';

const overTcp = (shape: Shape): Measured => ({ shape, way: { transport: 'tcp' } });
const ROWS: Rows = {
  tcp: overTcp({ kind: 'plain', tls: false }),
  tls: overTcp({ kind: 'plain', tls: true }),
  'hops-1': overTcp({ kind: 'circuit', hops: 1, metered: true }),
  'hops-3': overTcp({ kind: 'circuit', hops: 3, metered: true }),
  'hops-3-unmetered': overTcp({ kind: 'circuit', hops: 3, metered: false }),
  // The way of a visit: three relays and the host.
  'hops-4': overTcp({ kind: 'circuit', hops: 4, metered: true }),
};

/** What is aimed at. */
const AIM_OF_TLS = 1 / 6;
const AIM_OF_UNMETERED = 0.97;
/** Most that metering and payment may cost, as a multiple of what a circuit takes without them. */
const AIM_OF_CPU = 1.03;
const MEGABYTE = 1_000_000;
/** Enough for stream windows and compiled code to be warm. */
const WARM_UP_MEGABYTES = 160;

const circuitSection = flagsOnly({
  blocks: standard('--blocks <n>', count(1, 10_000), 'blocks of four short turns, with metering and without', '40'),
  blockMegabytes: standard('--block-megabytes <n>', count(1, 100_000), 'application data of each short turn', '16'),
});

type CircuitOptions = PathOptions & ValuesOf<typeof circuitSection>;

export function circuitCommand(program: Command): void {
  const command = program
    .command('circuit')
    .summary('throughput, CPU and round trips of plain TCP, TLS and circuits')
    .description(
      'Measures, in turns and over loopback: plain TCP, TLS as links use it, metered and paid circuits of 1, 3 and 4 hops, ' +
        'and one of 3 hops without metering. Every node is a process of its own. MB/s is what the initiator receives from ' +
        'the last hop, CPU the user and system time of all processes of the row, RTT the round trip of 1 KiB on the idle path. ' +
        'Then a metered circuit beside an unmetered one, in short turns through the same processes: what metering costs.',
    );
  pathBenchmark<CircuitOptions>({
    command: addSettings(command, circuitSection),
    defaults: { megabytes: 256, runs: 5, warmUp: WARM_UP_MEGABYTES },
    rows: () => Promise.resolve(ROWS),
    metering: ({ blocks, blockMegabytes }) => ({ hops: 3, blocks, bytes: blockMegabytes * MEGABYTE }),
    conclude,
  });
}

function conclude({ rows, settled, metering }: Report, { warmUp }: CircuitOptions): string[] {
  const ofTls = speedOf(rows, 'hops-3') / speedOf(rows, 'tls');
  const ofUnmetered = speedOf(rows, 'hops-3') / speedOf(rows, 'hops-3-unmetered');
  return [
    `3 hops / TLS            ${ofTls.toFixed(3)}   aim: at least ${AIM_OF_TLS.toFixed(3)}`,
    `metered / unmetered     ${ofUnmetered.toFixed(3)}   aim: at least ${AIM_OF_UNMETERED.toFixed(3)}`,
    ...(metering === undefined ? [] : [costOf(metering)]),
    '',
    `Before measuring, each row carried ${warmUp} MB twice. What the first of these cost on the metered rows was settled on`,
    `the ledger (${settled.receipts} receipts in ${settled.transactions} transactions).`,
  ];
}

function costOf({ blocks, ...ratio }: Comparison): string {
  const [median, low, high] = [ratio.cpuRatio, ratio.cpuRatioLow, ratio.cpuRatioHigh].map((value) => value.toFixed(3));
  const [q1, q3] = [ratio.cpuRatioQ1, ratio.cpuRatioQ3].map((value) => value.toFixed(3));
  return (
    `CPU, the same          ${median}   aim: at most ${AIM_OF_CPU.toFixed(3)}; from ${low} to ${high} by 19 to 1; ` +
    `half of ${blocks} blocks from ${q1} to ${q3}`
  );
}

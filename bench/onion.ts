/** `npm run bench -- onion`: what a metered link costs over Tor and I2P, beside a plain socket over the same network. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { startI2pNetwork } from '../testbed/i2p.ts';
import { startTorNetwork } from '../testbed/tor.ts';
import { count, flagsOnly, standard, type ValuesOf } from '../app/config/index.ts';
import { createLog } from '../cli/output.ts';
import { addSettings } from '../cli/settings.ts';
import { formatEndpoint } from '../node/transport/index.ts';
import { pathBenchmark, type PathOptions, type Rows, type RowSetup } from './path/command.ts';
import { speedOf } from './path/figures.ts';
import type { Report } from './path/measure.ts';
import type { Way } from './path/protocol.ts';

const KILOBYTE = 1000;
/** A client with a limit counts each byte twice: between its user and itself, and between itself and the network. */
const COUNTED = 2;
/** Metering may cost 3 %. */
const AIM = 0.97;

const onionSection = flagsOnly({
  // What onion services reach on the public network on a good day.
  torRate: standard(
    '--tor-rate <kB/s>',
    count(0, 1_000_000),
    'most that Tor carries, kB per second, because a real network has a limit; 0: as much as the processors allow',
    '4000',
  ),
});

type OnionOptions = PathOptions & ValuesOf<typeof onionSection>;

export function onionCommand(program: Command): void {
  const command = program
    .command('onion')
    .summary('a metered link over Tor and I2P, beside a plain socket over the same network')
    .description(
      'Starts a private Tor and a private I2P network on this machine and measures, in turns: a plain socket through each, a ' +
        'link without metering, and a link that is metered and paid for. Needs tor and i2pd (apt-get install tor i2pd).',
    );
  pathBenchmark<OnionOptions>({
    command: addSettings(command, onionSection),
    defaults: { megabytes: 24, runs: 5, warmUp: 48 },
    rows: startNetworks,
    // What tor saves up in a second of silence, and as much again.
    lead: ({ torRate }) => (2 * torRate) / 1000,
    conclude,
  });
}

async function startNetworks({ torRate }: OnionOptions, { stack, signal, onProgress }: RowSetup): Promise<Rows> {
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-onion-'));
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const log = createLog('warn', 'bench');
  onProgress('starting a Tor network');
  const tor = stack.use(
    await startTorNetwork({
      directory: path.join(directory, 'tor'),
      ...(torRate === 0 ? {} : { clientBytesPerSecond: COUNTED * torRate * KILOBYTE }),
      log,
      signal,
    }),
  );
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

function conclude({ rows }: Report, { torRate }: OnionOptions): string[] {
  const ratio = (of: string, to: string): string => (speedOf(rows, of) / speedOf(rows, to)).toFixed(3);
  return [
    torRate === 0
      ? 'Tor was as fast as the processors, which it shares with the nodes: what they compute is taken from what it carries.'
      : `Tor carried at most ${torRate} kB a second.`,
    `metered link / socket, over Tor   ${ratio('tor-link-metered', 'tor-socket')}   aim: at least ${AIM}`,
    `metered / unmetered, over Tor     ${ratio('tor-link-metered', 'tor-link')}   aim: at least ${AIM}`,
    `metered link / socket, over I2P   ${ratio('i2p-link-metered', 'i2p-socket')}`,
  ];
}

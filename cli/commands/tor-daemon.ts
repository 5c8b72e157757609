/** `relaymint tor start | stop | status | rotate`: the tor process itself. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import {
  USUAL_PLACES,
  connectControl,
  findTor,
  formatEndpoint,
  managedTor,
  parseBridges,
  parseEndpoint,
  runningDaemon,
  startTorDaemon,
  type Endpoint,
  type TorControl,
} from '../../node/transport/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  count,
  defaultDataDir,
  durationBetween,
  flagsOnly,
  grammar,
  optional,
  place,
  standard,
  toggle,
  type Section,
  type ValuesOf,
} from '../../app/config/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createLog, createOutput, createSteps, table } from '../output.ts';
import { addSettings } from '../settings.ts';
import { deadline, elapsed } from '../../core/abort.ts';

const folderSection = flagsOnly({
  data: standard('--data <dir>', place, 'folder where tor keeps its state and sockets', defaultDataDir('tor')),
});

const startSection = flagsOnly({
  useBridges: optional(
    '--use-bridges <file>',
    place,
    'connect through the bridges in this file, one per line; for places where Tor is blocked',
  ),
  socksPort: optional(
    '--socks-port <n>',
    count(1, 65_535),
    'also open a SOCKS port on 127.0.0.1, besides the socket in --data',
  ),
  torrc: optional('--torrc <file>', place, "lines to add to tor's configuration"),
  timeout: standard(
    '--timeout <duration>',
    durationBetween('1s', '1h'),
    'give up if it is not connected after this time',
    '2m',
  ),
});

const controlSection: Section<{ readonly torControl: Endpoint | undefined }> = {
  torControl: optional(
    '--tor-control <place>',
    grammar(parseEndpoint),
    "another tor's control port: HOST:PORT of this machine or unix:/PATH",
  ),
};

const statusSection = flagsOnly({
  watch: toggle('--watch', 'keep running and show what happens to circuits, until Ctrl-C'),
});

type FolderOptions = CommonOptions & ValuesOf<typeof folderSection>;
type StartOptions = FolderOptions & ValuesOf<typeof startSection>;
type ControlOptions = FolderOptions & ValuesOf<typeof controlSection>;
type StatusOptions = ControlOptions & ValuesOf<typeof statusSection>;

const STOP_MILLIS = 15_000;
const STOP_POLL_MILLIS = 50;
const CONTROL_MILLIS = 10_000;
/** Tor takes a new identity at most this often, seconds; it delays sooner ones without saying so. */
const NEWNYM_SECONDS = 10;

export function torDaemonCommands(tor: Command): void {
  const starting = tor.command('start').summary('run tor until Ctrl-C, and say when it is connected');
  addSettings(addSettings(addCommonOptions(starting), folderSection), startSection)
    .description(
      'Runs the installed tor with its own configuration. However this command ends, tor ends with it. Nodes that start meanwhile\nfind it by themselves.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  relaymint tor start\n  relaymint tor start --use-bridges bridges.txt --timeout 5m\n',
    )
    .action(start);
  const stopping = tor.command('stop').summary('stop the tor that "relaymint tor start" runs');
  addSettings(addCommonOptions(stopping), folderSection).action(stop);
  const asking = controlCommand(tor, 'status', 'show whether tor is connected, its circuits and onion services');
  addSettings(asking, statusSection).action(status);
  controlCommand(tor, 'rotate', 'switch new connections to new circuits (NEWNYM)').action(rotate);
}

function controlCommand(tor: Command, name: string, summary: string): Command {
  const command = tor.command(name).summary(summary).description(`Use it to ${summary}.`);
  return addSettings(addSettings(addCommonOptions(command), folderSection), controlSection);
}

async function start(options: StartOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const bridges = options.useBridges === undefined ? undefined : parseBridges(await readText(options.useBridges));
  const extraTorrc = options.torrc === undefined ? [] : (await readText(options.torrc)).split(/\r?\n/);
  const progress = createSteps('Connecting to Tor', output.json);
  const daemon = await startTorDaemon({
    directory: options.data,
    bridges,
    socksPort: options.socksPort,
    extraTorrc,
    bootstrapMillis: options.timeout,
    onBootstrap: (percent, summary) => progress.update(percent, 100, summary),
    log: createLog(options.logLevel, 'tor'),
    signal: lifecycle.signal,
  }).finally(() => progress.finish());
  await using _ended = daemon;
  const socks = formatEndpoint(daemon.socks);
  const control = formatEndpoint(daemon.control);
  output.value({ event: 'ready', version: daemon.version, pid: daemon.pid, socks, control });
  output.line(
    `Tor ${daemon.version} is connected.\n  SOCKS    ${socks}\n  control  ${control}\nNodes that start now use it. Ctrl-C stops it.`,
  );
  const died = await Promise.race([daemon.ended, lifecycle.ended]);
  if (died !== undefined) throw died;
  output.line('Stopping tor.');
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new RelaymintError('FILE_NOT_FOUND', `${file} cannot be read.`, {
      remedy: 'Check the path.',
      cause,
    });
  }
}

async function stop(options: FolderOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const directory = options.data;
  const pid = await runningDaemon(directory);
  if (pid === undefined) {
    throw new RelaymintError('TOR_NOT_RUNNING', `Relaymint runs no tor on ${directory}.`, {
      remedy: 'Give the --data that it was started with. Relaymint does not stop a tor that the system runs.',
    });
  }
  process.kill(pid, 'SIGTERM');
  const late = AbortSignal.timeout(STOP_MILLIS);
  while ((await runningDaemon(directory)) === pid) {
    if (!(await elapsed(STOP_POLL_MILLIS, late))) {
      throw new RelaymintError('TIMEOUT', `Process ${pid} has not ended in ${STOP_MILLIS / 1000} s.`, {
        remedy: `Kill it with: kill -9 ${pid}`,
      });
    }
  }
  output.value({ event: 'stopped', pid });
  output.line('Tor has stopped.');
}

/** Our own daemon's control port, or the one that was named, or the first that is found. */
async function openControl(options: ControlOptions, signal: AbortSignal): Promise<TorControl> {
  using limit = deadline(CONTROL_MILLIS, "Asking for tor's control port", signal);
  const named = options.torControl;
  const endpoint = named ?? (await findTor([managedTor(options.data), ...USUAL_PLACES], limit.signal)).control;
  const found = named === undefined && endpoint.kind === 'tcp';
  return await connectControl({ endpoint, found, signal: limit.signal });
}

interface CircuitRow {
  readonly id: string;
  readonly state: string;
  readonly purpose: string;
  readonly path: readonly string[];
}

interface TorStatus {
  /** As tor writes it. */
  readonly phase: string;
  readonly circuits: readonly CircuitRow[];
  readonly onions: readonly string[];
  /** SOCKS ports, as tor writes them. */
  readonly listeners: readonly string[];
}

async function readStatus(control: TorControl, signal: AbortSignal): Promise<TorStatus> {
  using limit = deadline(CONTROL_MILLIS, "Tor's answer", signal);
  const phase = await control.getInfo('status/bootstrap-phase', limit);
  const circuits = (await control.getInfo('circuit-status', limit)).split('\n').flatMap(parseCircuit);
  const onions = (await control.getInfo('onions/current', limit)).split('\n').filter(Boolean);
  const sockets = await control.getInfo('net/listeners/socks', limit);
  const listeners = sockets.match(/"[^"]*"/g)?.map((text) => text.slice(1, -1)) ?? [];
  return { phase, circuits, onions, listeners };
}

async function status(options: StatusOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using control = await openControl(options, lifecycle.signal);
  const { phase, circuits, onions, listeners } = await readStatus(control, lifecycle.signal);
  const percent = Number(/PROGRESS=(\d+)/.exec(phase)?.[1] ?? 0);
  const summary = /SUMMARY="([^"]*)"/.exec(phase)?.[1] ?? '';
  output.value({ version: control.version, bootstrap: percent, summary, socks: listeners, onions, circuits });
  const rows = circuits.map(({ id, state, purpose, path: hops }) => [`  ${id}`, state, purpose, hops.join(' > ')]);
  output.line(
    [
      `Tor ${control.version}, ${percent} % connected${percent === 100 ? '' : `: ${summary}`}`,
      `  SOCKS    ${listeners.join(', ') || 'none'}`,
      `  onions   ${onions.length === 0 ? 'none by this connection' : onions.map((onion) => `${onion}.onion`).join(', ')}`,
      '',
      rows.length === 0 ? '  No circuits.' : table([['  CIRCUIT', 'STATE', 'FOR', 'PATH'], ...rows]),
    ].join('\n'),
  );
  if (options.watch !== true) return;
  const show = (line: string): void => {
    for (const circuit of parseCircuit(line.replace(/^CIRC /, ''))) {
      output.value({ event: 'circuit', ...circuit });
      output.line(`  ${circuit.id}  ${circuit.state}  ${circuit.purpose}  ${circuit.path.join(' > ')}`);
    }
  };
  {
    using limit = deadline(CONTROL_MILLIS, "Tor's answer", lifecycle.signal);
    await control.onEvent('CIRC', show, limit);
  }
  const lost = await Promise.race([control.closed, lifecycle.ended]);
  if (lost !== undefined) throw lost;
}

/** `ID STATE $FINGERPRINT~NAME,.. KEY=VALUE ..` (control-spec, circuit-status). */
function parseCircuit(line: string): CircuitRow[] {
  const [id, state, ...rest] = line.trim().split(' ');
  if (id === undefined || state === undefined || !/^\d+$/.test(id)) return [];
  const hops = rest[0]?.startsWith('$') === true ? rest[0].split(',') : [];
  const purpose = rest.find((word) => word.startsWith('PURPOSE='))?.slice('PURPOSE='.length) ?? '';
  return [{ id, state, purpose, path: hops.map((hop) => hop.split('~')[1] ?? hop) }];
}

/** Tor would delay one that comes too soon without an error; it only announces the delay. */
async function rotate(options: ControlOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using control = await openControl(options, lifecycle.signal);
  using limit = deadline(CONTROL_MILLIS, "Tor's answer", lifecycle.signal);
  let seconds = 0;
  await control.onEvent(
    'NOTICE',
    (line) => {
      seconds = Number(/Rate limiting NEWNYM request: delaying by (\d+)/.exec(line)?.[1] ?? seconds);
    },
    limit,
  );
  await control.command('SIGNAL NEWNYM', limit);
  // Its notice, if there is one, was sent before this is answered.
  await control.getInfo('version', limit);
  output.value({ event: 'rotated', delaySeconds: seconds });
  output.line(
    seconds === 0
      ? 'New connections use new circuits from now on; open ones keep theirs.'
      : `Tor takes a new identity at most every ${NEWNYM_SECONDS} s: new circuits are used in ${seconds} s.`,
  );
}

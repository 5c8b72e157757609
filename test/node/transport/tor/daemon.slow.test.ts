/** Our own tor: connected, with and without bridges, and gone with us. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { silentLog } from '../../../../core/ports.ts';
import type { PrivateTorNetwork } from '../../../../testbed/tor.ts';
import { onionMultiaddr } from '../../../../node/transport/address.ts';
import { connectControl } from '../../../../node/transport/tor/control.ts';
import { parseBridges } from '../../../../node/transport/tor/bridges.ts';
import { startTorDaemon, type TorDaemonOptions } from '../../../../node/transport/tor/daemon.ts';
import { ephemeralOnionKey } from '../../../../node/transport/tor/key.ts';
import { createTorTransport } from '../../../../node/transport/tor/transport.ts';
import { PROGRAM } from '../../../e2e/marketplace.ts';
import { joinSharedTor, requirePrograms } from '../../../network.ts';

const signal = new AbortController().signal;

requirePrograms('tor', 'obfs4proxy')('a tor of our own', () => {
  let directory: string;
  let network: PrivateTorNetwork;
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-daemon-'));
    network = await joinSharedTor(path.join(directory, 'net'));
  }, 120_000);
  afterAll(async () => {
    await network[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const options = (name: string, more: Partial<TorDaemonOptions> = {}): TorDaemonOptions => ({
    directory: path.join(directory, name),
    extraTorrc: network.clientTorrc,
    wrap: network.namespace.inside([]),
    log: silentLog,
    signal,
    ...more,
  });

  it('connects, reports its progress, carries onion services, and keeps its files private', async () => {
    const steps: number[] = [];
    await using daemon = await startTorDaemon(options('plain', { onBootstrap: (percent) => steps.push(percent) }));
    expect(steps.at(-1)).toBe(100);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
    expect(daemon.version).toMatch(/^\d+\.\d+\.\d+/);
    expect((await stat(path.join(directory, 'plain'))).mode & 0o777).toBe(0o700);
    await expect(roundTrip(daemon)).resolves.toBe('through tor');
  });

  it.each(['plain', 'obfs4'] as const)('connects through a bridge (%s) and through nothing else', async (transport) => {
    const line = await network.startBridge(transport);
    const bridges = parseBridges(`# from a friend\n\nBridge ${line}\n`);
    await using daemon = await startTorDaemon(options(`bridged-${transport}`, { bridges }));
    expect(await roundTrip(daemon)).toBe('through tor');
    const torrc = await readFile(path.join(directory, `bridged-${transport}`, 'torrc'), 'utf8');
    expect(torrc).toContain('UseBridges 1');
    await using control = await connectControl({ endpoint: daemon.control, signal });
    const fingerprint = /[0-9A-F]{40}/.exec(line)?.[0] ?? '';
    const connections = (await control.getInfo('orconn-status'))
      .split('\n')
      .filter((text) => text.includes('CONNECTED'));
    expect(connections.length).toBeGreaterThan(0);
    for (const connection of connections) expect(connection).toContain(fingerprint);
  });

  it('says in tor’s words why it is not connected in time', async () => {
    const bridges = parseBridges('127.0.0.1:1 0123456789012345678901234567890123456789');
    await expect(startTorDaemon(options('late', { bridges, bootstrapMillis: 3000 }))).rejects.toMatchObject({
      code: 'TOR_BOOTSTRAP_FAILED',
      message: expect.stringMatching(/not connected in 3 s.*(refused|bridge)/is) as string,
    });
  });

  it('says what tor says when its configuration is wrong', async () => {
    const wrong = options('wrong', { extraTorrc: ['NoSuchOption 1'] });
    await expect(startTorDaemon(wrong)).rejects.toMatchObject({
      code: 'TOR_BOOTSTRAP_FAILED',
      message: expect.stringContaining('NoSuchOption') as string,
    });
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('is gone when the command that runs it ends by %s', async (how) => {
    const data = path.join(directory, `cli-${how}`);
    const torrc = path.join(directory, 'net', 'join.torrc');
    await writeFile(torrc, network.clientTorrc.join('\n'));
    const command = [process.execPath, PROGRAM, 'tor', 'start', '--json', '--data', data, '--torrc', torrc];
    const [program = '', ...args] = network.namespace.inside(command);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    expect(JSON.parse(line)).toMatchObject({ event: 'ready', control: `unix:${data}/control` });
    const [inside = ''] = (await readFile(path.join(data, 'relaymint.pid'), 'utf8')).split(/\s/);
    const ended = once(child, 'close');
    await network.namespace.run(['kill', `-${how.slice(3)}`, inside]);
    await ended;
    await expect.poll(() => torsOn(data), { timeout: 30_000 }).toEqual([]);
  });
});

/** Process ids whose command line names the directory's torrc. */
async function torsOn(data: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.split('\0').includes(`${data}/torrc`)) found.push(pid);
  }
  return found;
}

/** An onion service of this tor, reached through this tor. */
async function roundTrip(daemon: {
  readonly socks: TorDaemonPlace;
  readonly control: TorDaemonPlace;
}): Promise<string> {
  using key = ephemeralOnionKey();
  const targetDir = await mkdtemp(path.join(tmpdir(), 'rm-target-'));
  await using transport = createTorTransport({ ...daemon, keys: [key], targetDir, log: silentLog });
  const listener = await transport.listen(onionMultiaddr(key.onion, 80), (connection) => connection.end('through tor'));
  const connection = await transport.dial(listener.addresses[0] ?? '', { signal });
  const chunks: Buffer[] = [];
  for await (const chunk of connection) chunks.push(chunk as Buffer);
  connection.destroy();
  await rm(targetDir, { recursive: true, force: true });
  return Buffer.concat(chunks).toString();
}

type TorDaemonPlace = Parameters<typeof createTorTransport>[0]['socks'];

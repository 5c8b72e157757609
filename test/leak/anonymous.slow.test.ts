/**
 * Nodes and commands that ask for anonymity, over their whole life (start, work, crash, restart, every kind of failure), seen
 * from outside: no socket but to tor, and no name asked of anybody.
 */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { readControlFile } from '../../app/control/client.ts';
import type { PrivateTorNetwork } from '../../testbed/tor.ts';
import { formatEndpoint } from '../../node/transport/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { joinSharedTor, requirePrograms } from '../network.ts';
import { mapOnion } from './forward.ts';
import { runTraced, startTraced, type TracedNode } from './process.ts';
import { leaks, placeOf, type SocketCall } from './trace.ts';

const MINUTES = 60_000;

requirePrograms('tor', 'strace')('what is anonymous', () => {
  const stack = new AsyncDisposableStack();
  const calls: SocketCall[] = [];
  let directory: string;
  let network: PrivateTorNetwork;
  let ledger: Ledger;

  beforeAll(async () => {
    const folder = stack.use(await temporaryFolder());
    directory = folder.path;
    network = stack.use(await joinSharedTor(path.join(directory, 'tor')));
    ledger = stack.use(await startLedger(network, directory));
  }, 3 * MINUTES);
  afterAll(() => stack.disposeAsync());

  const reader = (): string[] => [
    '--json',
    '--log-level',
    'warn',
    '--ledger',
    ledger.url,
    '--program',
    ledger.programId,
    '--anonymize',
    '--tor-socks',
    formatEndpoint(network.socks),
    '--tor-control',
    formatEndpoint(network.control),
  ];
  const anonymous = (label: string): string[] => [...reader(), '--data', path.join(directory, label)];
  const node = (label: string): string[] => [...anonymous(label), '--label', label, '--airdrop', '20'];
  const start = async (args: readonly string[]): Promise<TracedNode> => startTraced(args);
  /** What a process did counts, however it ended. */
  const gather = async (traced: TracedNode): Promise<void> => {
    calls.push(...(await traced.calls()));
  };
  const allowed = { connect: () => [placeOf(network.socks), placeOf(network.control)], listen: true };
  const found = (some: readonly SocketCall[], ...alsoAllowed: readonly string[]): string[] =>
    leaks(some, { connect: [...allowed.connect(), ...alsoAllowed], listen: true }).map(({ line }) => line);

  test(
    'a relay, a host, a gateway and commands open no socket but to tor, in work, crash and failure',
    async () => {
      const relay = await start(['relay', ...node('relay')]);
      const bootstrap = ['--bootstrap', `${relay.ready.nodeId}@${relay.ready.addresses?.[0]}`];
      expect(relay.ready.addresses).toEqual([expect.stringMatching(/^\/onion3\/[a-z2-7]{56}:\d+$/)]);
      const host = await start(['host', ...node('host'), ...bootstrap]);
      const site = path.resolve('examples/site');
      const published = await runTraced(['publish', site, '--name', 'hidden.web3', ...node('site'), ...bootstrap]);
      expect(published.stderr).toBe('');
      const { pairs } = JSON.parse(published.stdout) as { readonly pairs: readonly { readonly transport: string }[] };
      expect(pairs.map(({ transport }) => transport)).toEqual(['tor']);
      calls.push(...published.calls);

      const gatewayArgs = ['gateway', ...node('gateway'), '--port', '0', '--relays', '1'];
      // A bootstrap peer that is gone, and one that is no onion service at all: what a gateway meets every day.
      const nowhere = `${host.ready.nodeId}@/onion3/${'a'.repeat(55)}d:80`;
      const gateway = await start([...gatewayArgs, ...bootstrap, '--bootstrap', nowhere]);
      const page = async (): Promise<number> => statusOf(gateway.ready.gateway ?? '', 'hidden-web3.localhost');
      expect(await page()).toBe(200);

      // Commands, on the ledger and on a running node.
      for (const args of [
        ['wallet', 'balance', ...anonymous('site')],
        ['name', 'show', 'hidden.web3', ...reader()],
        ['bank', 'show', ...reader()],
        ['ledger', 'status', ...reader()],
      ]) {
        const run = await runTraced(args);
        expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
        calls.push(...run.calls);
      }
      const { url } = await readControlFile(path.join(directory, 'relay'));
      const stats = await runTraced(['stats', '--json', '--data', path.join(directory, 'relay')]);
      expect(stats.code).toBe(0);
      expect(found(stats.calls, new URL(url).host)).toEqual([]);

      // A crash, a restart on the same data, and tor itself going away and coming back.
      await relay.kill();
      await gather(relay);
      const again = await start(['relay', ...node('relay')]);
      expect(again.ready.addresses).toEqual(relay.ready.addresses);
      await network.restartClient();
      await expect.poll(page, { timeout: 5 * MINUTES, interval: 500 }).toBe(200);

      // What cannot work fails without looking for another way.
      for (const [args, code] of [
        [['wallet', 'balance', ...anonymous('site'), '--ledger', 'http://unknown.example/'], 'UNSAFE_CONFIG'],
        [['wallet', 'balance', ...anonymous('site'), '--ledger', 'https://unknown.example/'], 'LEDGER_UNREACHABLE'],
        [['relay', ...node('other'), '--tor-socks', `unix:${directory}/nowhere`], 'TOR_NOT_RUNNING'],
      ] as const) {
        const run = await runTraced(args);
        expect(run.code).toBe(1);
        expect(JSON.parse(run.stdout)).toMatchObject({ ok: false, error: { code } });
        // What contradicts anonymity stops before anything is opened.
        expect(code === 'UNSAFE_CONFIG' ? run.calls : []).toEqual([]);
        calls.push(...run.calls.filter(({ target }) => target !== `${directory}/nowhere`));
      }

      for (const traced of [gateway, host, again]) {
        expect(await traced.stop()).toBe(0);
        await gather(traced);
      }
      expect(calls.filter(({ call }) => call === 'connect').length).toBeGreaterThan(10);
      expect(found(calls)).toEqual([]);
      for (const traced of [relay, gateway, host, again]) await traced[Symbol.asyncDispose]();
    },
    15 * MINUTES,
  );

  test('a leak in any of them would be seen', async () => {
    const planted = path.join(import.meta.dirname, 'planted.cjs');
    const run = await runTraced(['wallet', 'balance', ...anonymous('site')], { NODE_OPTIONS: `--require ${planted}` });
    expect(found(run.calls)).toContainEqual(expect.stringContaining('sin_port=htons(9)'));
  });
});

interface Ledger extends AsyncDisposable {
  readonly url: string;
  readonly programId: string;
}

/** An embedded ledger, and an onion service that leads to it: how anonymous nodes reach one. */
async function startLedger(network: PrivateTorNetwork, directory: string): Promise<Ledger> {
  await using stack = new AsyncDisposableStack();
  const ledger = stack.use(
    await startTraced(['ledger', 'start', '--json', '--memory', '--port', '0', '--log-level', 'warn']),
  );
  const { hostname, port } = new URL(ledger.ready.url ?? '');
  const { onion } = stack.use(await mapOnion(network, path.join(directory, 'ledger.sock'), hostname, Number(port)));
  const owned = stack.move();
  return {
    url: `http://${onion}.onion/`,
    programId: ledger.ready.programId ?? '',
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function statusOf(gateway: string, host: string): Promise<number> {
  const { port } = new URL(gateway);
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/', headers: { host: `${host}:${port}` }, agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

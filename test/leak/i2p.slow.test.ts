/** The same as over Tor, seen from outside: nodes that are anonymous over I2P open no socket but to their router's SAM. */
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { serveGarlic } from '../../bench/path/peers/raw.ts';
import type { PrivateI2pNetwork } from '../../testbed/i2p.ts';
import { formatEndpoint } from '../../node/transport/index.ts';
import { openSocket } from '../../node/transport/socket.ts';
import { transientDestination } from '../../node/transport/i2p/destination.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { joinSharedI2p, requirePrograms } from '../network.ts';
import { runTraced, startTraced } from './process.ts';
import { leaks, placeOf, type SocketCall } from './trace.ts';

const MINUTES = 60_000;
const signal = new AbortController().signal;

requirePrograms('i2pd', 'strace')('what is anonymous over I2P', () => {
  const stack = new AsyncDisposableStack();
  const calls: SocketCall[] = [];
  let directory: string;
  let network: PrivateI2pNetwork;
  let ledger: { readonly url: string; readonly programId: string };

  beforeAll(async () => {
    directory = stack.use(await temporaryFolder()).path;
    network = stack.use(await joinSharedI2p(path.join(directory, 'i2p')));
    const { ready } = stack.use(
      await startTraced(['ledger', 'start', '--json', '--memory', '--port', '0', '--log-level', 'warn']),
    );
    const { hostname, port } = new URL(ready.url ?? '');
    const destination = stack.use(await transientDestination(network.sam, signal));
    await serveGarlic(network.sam, destination, (near) => {
      openSocket(hostname, Number(port), signal).then(
        (far) => near.pipe(far).pipe(near),
        () => near.destroy(),
      );
    });
    ledger = { url: `http://${destination.garlic}.b32.i2p/`, programId: ready.programId ?? '' };
  }, 5 * MINUTES);
  afterAll(() => stack.disposeAsync());

  const anonymous = (label: string): string[] => [
    '--json',
    '--log-level',
    'warn',
    '--ledger',
    ledger.url,
    '--program',
    ledger.programId,
    '--anonymize',
    'i2p',
    '--i2p-sam',
    formatEndpoint(network.sam),
    // The private network has few routers; a tunnel without a hop is refused.
    '--i2p-tunnels',
    'inbound.length=1,outbound.length=1',
    '--data',
    path.join(directory, label),
  ];
  const node = (label: string): string[] => [...anonymous(label), '--label', label, '--airdrop', '20'];
  const found = (): string[] => {
    return leaks(calls, { connect: [placeOf(network.sam)], listen: true }).map(({ line }) => line);
  };

  test(
    'a relay until its crash, and commands, open no socket but to SAM',
    async () => {
      const relay = await startTraced(['relay', ...node('relay')]);
      expect(relay.ready.addresses).toEqual([expect.stringMatching(/^\/garlic32\/[a-z2-7]{52}$/)]);
      const balance = await runTraced(['wallet', 'balance', ...anonymous('relay')]);
      expect({ code: balance.code, stderr: balance.stderr }).toEqual({ code: 0, stderr: '' });
      calls.push(...balance.calls);

      await relay.kill();
      calls.push(...(await relay.calls()));
      for (const [args, code] of [
        [['relay', ...node('third'), '--i2p-tunnels', 'inbound.length=0'], 'UNSAFE_CONFIG'],
        [['wallet', 'balance', ...anonymous('relay'), '--ledger', 'https://rpc.example/'], 'UNSAFE_CONFIG'],
      ] as const) {
        const run = await runTraced(args);
        expect(run.code).toBe(1);
        expect(JSON.parse(run.stdout)).toMatchObject({ ok: false, error: { code } });
        calls.push(...run.calls);
      }

      expect(calls.filter(({ call }) => call === 'connect').length).toBeGreaterThan(3);
      expect(found()).toEqual([]);
      await relay[Symbol.asyncDispose]();
    },
    15 * MINUTES,
  );
});

/** `relaymint tor ..` on a real Tor network with a real relay in it, as its users type it. */
import { chmod, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, test } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { nodeId, nodeIdBytes } from '../../core/ids.ts';
import type { PrivateTorNetwork } from '../../testbed/tor.ts';
import { formatEndpoint, onionOf } from '../../node/transport/index.ts';
import { MAPPED_PORT, mapOnion } from '../leak/forward.ts';
import { joinSharedTor, requirePrograms } from '../network.ts';
import { relaymint, temporaryFolder, type Finished } from './marketplace.ts';
import { startCommand } from './node.ts';

const MINUTES = 60_000;

/** @throws Error when it failed or said anything to people. */
function jsonOf({ code, stdout, stderr }: Finished): unknown {
  if (code !== 0 || stderr !== '') throw new Error(`it ended with code ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

requirePrograms('tor')('tor commands', () => {
  const stack = new AsyncDisposableStack();
  let data: string;
  let torArgs: readonly string[];
  let controlArgs: readonly string[];
  let addresses: readonly string[];
  let relayArgs: readonly string[];
  let network: PrivateTorNetwork;
  let relay: { readonly nodeId: string; readonly address: string };

  beforeAll(async () => {
    const folder = stack.use(await temporaryFolder());
    data = path.join(folder.path, 'relay');
    network = stack.use(await joinSharedTor(path.join(folder.path, 'tor')));
    controlArgs = ['--tor-control', formatEndpoint(network.control)];
    torArgs = ['--tor-socks', formatEndpoint(network.socks), ...controlArgs];
    const quiet = ['--json', '--log-level', 'warn'];
    const ledger = stack.use(await startCommand('ledger', 'start', ...quiet, '--memory', '--port', '0'));
    const ledgerArgs = ['--ledger', String(ledger.ready['url']), '--program', String(ledger.ready['programId'])];
    const where = ['--data', data, '--location', 'AUTODETECT,onion:80', '--listen', '/ip4/127.0.0.1/tcp/0'];
    const started = stack.use(
      await startCommand('relay', ...quiet, ...ledgerArgs, '--airdrop', '20', ...where, ...torArgs),
    );
    addresses = started.ready['addresses'] as readonly string[];
    relayArgs = ['relay', ...quiet, ...ledgerArgs, '--airdrop', '20', ...torArgs];
    relay = { nodeId: String(started.ready['nodeId']), address: addresses[1] ?? '' };
  }, 3 * MINUTES);
  afterAll(() => stack.disposeAsync());

  it('a relay with AUTODETECT and an onion location publishes both', () => {
    expect(addresses).toEqual([expect.stringMatching(/\/tcp\//), expect.stringMatching(/^\/onion3\//)]);
  });

  it('address: the one that belongs to the node key, which the running relay published, and not that key', async () => {
    const shown = jsonOf(await relaymint('tor', 'address', '--json', '--data', data));
    expect(shown).toEqual({ nodeId: relay.nodeId, onion: expect.stringMatching(/\.onion$/), address: relay.address });
    expect(relay.address).not.toContain(onionOf(nodeIdBytes(nodeId(relay.nodeId))));
  });

  it('connect: refuses an address that leads to a node which does not call it its own', async () => {
    const [, host = '', port] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)$/.exec(addresses[0] ?? '') ?? [];
    await using mapped = await mapOnion(network, `${data}-mapped`, host, Number(port));
    const place = `${mapped.onion}.onion:${MAPPED_PORT}`;
    const alone = await relaymint('tor', 'connect', '--json', place, ...torArgs);
    expect(alone.code).toBe(1);
    expect(JSON.parse(alone.stdout)).toMatchObject({ ok: false, error: { code: 'PEER_IDENTITY_MISMATCH' } });
    // Who names the node knows whom it wants, wherever that is.
    const named = `${relay.nodeId}@/onion3/${mapped.onion}:${MAPPED_PORT}`;
    expect(jsonOf(await relaymint('tor', 'connect', '--json', named, ...torArgs))).toMatchObject({ transport: 'tor' });
  });

  it('connect: by the onion address alone, to the node whose offer names it', async () => {
    const onion = `${/^\/onion3\/([a-z2-7]{56})/.exec(relay.address)?.[1]}.onion`;
    expect(jsonOf(await relaymint('tor', 'connect', '--json', onion, ...torArgs))).toMatchObject({
      nodeId: relay.nodeId,
      transport: 'tor',
      addresses: expect.arrayContaining([relay.address]) as string[],
      services: [{ name: 'relay', pricePerMiB: '10000' }],
    });
    const text = await relaymint('tor', 'connect', onion, ...torArgs);
    expect(text.stdout).toContain('answers through Tor');
    expect(text.stdout).toContain('relay 0.01');
  });

  it('connect: nobody there, no tor there, no address', async () => {
    const nobody = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion';
    const gone = await relaymint('tor', 'connect', '--json', nobody, ...torArgs);
    expect(gone.code).toBe(1);
    expect(JSON.parse(gone.stdout)).toMatchObject({ ok: false, error: { code: 'ONION_UNREACHABLE' } });
    const without = await relaymint('tor', 'connect', nobody, '--tor-socks', `unix:${data}/nowhere`);
    expect(without.code).toBe(1);
    expect(without.stderr).toContain('relaymint tor start');
    const old = await relaymint('tor', 'connect', 'expyuzz4wqqyqhjn.onion', ...torArgs);
    expect(old.code).toBe(2);
    expect(old.stderr).toContain('version 2');
  });

  it('discover: who sells what, by onion address', async () => {
    const bootstrap = ['--bootstrap', `${relay.nodeId}@${relay.address}`];
    const found = jsonOf(await relaymint('tor', 'discover', 'relay', '--json', ...bootstrap, ...torArgs));
    expect(found).toMatchObject([{ nodeId: relay.nodeId }]);
    expect(jsonOf(await relaymint('tor', 'discover', 'content', '--json', ...bootstrap, ...torArgs))).toEqual([]);
  });

  it('advertise: a running node signs its offer again; for a stopped node the command says so', async () => {
    const told = jsonOf(await relaymint('tor', 'advertise', '--json', '--data', data));
    expect(told).toEqual({ addresses: expect.arrayContaining([relay.address]) as string[], peers: expect.any(Number) });
    const none = await relaymint('tor', 'advertise', '--data', `${data}-none`);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('No running node');
  });

  it('client-key: a private relay is found only by the holder of the key', async () => {
    const own = ['--data', `${data}-private`];
    const first = await startCommand(...relayArgs, ...own, '--location', 'onion:80');
    await first[Symbol.asyncDispose]();
    const shown = jsonOf(await relaymint('tor', 'address', '--json', ...own)) as { onion: string };
    const file = `${data}-client-keys`;
    const made = jsonOf(await relaymint('tor', 'client-key', '--json', shown.onion, '--out', file));
    const { publicKey } = made as { publicKey: string };
    expect(JSON.stringify(made)).not.toContain((await readFile(file, 'utf8')).trim().slice(-52));
    const only = ['--location', 'onion:80', '--onion-client', publicKey];
    await using _private = await startCommand(...relayArgs, ...own, ...only);
    const stranger = await relaymint('tor', 'connect', '--json', shown.onion, ...torArgs);
    expect(JSON.parse(stranger.stdout)).toMatchObject({ ok: false, error: { code: 'ONION_UNREACHABLE' } });
    const friend = await relaymint('tor', 'connect', '--json', shown.onion, '--onion-auth', file, ...torArgs);
    expect(jsonOf(friend)).toMatchObject({ transport: 'tor' });
    await chmod(file, 0o644);
    const unsafe = await relaymint('tor', 'connect', shown.onion, '--onion-auth', file, ...torArgs);
    expect(unsafe.stderr).toContain('chmod 600');
  });

  it('status: connected, with circuits', async () => {
    expect(jsonOf(await relaymint('tor', 'status', '--json', ...controlArgs))).toMatchObject({
      bootstrap: 100,
      circuits: expect.arrayContaining([expect.objectContaining({ state: 'BUILT' })]) as object[],
    });
    const text = await relaymint('tor', 'status', ...controlArgs);
    expect(text.stdout).toContain('100 % connected');
  });

  it('rotate: at once the first time, and says how long tor waits the second time', async () => {
    const rotated: { delaySeconds: number }[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const told = jsonOf(await relaymint('tor', 'rotate', '--json', ...controlArgs));
      rotated.push(told as { delaySeconds: number });
    }
    expect(rotated[0]).toEqual({ event: 'rotated', delaySeconds: 0 });
    expect(rotated.slice(1).some(({ delaySeconds }) => delaySeconds > 0 && delaySeconds <= 10)).toBe(true);
  });
});

test('i2p address takes a key only from a router that was named', async () => {
  await using folder = await temporaryFolder();
  const { code, stdout, stderr } = await relaymint('i2p', 'address', '--json', '--data', folder.path);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'INVALID_CONFIG' } });
  expect(stderr).toContain('--i2p-sam 127.0.0.1:7656');
});

test('tor stop, and i2p without a router, say what to do', async () => {
  await using folder = await temporaryFolder();
  const stop = await relaymint('tor', 'stop', '--json', '--data', folder.path);
  expect(stop.code).toBe(1);
  expect(JSON.parse(stop.stdout)).toMatchObject({ ok: false, error: { code: 'TOR_NOT_RUNNING' } });
  const sam = ['--i2p-sam', `unix:${folder.path}/sam`];
  for (const args of [
    ['i2p', 'status', ...sam],
    ['i2p', 'address', '--data', folder.path, ...sam],
  ]) {
    const none = await relaymint(...args);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('apt-get install i2pd');
  }
});

test.each([
  ['--location', 'AUTODETECT', '--ledger', 'https://rpc.example'],
  ['--location', '192.0.2.1:4001', '--ledger', 'https://rpc.example'],
  ['--phase', 'default', '--ledger', 'https://rpc.example'],
  ['--ledger', 'http://127.0.0.1:8899'],
  ['--loopback-only', '--ledger', 'https://rpc.example'],
])('a relay refuses to start with --anonymize and %s %s', async (setting, ...rest) => {
  await using folder = await temporaryFolder();
  const args = ['relay', '--json', '--data', path.join(folder.path, 'data'), '--anonymize', setting, ...rest];
  const { code, stdout, stderr } = await relaymint(...args);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'UNSAFE_CONFIG' } });
  expect(stderr).toContain(`${setting} `);
  expect(stderr).toContain('does not go with --anonymize');
});

/**
 * Nodes that do not ask for anonymity, in every case of docs/anonymity.md, seen from outside: who dials goes directly or
 * through tor as the case says and nowhere else; who is dialled publishes what the case says and listens on nothing more.
 */
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, type TestContext } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { isRelaymintError } from '../../core/errors.ts';
import { callControl, readControlFile } from '../../app/control/client.ts';
import type { PrivateTorNetwork } from '../../testbed/tor.ts';
import { formatEndpoint, managedTor, USUAL_PLACES } from '../../node/transport/index.ts';
import { findTor } from '../../node/transport/tor/detect.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { joinSharedTor, requirePrograms } from '../network.ts';
import { freePort } from '../port.ts';
import { mapOnion, MAPPED_PORT } from './forward.ts';
import { runTraced, startTraced, type TracedNode } from './process.ts';
import { leaks, placeOf, type SocketCall } from './trace.ts';

const MINUTES = 60_000;
/** For what a node does by itself. */
const PATIENCE = { timeout: 2 * MINUTES, interval: 200 };
const signal = new AbortController().signal;

const TCP: unknown = expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/);
const ONION: unknown = expect.stringMatching(/^\/onion3\/[a-z2-7]{56}:80$/);
const LISTEN = ['--listen', '/ip4/127.0.0.1/tcp/0'];
/** Of a well-formed address that nobody has. */
const NOWHERE = '/onion3/pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd:80';

requirePrograms('tor', 'strace')('who dials and who is dialled', () => {
  const stack = new AsyncDisposableStack();
  let directory: string;
  /** A home without a tor of ours. */
  let empty: string;
  let network: PrivateTorNetwork;
  let ledger: TracedNode;
  /** Server case 1: on TCP alone. */
  let open: TracedNode;
  /** Server case 3: an onion service alone. It was told of `open`. */
  let hidden: TracedNode;
  let socks: string;
  let control: string;
  let torSocks: readonly string[];
  let torArgs: readonly string[];

  beforeAll(async () => {
    const folder = stack.use(await temporaryFolder());
    directory = folder.path;
    empty = path.join(directory, 'empty');
    await mkdir(empty);
    network = stack.use(await joinSharedTor(path.join(directory, 'tor')));
    socks = placeOf(network.socks);
    control = placeOf(network.control);
    torSocks = ['--tor-socks', formatEndpoint(network.socks)];
    torArgs = [...torSocks, '--tor-control', formatEndpoint(network.control)];
    ledger = stack.use(
      await startTraced(['ledger', 'start', '--json', '--memory', '--port', '0', '--log-level', 'warn']),
    );
    open = stack.use(await relay('open', LISTEN));
    hidden = stack.use(await relay('hidden', ['--location', 'onion:80', ...torArgs, ...bootstrap(open)]));
  }, 5 * MINUTES);
  afterAll(() => stack.disposeAsync());

  const dataOf = (label: string): string => path.join(directory, label);
  /** Runs under strace, until the end of the test that started it. */
  const relay = (label: string, args: readonly string[], home = empty): Promise<TracedNode> => {
    const where = ['--ledger', ledger.ready.url ?? '', '--program', ledger.ready.programId ?? ''];
    const own = ['--data', dataOf(label), '--label', label, '--airdrop', '20'];
    return startTraced(['relay', '--json', '--log-level', 'warn', ...where, ...own, ...args], { HOME: home });
  };
  const linksOf = async (label: string): Promise<number> =>
    (await callControl(fetch, await readControlFile(dataOf(label)), 'stats')).links;
  const expectLinks = (label: string, count: number): Promise<void> =>
    expect.poll(() => linksOf(label), PATIENCE).toBe(count);
  /** What goes elsewhere than to the ledger and `places`, or listens for more than this machine. */
  const elsewhere = (calls: readonly SocketCall[], ...places: readonly string[]): string[] =>
    leaks(calls, { connect: [new URL(ledger.ready.url ?? '').host, ...places], listen: true }).map(({ line }) => line);

  it('client case 1: without a tor, to a TCP address directly', async () => {
    await using node = await relay('direct', bootstrap(open));
    await expectLinks('direct', 1);
    const calls = await wholeLife(node);
    expect(connected(calls)).toContain(placeOfTcp(open));
    expect(elsewhere(calls, placeOfTcp(open))).toEqual([]);
  });

  it('client case 1: without a tor, an onion address is refused with a hint, and nobody is asked for its name', async (context) => {
    await skipWithTor(context);
    // Where one could be is looked at, and is all on this machine.
    const looked = [managedTor(path.join(empty, '.relaymint', 'tor')), ...USUAL_PLACES].map((one) =>
      placeOf(one.socks),
    );
    const hint = expect.stringContaining('apt-get install tor') as string;
    const refused = { err: { code: 'TOR_NOT_RUNNING', message: hint } };
    await using node = await relay('lost', ['--log-level', 'debug', '--bootstrap', `${open.ready.nodeId}@${NOWHERE}`]);
    await expectLogged(node, { msg: 'a bootstrap peer could not be reached', ...refused });
    expect(await linksOf('lost')).toBe(0);
    const calls = await wholeLife(node);
    expect(connected(calls)).toEqual(expect.arrayContaining(looked));
    expect(elsewhere(calls, ...looked)).toEqual([]);

    const run = await runTraced(['tor', 'connect', `${open.ready.nodeId}@${NOWHERE}`], { HOME: empty });
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('relaymint tor start');
    expect(run.stderr).toContain('apt-get install tor');
    expect(elsewhere(run.calls, ...looked)).toEqual([]);
  });

  it('client case 2: a TCP address directly, an onion address through the SOCKS port alone', async () => {
    await using node = await relay('both-ways', [...torSocks, ...bootstrap(open), ...bootstrap(hidden)]);
    await expectLinks('both-ways', 2);
    const calls = await wholeLife(node);
    expect(connected(calls)).toEqual(expect.arrayContaining([placeOfTcp(open), socks]));
    expect(elsewhere(calls, placeOfTcp(open), socks)).toEqual([]);
  });

  it('client and server case 2 with no word about tor: the one in the home folder is found', async () => {
    const home = path.join(directory, 'home');
    const managed = path.join(home, '.relaymint', 'tor');
    const places = managedTor(managed);
    await mkdir(managed, { recursive: true });
    await symlink(socks, places.socks.path);
    await symlink(control, places.control.path);
    const where = ['--location', 'AUTODETECT,onion:80', ...LISTEN];
    await using node = await relay('found', [...where, ...bootstrap(open), ...bootstrap(hidden)], home);
    expect(node.ready.addresses).toEqual([TCP, ONION]);
    await expectLinks('found', 2);
    const calls = await wholeLife(node);
    const reached = [placeOfTcp(open), places.socks.path, places.control.path];
    expect(connected(calls)).toEqual(expect.arrayContaining(reached));
    expect(elsewhere(calls, ...reached)).toEqual([]);
  });

  it('server case 1: the TCP address is published, and tor is not even looked for', async () => {
    expect(open.ready.addresses).toEqual([TCP]);
    expect(elsewhere(await open.calls())).toEqual([]);
  });

  it('server case 2: both addresses are published, and lead to it', async () => {
    await using node = await relay('both', ['--location', 'AUTODETECT,onion:80', ...LISTEN, ...torArgs]);
    const { addresses, nodeId } = node.ready;
    expect(addresses).toEqual([TCP, ONION]);
    await using visitor = await relay('visitor', bootstrap(node));
    await expectLinks('visitor', 1);
    expect(elsewhere(await wholeLife(visitor), placeOfTcp(node))).toEqual([]);
    const run = await runTraced(['tor', 'connect', '--json', `${nodeId}@${addresses?.[1]}`, ...torSocks]);
    expect(JSON.parse(run.stdout)).toMatchObject({ nodeId, transport: 'tor', addresses });
    expect(elsewhere(run.calls, socks)).toEqual([]);
    // What its own tor hands over comes to a unix socket.
    expect(elsewhere(await wholeLife(node), control, socks)).toEqual([]);
  });

  it('server case 3: the onion address alone is published, it listens on this machine alone and dials nobody', async () => {
    expect(hidden.ready.addresses).toEqual([ONION]);
    const calls = await hidden.calls();
    expect(elsewhere(calls, control)).toEqual([]);
    const bound = calls.filter(({ call }) => call === 'bind');
    expect(bound.map(({ family }) => family)).toEqual(expect.arrayContaining(['unix', 'inet']));
    for (const { target } of bound) expect(target).toMatch(/^(?:\/|127\.0\.0\.1:)/);
    expect(connected(calls)).not.toContain(placeOfTcp(open));
    const run = await runTraced(['tor', 'connect', '--json', peerOf(hidden), ...torSocks]);
    expect(JSON.parse(run.stdout)).toMatchObject({ transport: 'tor', addresses: hidden.ready.addresses });
  });

  it('UNREACHABLE: it starts, works and publishes nothing', async () => {
    await using node = await relay('unreachable', [...LISTEN, '--location', 'UNREACHABLE', ...bootstrap(open)]);
    expect(node.ready.addresses).toEqual([]);
    await expectLinks('unreachable', 1);
    const told = await callControl(fetch, await readControlFile(dataOf('unreachable')), 'advertise');
    expect(told).toEqual({ addresses: [], peers: 1 });
    expect(elsewhere(await wholeLife(node), placeOfTcp(open))).toEqual([]);
  });

  it("an onion service of somebody else's leads to a port of this machine; the node has nothing to do with tor", async () => {
    const port = await freePort();
    await using mapped = await mapOnion(network, path.join(directory, 'mapped.sock'), '127.0.0.1', port);
    const location = `/onion3/${mapped.onion}:${MAPPED_PORT}`;
    await using node = await relay('mapped', ['--listen', `/ip4/127.0.0.1/tcp/${port}`, '--location', location]);
    expect(node.ready.addresses).toEqual([location]);
    const run = await runTraced(['tor', 'connect', '--json', peerOf(node), ...torSocks]);
    expect(JSON.parse(run.stdout)).toMatchObject({
      nodeId: node.ready.nodeId,
      transport: 'tor',
      addresses: [location],
    });
    expect(elsewhere(run.calls, socks)).toEqual([]);
    expect(elsewhere(await wholeLife(node))).toEqual([]);
  });

  it('--prefer NODEID=tor: a peer with a TCP address alone is not dialled', async () => {
    const prefer = ['--prefer', `${open.ready.nodeId}=tor`, '--log-level', 'debug'];
    await using node = await relay('prefers-tor', [...prefer, ...torSocks, ...bootstrap(open)]);
    const refused = { err: expect.objectContaining({ code: 'NO_TRANSPORT' }) as unknown };
    await expectLogged(node, { msg: 'a bootstrap peer could not be reached', ...refused });
    expect(await linksOf('prefers-tor')).toBe(0);
    expect(elsewhere(await wholeLife(node))).toEqual([]);
  });

  it('--phase deprecated: a direct link comes up with a warning; the usual phase has none', async () => {
    const warning = expect.stringContaining('which is deprecated') as string;
    await using late = await relay('late', ['--phase', 'deprecated', ...bootstrap(open)]);
    await expectLinks('late', 1);
    await expectLogged(late, { level: 'warn', msg: warning, peer: open.ready.nodeId });
    await using usual = await relay('usual', bootstrap(open));
    await expectLinks('usual', 1);
    await usual.stop();
    expect(usual.log()).toBe('');
  });
});

const peerOf = ({ ready }: TracedNode): string => `${ready.nodeId}@${ready.addresses?.[0]}`;
const bootstrap = (node: TracedNode): readonly string[] => ['--bootstrap', peerOf(node)];

/** Of its first address: as strace writes it. */
function placeOfTcp({ ready }: TracedNode): string {
  const [, host, port] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)$/.exec(ready.addresses?.[0] ?? '') ?? [];
  return `${host}:${port}`;
}

function connected(calls: readonly SocketCall[]): string[] {
  return calls.filter(({ call }) => call === 'connect').map(({ target }) => target);
}

/** Ends it. */
async function wholeLife(node: TracedNode): Promise<SocketCall[]> {
  expect(await node.stop()).toBe(0);
  return node.calls();
}

async function expectLogged(node: TracedNode, event: object): Promise<void> {
  const lines = (): string[] => node.log().split('\n').slice(0, -1);
  await expect
    .poll(() => lines().map((line): unknown => JSON.parse(line)), PATIENCE)
    .toContainEqual(expect.objectContaining(event));
}

/** A tor of this machine would be found and used: then nothing here shows what happens without one. */
async function skipWithTor(context: TestContext): Promise<void> {
  try {
    await findTor(USUAL_PLACES, signal);
  } catch (error) {
    if (isRelaymintError(error, 'TOR_NOT_RUNNING')) return;
    throw error;
  }
  context.skip('a tor runs on this machine');
}

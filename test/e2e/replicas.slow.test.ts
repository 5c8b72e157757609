/** Content with redundancy over Tor, and a host that is killed: what `test/app/replicas.test.ts` shows in one process. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { formatEndpoint } from '../../node/transport/index.ts';
import { visit } from '../app/visitor.ts';
import { joinSharedTor, requirePrograms } from '../network.ts';
import { relaymint, temporaryFolder } from './marketplace.ts';
import { startCommand, type RunningCommand } from './node.ts';

const MINUTES = 60_000;
const FILE_BYTES = 3 * 1024 * 1024 + 17;

requirePrograms('tor')('content on two hosts, over Tor', () => {
  const stack = new AsyncDisposableStack();
  let root: string;
  let joinArgs: readonly string[];
  let url: string;
  const content = randomBytes(FILE_BYTES);
  /** The host that is left in the end. */
  let survivor: string | undefined;
  const hosts = new Map<string, { readonly label: string; running: RunningCommand }>();

  const node = (label: string): string[] => [
    '--json',
    '--log-level',
    'error',
    '--label',
    label,
    '--data',
    path.join(root, label),
    '--airdrop',
    '20',
    ...joinArgs,
  ];
  const listenArgs = ['--location', 'onion:80'];
  const startHost = (label: string): Promise<RunningCommand> => startCommand('host', ...node(label), ...listenArgs);

  beforeAll(async () => {
    const folder = stack.use(await temporaryFolder());
    root = folder.path;
    const network = stack.use(await joinSharedTor(path.join(root, 'tor')));
    const places = ['--tor-socks', formatEndpoint(network.socks), '--tor-control', formatEndpoint(network.control)];
    const ledger = stack.use(
      await startCommand('ledger', 'start', '--json', '--log-level', 'error', '--memory', '--port', '0'),
    );
    joinArgs = [
      '--ledger',
      String(ledger.ready['url']),
      '--program',
      String(ledger.ready['programId']),
      // No node has another way to the others.
      '--phase',
      'tor-only',
      ...places,
    ];
    const relay = stack.use(await startCommand('relay', ...node('relay'), ...listenArgs));
    const [address] = relay.ready['addresses'] as readonly string[];
    joinArgs = [...joinArgs, '--bootstrap', `${String(relay.ready['nodeId'])}@${address}`];
    for (const label of ['host-1', 'host-2']) {
      const running = await startHost(label);
      hosts.set(String(running.ready['nodeId']), { label, running });
    }
    stack.defer(async () => {
      for (const { running } of hosts.values()) await running[Symbol.asyncDispose]();
    });
    const gateway = stack.use(await startCommand('gateway', ...node('gateway'), '--port', '0', '--relays', '1'));
    url = String(gateway.ready['gateway']);
  }, 5 * MINUTES);
  afterAll(() => stack.disposeAsync(), MINUTES);

  const fetched = async (): Promise<string> => {
    const { status, body } = await visit(url, 'kept.web3', '/file.bin');
    return body.equals(content) ? 'bit-exact' : String(status);
  };

  it(
    'is served by a replica when a host is lost, and by the lost one when it is back and the other is gone',
    async () => {
      const site = path.join(root, 'files');
      await mkdir(site);
      await writeFile(path.join(site, 'file.bin'), content);
      const published = await relaymint('publish', site, '--name', 'kept.web3', '--replicas', '2', ...node('site'));
      expect({ code: published.code, stderr: published.stderr }).toEqual({ code: 0, stderr: '' });
      const took = (JSON.parse(published.stdout) as { readonly hosts: readonly string[] }).hosts;
      expect(took.toSorted()).toEqual([...hosts.keys()].toSorted());
      expect(await fetched()).toBe('bit-exact');

      const [first, second] = took.map((id) => hosts.get(id));
      if (first === undefined || second === undefined) throw new Error('a host that is not ours took it');
      [survivor] = took;
      await first.running.kill();
      const patient = { timeout: 3 * MINUTES, interval: 500 };
      await expect.poll(() => fetched().catch(String), patient).toBe('bit-exact');

      first.running = await startHost(first.label);
      await second.running.kill();
      await expect.poll(() => fetched().catch(String), patient).toBe('bit-exact');
    },
    10 * MINUTES,
  );

  it('says when there are fewer hosts than asked for', async () => {
    const site = path.join(root, 'files');
    const args = ['publish', site, '--name', 'kept.web3', '--replicas', '3', ...node('site')];
    const { code, stdout } = await relaymint(...args);
    const { hosts: took, error } = JSON.parse(stdout) as { hosts?: readonly string[]; error?: unknown };
    expect({ code, error: JSON.stringify(error), took }).toEqual({ code: 1, error: undefined, took: [survivor] });
  });
});

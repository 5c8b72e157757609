/** Six hosts, and a site that only the dearest keeps: visitors' gateways ask that one and no other. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { callControl, readControlFile } from '../../app/control/client.ts';
import type { NodeStats } from '../../app/control/protocol.ts';
import { relaymint, temporaryFolder } from './marketplace.ts';
import { startCommand, type RunningCommand } from './node.ts';

const MINUTES = 60_000;
/** Credits a MiB. */
const PRICES = ['0.000001', '0.000001', '0.005', '0.01', '0.01', '0.02'];
const DEAREST = PRICES.length - 1;

describe('a site that one of six hosts keeps', () => {
  const stack = new AsyncDisposableStack();
  let root: string;
  let joinArgs: readonly string[];
  const hosts: RunningCommand[] = [];

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
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0'];
  const start = async (...args: readonly string[]): Promise<RunningCommand> => stack.use(await startCommand(...args));
  const startGateway = async (label: string): Promise<{ readonly url: string; readonly nodeId: string }> => {
    const { ready } = await start('gateway', ...node(label), '--port', '0', '--relays', '1');
    return { url: String(ready['gateway']), nodeId: String(ready['nodeId']) };
  };

  beforeAll(async () => {
    root = stack.use(await temporaryFolder()).path;
    const { ready } = await start('ledger', 'start', '--json', '--log-level', 'error', '--memory', '--port', '0');
    joinArgs = ['--loopback-only', '--ledger', String(ready['url']), '--program', String(ready['programId'])];
    const relay = await start('relay', ...node('relay'), ...listen);
    const [address] = relay.ready['addresses'] as readonly string[];
    joinArgs = [...joinArgs, '--bootstrap', `${String(relay.ready['nodeId'])}@${address}`];
    for (const [i, price] of PRICES.entries()) {
      hosts.push(await start('host', ...node(`host-${i}`), ...listen, '--price', price, '--publish-price', '0.000001'));
    }
  }, 5 * MINUTES);
  afterAll(() => stack.disposeAsync(), MINUTES);

  const visit = ({ url }: { readonly url: string }): Promise<string> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(url);
      const headers = { host: `only-web3.localhost:${port}` };
      request({ host: '127.0.0.1', port, path: '/', headers, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve(`${response.statusCode} ${body}`));
        response.on('error', reject);
      })
        .on('error', reject)
        .end();
    });
  const stats = async (label: string): Promise<NodeStats> =>
    callControl(fetch, await readControlFile(path.join(root, label)), 'stats');

  it(
    'opens at the first visit on a gateway that was running and on one that starts later, and the five others are asked nothing',
    async () => {
      const running = await startGateway('running');
      const site = path.join(root, 'pages');
      await mkdir(site);
      await writeFile(path.join(site, 'index.html'), 'only one keeps this');
      await symlink('nowhere', path.join(site, 'gone'));
      const dearest = String(hosts[DEAREST]?.ready['nodeId']);
      const published = await relaymint('publish', site, '--name', 'only.web3', '--host', dearest, ...node('site'));
      expect({ code: published.code, stderr: published.stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(published.stdout)).toMatchObject({ skipped: [{ path: 'gone', reason: 'a link to nothing' }] });

      expect(await visit(running)).toBe('200 only one keeps this');
      const later = await startGateway('later');
      expect(await visit(later)).toBe('200 only one keeps this');

      // A host that is asked anything carries a circuit, which counts for somebody on its books.
      const carried = await Promise.all(PRICES.map(async (_price, i) => (await stats(`host-${i}`)).pairs.length));
      expect(carried).toEqual([0, 0, 0, 0, 0, expect.any(Number)]);
      expect(carried[DEAREST]).toBeGreaterThan(0);

      // Who sells nothing shows nobody the node id that it has at home: it is another one on each link.
      const payers = (await stats('relay')).pairs.filter(({ side }) => side === 'earns').map(({ peer }) => peer);
      expect(payers).toHaveLength(2);
      for (const { nodeId } of [running, later]) expect(payers).not.toContain(nodeId);
    },
    5 * MINUTES,
  );
});

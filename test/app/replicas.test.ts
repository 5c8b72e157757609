/** Content with redundancy: put on two hosts, served when either is gone, and kept over a restart. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { host } from '../../app/roles/index.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { visit } from './visitor.ts';

const FILE_BYTES = 3 * 1024 * 1024 + 17;

describe('content on two hosts', () => {
  const stack = new AsyncDisposableStack();
  const content = randomBytes(FILE_BYTES);
  const hosts = new Map<string, TestnetNode>();
  let testnet: Testnet;
  let site: string;
  beforeAll(async () => {
    site = stack.use(await temporaryFolder()).path;
    await writeFile(path.join(site, 'file.bin'), content);
    testnet = stack.use(await createTestnet({ relays: 1, hosts: 0 }));
    for (const label of ['host-1', 'host-2']) hosts.set(label, await testnet.open(host, label));
  });
  afterAll(() => stack.disposeAsync());

  const idOf = (label: string): string | undefined => hosts.get(label)?.node.keys.identity.nodeId;
  const stop = async (label: string): Promise<void> => hosts.get(label)?.[Symbol.asyncDispose]();
  const fetched = async (): Promise<string> => {
    const { status, body } = await visit(testnet.url, 'kept.web3', '/file.bin');
    return body.equals(content) ? 'bit-exact' : `${status} ${String(body).slice(0, 200)}`;
  };

  it('is served by a replica when a host is lost, and by the lost one when it is back and the other is gone', async () => {
    const { hosts: took } = await testnet.publish(site, 'kept.web3', { replicas: '2' });
    expect(new Set(took)).toEqual(new Set([idOf('host-1'), idOf('host-2')]));
    expect(await fetched()).toBe('bit-exact');

    await stop('host-1');
    expect(await fetched()).toBe('bit-exact');

    const before = idOf('host-1');
    hosts.set('host-1', await testnet.open(host, 'host-1'));
    expect(idOf('host-1')).toBe(before);
    await stop('host-2');
    // The gateway keeps away from a host that it missed, for a while.
    await expect.poll(fetched, { timeout: 30_000, interval: 100 }).toBe('bit-exact');
  });

  it('goes to every host that is named, and says which took it when there are fewer than asked for', async () => {
    hosts.set('host-2', await testnet.open(host, 'host-2'));
    const both = [idOf('host-2') ?? '', idOf('host-1') ?? ''];
    expect((await testnet.publish(site, 'named.web3', { host: both })).hosts).toEqual(both);
    await stop('host-2');
    expect((await testnet.publish(site, 'few.web3', { replicas: '3' })).hosts).toEqual([idOf('host-1')]);
  });
});

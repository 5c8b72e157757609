/** A host that is to leave: what it takes, what it serves, and when it goes. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CID } from 'multiformats/cid';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { host as hostRole, type Role } from '../../app/roles/index.ts';
import { openHost, type HostValues, type RunningHost } from '../../app/roles/hosting.ts';
import { hostsFor } from '../../app/roles/delivery.ts';
import { publish } from '../../app/roles/publisher.ts';
import { keepersOf } from '../../app/roles/keepers.ts';
import { repair } from '../../app/roles/site-repair.ts';
import { verify } from '../../app/roles/site-verify.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import type { RunningNode } from '../../app/node/index.ts';
import type { NodeId } from '../../core/ids.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';
import { publisherRole } from './publisher.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
let testnet: Testnet;
beforeAll(async () => {
  testnet = await createTestnet({ relays: 1, hosts: 0 });
});
afterAll(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

let folder: string;
let name: string;
let number = 0;
const hosts: TestnetNode[] = [];
beforeEach(async () => {
  number += 1;
  name = `drain${number}.web3`;
  folder = await temporaryFolder(cleanup);
  await writeFile(path.join(folder, 'index.html'), `<!doctype html><title>${name}</title>`);
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]();
});

/** The role, with what runs in it at hand. */
function handed(hand: (hosting: RunningHost) => void): Role<HostValues> {
  return {
    ...hostRole,
    start: async (node, own) => {
      const hosting = await openHost(node, own);
      hand(hosting);
      return { describe: () => '', [Symbol.asyncDispose]: () => hosting[Symbol.asyncDispose]() };
    },
  };
}

async function open(label: string, drain?: string): Promise<{ id: NodeId; hosting: RunningHost; node: TestnetNode }> {
  let hosting: RunningHost | undefined;
  const node = await testnet.open(
    handed((one) => (hosting = one)),
    `${label}-${number}`,
    drain === undefined ? {} : { drain },
  );
  hosts.push(node);
  if (hosting === undefined) throw new Error('the host did not start');
  return { id: node.node.keys.identity.nodeId, hosting, node };
}

async function stop({ node }: { node: TestnetNode }): Promise<void> {
  hosts.splice(hosts.indexOf(node), 1);
  await node[Symbol.asyncDispose]();
}

async function asPublisher<T>(work: (node: RunningNode) => Promise<T>): Promise<T> {
  await using opened = await testnet.open(publisherRole, 'publisher');
  return await work(opened.node);
}

function published(to: readonly NodeId[] = []) {
  const settings = { directory: folder, name, royaltyBps: 2_000, years: 1, hosts: to, replicas: 1, relays: 0, signal };
  const silent = { onImport: () => {}, onUpload: () => {}, onRegistration: () => {} };
  return asPublisher((node) => publish(node, { ...settings, ...silent }));
}

const asking = { hosts: [], replicas: 1, samples: 5, relays: 0, waitMillis: 20_000, signal, onUpload: () => {} };
const NEVER = '2999-01-01';

/** Between one and two minutes ahead. */
function soon(): string {
  return new Date(testnet.clock.now() + 120_000).toISOString().replace(/:\d\d\.\d+Z$/, 'Z');
}

/** Published to a host that is then started again to leave. */
async function leaving(drain = NEVER) {
  const staying = await open('leaver');
  const { cid } = await published([staying.id]);
  await stop(staying);
  const leaver = await open('leaver', drain);
  return { ...leaver, cid };
}

describe('a host that is leaving', () => {
  it('serves what it keeps, and no publisher comes to it', async () => {
    const leaver = await leaving();
    expect(String((await visit(testnet.url, name)).body)).toContain(name);
    const other = await open('other');
    await asPublisher(async ({ discovery: { book } }) => {
      expect(hostsFor(book, name)).toEqual([other.id]);
      await Promise.resolve();
    });
    await writeFile(path.join(folder, 'index.html'), 'anew');
    expect((await published()).hosts).toEqual([other.id]);
    await expect(published([leaver.id])).rejects.toMatchObject({ code: 'NO_ROUTE' });
  });

  it('passes a check, is not counted, and a repair goes elsewhere', async () => {
    const leaver = await leaving();
    const checked = await asPublisher((node) => verify(node, { ...asking, name }));
    expect(checked).toMatchObject({ keeping: 0, hosts: [{ host: leaver.id, result: 'keeps', leaving: true }] });
    const other = await open('other');
    const repaired = await asPublisher((node) => repair(node, { ...asking, name }));
    expect(repaired).toMatchObject({ before: [], keeping: [other.id] });
    expect(leaver.hosting.store.pins(name)).toHaveLength(1);
  });

  it('says what only it keeps, and may go when another one has kept that for a while', async () => {
    const leaver = await leaving();
    const ends: string[] = [];
    void leaver.hosting.draining?.finished.then((left) => ends.push(left.map((one) => one.name).join(' ')));
    const left = async (): Promise<string[]> => {
      await leaver.hosting.sweep();
      return leaver.hosting.draining?.left.map((one) => one.name) ?? [];
    };
    expect(await left()).toEqual([name]);
    const [pin] = leaver.hosting.store.pins(name);
    expect(leaver.hosting.draining?.left).toEqual([{ name, bytes: pin?.bytes }]);
    await open('other');
    await asPublisher((node) => repair(node, { ...asking, name }));
    await leaver.node.node.discovery.refresh();
    expect(await left()).toEqual([]);
    expect(ends).toEqual([]);
    await testnet.advance(300);
    await leaver.hosting.sweep();
    expect(await leaver.hosting.draining?.finished).toEqual([]);
  });

  it('does not take a host that keeps an older state for one that keeps the name', async () => {
    const older = await open('other');
    await published([older.id]);
    await writeFile(path.join(folder, 'index.html'), 'anew');
    const leaver = await leaving();
    await leaver.node.node.discovery.refresh();
    expect(keepersOf(leaver.node.node.discovery.book, name)).toContain(older.id);
    await leaver.hosting.sweep();
    expect(leaver.hosting.draining?.left.map((one) => one.name)).toEqual([name]);
    await published([older.id]);
    // It is not asked all the time.
    await leaver.hosting.sweep();
    expect(leaver.hosting.draining?.left.map((one) => one.name)).toEqual([name]);
    await testnet.advance(300);
    await leaver.hosting.sweep();
    expect(leaver.hosting.draining?.left).toEqual([]);
  });

  it('does not wait for a name that points elsewhere, nor go because another one leaves as well', async () => {
    const leaver = await leaving();
    const too = await open('other');
    await asPublisher((node) => repair(node, { ...asking, name }));
    await stop(too);
    await open('other', NEVER);
    await leaver.node.node.discovery.refresh();
    await leaver.hosting.sweep();
    expect(leaver.hosting.draining?.left.map((one) => one.name)).toEqual([name]);
    await asPublisher(({ wallet }) => wallet.updateName(name, { root: CID.parse('bafkqaaa').bytes }));
    await leaver.hosting.sweep();
    expect(leaver.hosting.draining?.left).toEqual([]);
  });

  it('goes at its time, and says what is left', async () => {
    const leaver = await leaving(soon());
    await testnet.advance(120);
    await leaver.hosting.sweep();
    expect((await leaver.hosting.draining?.finished)?.map((one) => one.name)).toEqual([name]);
  });

  it('does not start once its time is past: it would go at once, with what only it keeps', async () => {
    await expect(open('leaver', '2020-01-01')).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  });

  it('tells people and scripts what is left, at its start, in its figures and at its end', async () => {
    const staying = await open('leaver');
    await published([staying.id]);
    await stop(staying);
    const slow: Role<HostValues> = {
      ...hostRole,
      start: async (node, own) => {
        const running = await hostRole.start(node, own);
        await testnet.advance(120);
        return running;
      },
    };
    const told = await testnet.open(slow, `leaver-${number}`, { drain: soon() });
    hosts.push(told);
    const line = /^No other host has shown that it keeps drain\d+\.web3 \(.*\)$/;
    expect(told.ready).toEqual({ draining: true });
    expect(told.role.describe(['/a'])).toMatch(
      / credits per MiB\.\nIt is leaving and takes no content\. No other host has shown/,
    );
    expect(told.role.figures?.()).toEqual({ names: 1, left: 1 });
    const finish = await told.role.finished;
    expect(finish?.line).toMatch(line);
    expect(finish?.value).toMatchObject({ event: 'drained', left: [{ name }] });
  });
});

/** Hosts say how much content they take: who has no room is not paid to say so, and who says too much is passed over. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { host as hostRole, type Role } from '../../app/roles/index.ts';
import { openHost, type HostValues } from '../../app/roles/hosting.ts';
import { hostsFor } from '../../app/roles/delivery.ts';
import { createTestnet, type SaidOf, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import type { NodeId } from '../../core/ids.ts';
import { systemClock } from '../../core/ports.ts';
import { MIB, bytes, pricePerMiB } from '../../core/units.ts';
import { createOfferBook } from '../../node/discovery/index.ts';
import { newIdentity, offerOf } from '../node/link/nodes.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';

const cleanup = new Cleanup();
let testnet: Testnet;
afterEach(async () => {
  await testnet[Symbol.asyncDispose]();
  await cleanup.run();
});

let folder: string;
let name: string;
let number = 0;
let hosts: TestnetNode[] = [];
beforeEach(async () => {
  // Of its own: hosts that are gone stay in the books of others.
  testnet = await createTestnet({ relays: 1, hosts: 0 });
  hosts = [];
  number += 1;
  name = `room${number}.web3`;
  folder = await temporaryFolder(cleanup);
  await writeFile(path.join(folder, 'index.html'), '<!doctype html><title>room</title>');
  await writeFile(path.join(folder, 'big.bin'), randomBytes(5 * MIB));
});
let opened = 0;
async function open(said: SaidOf<HostValues>, role: Role<HostValues> = hostRole): Promise<NodeId> {
  opened += 1;
  const host = await testnet.open(role, `host-${opened}`, said);
  hosts.push(host);
  return host.node.keys.identity.nodeId;
}

function saidBy(host: NodeId): number | undefined {
  return testnet.relays[0]?.node.discovery.book.get(host)?.room;
}

describe('the room of a host', () => {
  it('is what is least of its quota, the quota of a name and its disk', async () => {
    const [quota, ofName, full, disk] = [
      await open({ quota: '100M' }),
      await open({ quota: '100M', quotaPerName: '5M' }),
      await open({ quota: '10K' }),
      await open({}),
    ];
    expect([quota, ofName, full].map(saidBy)).toEqual([64 * MIB, 4 * MIB, 0]);
    expect(saidBy(disk)).toBeGreaterThan(0);
  });

  it('is less after a publication, which it says with the name', async () => {
    const host = await open({ quota: '9M' });
    expect(saidBy(host)).toBe(8 * MIB);
    await testnet.publish(folder, name, { host });
    await expect.poll(() => saidBy(host), { timeout: 10_000, interval: 20 }).toBe(2 * MIB);
  });

  it('sends publishers elsewhere, without a circuit to it', async () => {
    const full = await open({ quota: '2M' });
    const roomy = await open({ quota: '100M' });
    for (const more of ['a', 'b', 'c']) {
      const { hosts: took } = await testnet.publish(folder, `${more}-${name}`);
      expect(took).toEqual([roomy]);
    }
    const circuits = hosts[0]?.node.circuits.stats();
    expect([full, circuits?.framesIn]).toEqual([full, 0]);
  });

  it('is believed of no host: one that has less refuses, and the next one is asked', async () => {
    const boasting: Role<HostValues> = {
      ...hostRole,
      start: async (node, own) => {
        const hosting = await openHost(node, own);
        node.keeping(
          () => [],
          () => bytes(1024 * MIB),
        );
        return { describe: () => '', [Symbol.asyncDispose]: () => hosting[Symbol.asyncDispose]() };
      },
    };
    const liar = await open({ quota: '2M' }, boasting);
    expect(saidBy(liar)).toBe(1024 * MIB);
    await expect(testnet.publish(folder, name)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    const roomy = await open({ quota: '100M' });
    expect((await testnet.publish(folder, name)).hosts).toEqual([roomy]);
  });

  it('is the reason that is told where no host has any', async () => {
    await open({ quota: '2M' });
    await expect(testnet.publish(folder, name)).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      message: expect.stringMatching(/Of 1 known hosts none says that it has room for 5\.0 MiB/) as string,
    });
  });
});

describe('the hosts that a publisher asks', () => {
  it('are those that keep the name, whatever room they have, and those that may have room', () => {
    const book = createOfferBook({ clock: systemClock });
    const services = [{ name: 'publish', price: pricePerMiB(1n) }];
    const add = (room: number | undefined, keeps: readonly string[] = []): NodeId => {
      const identity = newIdentity();
      book.add(offerOf(identity, { services, keeps, ...(room !== undefined && { room: bytes(room) }) }));
      return identity.nodeId;
    };
    const [keeper, silent, half] = [add(0, ['news.web3']), add(undefined), add(3 * MIB)];
    add(0);
    add(MIB);
    const asked = hostsFor(book, 'news.web3', 3 * MIB);
    expect(asked[0]).toBe(keeper);
    expect(new Set(asked)).toEqual(new Set([keeper, silent, half]));
  });
});

/** What a node is told of where it is, and of whom it asks: everything that can be checked is checked before money is spent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestnet, type Testnet } from '../../app/testnet/index.ts';
import { relay } from '../../app/roles/index.ts';
import { MAX_ADDRESSES } from '../../core/limits.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import { newIdentity } from '../../platform/keys/identity.ts';

const warned: { readonly fields: object; readonly text: string }[] = [];
const log: Log = { ...silentLog, warn: (fields, text) => void warned.push({ fields, text }) };
const addresses = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `/ip4/192.0.2.${index + 1}/tcp/4001`);

let testnet: Testnet;
beforeAll(async () => {
  testnet = await createTestnet({ relays: 1, hosts: 0, log });
});
afterAll(() => testnet[Symbol.asyncDispose]());

describe('a node that is to announce', () => {
  it('more addresses than an offer holds is refused before its till is paid for', async () => {
    const before = await testnet.gateway.node.ledger.bank();
    const opening = testnet.open(relay, 'talkative', { announce: addresses(MAX_ADDRESSES + 1) });
    await expect(opening).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining('8 addresses'),
    });
    expect((await testnet.gateway.node.ledger.bank()).supply).toBe(before.supply);
  });

  it('as many as it holds announces them', async () => {
    const said = addresses(MAX_ADDRESSES);
    expect((await testnet.open(relay, 'exact', { announce: said })).addresses).toEqual(said);
  });

  it('and listens at more than that announces the first, and says which are left out', async () => {
    const listen = Array.from({ length: MAX_ADDRESSES + 2 }, (_, index) => `/memory/many-${index}`);
    const many = await testnet.open(relay, 'many', { listen });
    expect(many.addresses).toEqual(listen.slice(0, MAX_ADDRESSES));
    expect(warned.find(({ text }) => text.includes('use --announce to choose'))?.fields).toEqual({
      left: listen.slice(MAX_ADDRESSES),
    });
  });
});

describe('a node whose --bootstrap does not answer', () => {
  it('says so, and runs', async () => {
    const gone = `${newIdentity().nodeId}@/memory/nobody-is-here`;
    const { node } = await testnet.open(relay, 'alone', { bootstrap: gone });
    const said = warned.filter(({ text }) => text.includes('--bootstrap do not answer'));
    expect(said.map(({ fields }) => fields)).toEqual([{ nodes: [gone] }]);
    expect(node.links.links()).toEqual([]);
  });
});

/**
 * Statements of delivery in a whole marketplace: hosts sign them for a visitor, its gateway brings them to the owner's node, and the owner
 * compares them with what the chain says that the hosts declared.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ledgerAddressBytes } from '../../core/ids.ts';
import { MIB, basisPoints } from '../../core/units.ts';
import { gateway, host, relay, type Role } from '../../app/roles/index.ts';
import { openHost, type HostValues, type RunningHost } from '../../app/roles/hosting.ts';
import { publish } from '../../app/roles/publisher.ts';
import { siteRevenue, statementsIn, type SiteRevenue } from '../../app/roles/site-revenue.ts';
import type { Stated } from '../../app/roles/stated.ts';
import { openGateway, type GatewayValues, type RunningGateway } from '../../app/roles/visiting.ts';
import { createTestnet, type Testnet, type TestnetNode } from '../../app/testnet/index.ts';
import { revenueText } from '../../cli/commands/site-revenue.ts';
import type { SignedStatement } from '../../sites/statement/index.ts';
import { Cleanup, temporaryFolder } from '../sites/kit.ts';
import { visit } from './visitor.ts';
import { publisherRole } from './publisher.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
/** Of its content, blocks and all; more than what is stated in between. */
const SIZE = 8 * MIB;
const OWNER = 'owner';
const DAY = 86_400;

let testnet: Testnet;
let inbox: TestnetNode;
const running = new Map<string, { readonly node: TestnetNode; readonly hosting: RunningHost }>();

/** A host that declares that share of what its content earns, and signs whatever is asked of it. */
async function openDeclaring(label: string, bps: number): Promise<void> {
  let hosting: RunningHost | undefined;
  const declaring: Role<HostValues> = {
    ...host,
    start: async (node, own) => {
      const patched: typeof node = {
        ...node,
        serve: (service, price, handler) =>
          node.serve(service, price, (stream, params, circuit) => {
            const attribute = stream.attribute.bind(stream);
            stream.attribute = (shares) => attribute(shares.map((one) => ({ ...one, share: basisPoints(bps) })));
            handler(stream, params, circuit);
          }),
      };
      const opened = await openHost(patched, own);
      hosting = opened;
      return { describe: () => '', [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
    },
  };
  const node = await testnet.open(declaring, label);
  if (hosting === undefined) throw new Error('the host did not start');
  running.set(label, { node, hosting });
}

/** The name of the content that only the host with this label has. */
function nameAt(label: string): string {
  return `${label}.web3`;
}

async function publishTo(label: string): Promise<void> {
  const directory = path.join(await temporaryFolder(cleanup), label);
  await mkdir(directory);
  await writeFile(path.join(directory, 'film.bin'), randomBytes(SIZE));
  await using opened = await testnet.open(publisherRole, OWNER);
  await publish(opened.node, {
    directory,
    name: nameAt(label),
    royaltyBps: 1_000,
    years: 1,
    hosts: [ofHost(label).node.node.keys.identity.nodeId],
    replicas: 1,
    relays: 0,
    signal,
    onUpload: () => {},
    onImport: () => {},
    onRegistration: () => {},
  });
}

function ofHost(label: string): { readonly node: TestnetNode; readonly hosting: RunningHost } {
  const found = running.get(label);
  if (found === undefined) throw new Error(`there is no host ${label}`);
  return found;
}

/** A gateway that hands statements over at once. */
async function openHasty(): Promise<RunningGateway> {
  let opened: RunningGateway | undefined;
  const hasty: Role<GatewayValues> = {
    ...gateway,
    start: async (node, own) =>
      await Promise.resolve({
        announced: async () => {
          opened = await openGateway(node, own, { delay: () => 0, roundMillis: 50 });
          return {};
        },
        describe: () => '',
        [Symbol.asyncDispose]: async () => await opened?.[Symbol.asyncDispose](),
      }),
  };
  const node = await testnet.open(hasty, 'visitor', { port: '0', relays: '1' });
  visitor = node;
  if (opened === undefined) throw new Error('the gateway did not start');
  return opened;
}
let visitor: TestnetNode;

function inInbox(): Promise<readonly SignedStatement[]> {
  return statementsIn(inbox.node.settings.dataDir);
}

async function revenueOf(label: string): Promise<{ readonly revenue: SiteRevenue; readonly stated: Stated }> {
  const { ledger } = inbox.node;
  const name = nameAt(label);
  const revenue = await siteRevenue({ ledger, name, statements: await inInbox(), signal, onProgress: () => {} });
  const [stated] = revenue.statements ?? [];
  if (stated === undefined) throw new Error(`nobody stated anything of ${name}`);
  return { revenue, stated };
}

/** All that was served is paid for and settled. */
async function settled(): Promise<void> {
  const hosts = Array.from(running.values(), ({ node }) => node);
  const nodes = [visitor, inbox, ...testnet.relays, ...hosts].map(({ node }) => node);
  await Promise.all(nodes.map((node) => node.circuits.close()));
  for (;;) {
    for (const { metering } of nodes) metering.flush();
    for (const { settlement } of nodes) await settlement.settleAll();
    const records = await inbox.node.ledger.findNames(['honest', 'half'].map(nameAt));
    if (records.length === 2 && records.every(({ lifetime }) => lifetime > 0n)) return;
  }
}

beforeAll(async () => {
  testnet = await createTestnet({ relays: 1, hosts: 0 });
  cleanup.add(() => testnet[Symbol.asyncDispose]());
  await openDeclaring('honest', 10_000);
  await openDeclaring('half', 5_000);
  await publishTo('honest');
  await publishTo('half');
  // The owner's own node: nobody is told of it but by its offer.
  inbox = await testnet.open(relay, OWNER, { inbox: true });
  const { url } = await openHasty();
  for (const label of ['honest', 'half']) await visit(url, nameAt(label), '/film.bin');
});
afterAll(() => cleanup.run());

describe('what hosts signed for a visitor', () => {
  it("is in the owner's inbox, to the byte, and nothing in it is the visitor's", async () => {
    const sizeOf = (label: string): number => ofHost(label).hosting.store.pins(nameAt(label))[0]?.bytes ?? 0;
    await expect
      .poll(async () => (await inInbox()).reduce((sum, one) => sum + one.bytes, 0), { timeout: 30_000, interval: 100 })
      .toBe(sizeOf('honest') + sizeOf('half'));
    const statements = await inInbox();
    expect(new Set(statements.map(({ name }) => name))).toEqual(new Set(['honest.web3', 'half.web3']));
    for (const label of ['honest', 'half']) {
      const { node } = ofHost(label);
      const own = statements.filter(({ name }) => name === nameAt(label));
      expect(own.map((one) => one.host)).toEqual([node.node.keys.identity.nodeId]);
      expect(own.map(({ wallet }) => wallet)).toEqual([node.node.wallet.address]);
    }
    const { keys, wallet } = visitor.node;
    const signed = Buffer.concat(statements.map(({ encoded }) => encoded));
    expect(signed.includes(Buffer.from(keys.identity.publicKey))).toBe(false);
    expect(signed.includes(Buffer.from(ledgerAddressBytes(wallet.address)))).toBe(false);
  });

  it('names nobody as long as it may not be settled yet', async () => {
    await settled();
    const { stated, revenue } = await revenueOf('half');
    expect(stated).toMatchObject({ verdict: 'enough', recent: stated.stated });
    expect(revenueText(revenue)).not.toContain('TOO LITTLE');
  });

  it('names the host that declared half of it, by what it stated and what it declared, and not the one that declared all', async () => {
    await testnet.advance(9 * DAY);
    const [honest, half] = [await revenueOf('honest'), await revenueOf('half')];
    for (const [label, { stated, revenue }] of Object.entries({ honest, half })) {
      const { node, hosting } = ofHost(label);
      const size = BigInt(hosting.store.pins(nameAt(label))[0]?.bytes ?? 0);
      expect(stated).toMatchObject({
        seller: node.node.wallet.address,
        hosts: [node.node.keys.identity.nodeId],
        bytes: String(size),
        stated: String((size * 10_000n) / BigInt(MIB)),
        recent: '0',
        declared: revenue.sellers[0]?.gross,
        pages: [{ referrer: null, stated: stated.stated, declared: revenue.sellers[0]?.gross }],
      });
    }
    expect(honest.stated.verdict).toBe('enough');
    expect(BigInt(honest.stated.declared)).toBeGreaterThanOrEqual(BigInt(honest.stated.stated));
    expect(revenueText(honest.revenue)).not.toContain('TOO LITTLE');

    expect(half.stated.verdict).toBe('little');
    const paid = BigInt(honest.stated.declared);
    // Both delivered as much; one declared half of it.
    expect(Math.abs(Number(paid - 2n * BigInt(half.stated.declared)))).toBeLessThan(Number(paid) / 50);
    expect(revenueText(half.revenue)).toContain('DECLARES TOO LITTLE');
    expect(revenueText(half.revenue)).toContain(half.stated.seller);
  });

  it('accuses nobody where the node does not tell all that was settled', async () => {
    const { ledger } = inbox.node;
    const none = await siteRevenue({
      ledger: {
        name: (one) => ledger.name(one),
        now: () => ledger.now(),
        bank: () => ledger.bank(),
        nameEarnings: () => Promise.resolve({ earnings: [], transactions: 0, unread: [] }),
      },
      name: nameAt('honest'),
      statements: await inInbox(),
      signal,
      onProgress: () => {},
    });
    expect(none.statements?.map(({ verdict }) => verdict)).toEqual(['unknown']);
    expect(revenueText(none)).not.toContain('TOO LITTLE');
  });

  it('is looked for where an inbox is', async () => {
    await expect(statementsIn(visitor.node.settings.dataDir)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

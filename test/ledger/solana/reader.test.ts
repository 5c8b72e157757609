/** What reading a channel costs, whoever says where it is. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LedgerAddress } from '../../../core/ids.ts';
import { amount, lamports } from '../../../core/units.ts';
import type { ChannelState } from '../../../ledger/contract.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, programFile } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../../ledger/solana/index.ts';

const SLOTS = 90;

let server: EmbeddedLedger;
let ledger: SolanaLedger;
let payee: SolanaWallet;
let other: SolanaWallet;
let payer: SolanaWallet;
let opened: ChannelState[];
/** Of the answers that came since a test began. */
let bytesRead = 0;
let requests = 0;

const counting: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  const body = await response.arrayBuffer();
  bytesRead += body.byteLength;
  requests += 1;
  return new Response(body, { status: response.status, headers: response.headers });
};

async function wallet(): Promise<SolanaWallet> {
  const made = ledger.wallet(generateWalletKey());
  await made.airdrop(lamports(2_000_000_000n));
  await made.buy(lamports(1_000_000n));
  return made;
}

beforeAll(async () => {
  server = await startEmbeddedLedger({ programPath: programFile(), programId: EMBEDDED_PROGRAM_ID });
  ledger = openSolanaLedger({ fetch: counting, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  payee = await wallet();
  other = await wallet();
  payer = await wallet();
  await payee.openTill(SLOTS);
  await other.openTill(2);
  opened = [];
  for (const to of [payee, payee, other]) {
    opened.push(await payer.openChannel(to.address, payer.address, amount(1_000n)));
  }
}, 120_000);

afterAll(async () => {
  ledger.close();
  await server.close();
});

beforeEach(() => {
  bytesRead = 0;
  requests = 0;
});

const fresh = (): SolanaLedger =>
  openSolanaLedger({ fetch: counting, url: server.url, programId: EMBEDDED_PROGRAM_ID });

/** Payers draw their slots at random: one that none of them took. */
function freeSlot(): number {
  const taken = new Set(opened.map(({ slot }) => slot));
  return Array.from({ length: SLOTS }, (_, slot) => slot).find((slot) => !taken.has(slot)) ?? SLOTS;
}

describe('a channel', () => {
  it('is read as the till shows it, and never the whole till', async () => {
    const till = await ledger.till(payee.address);
    const whole = bytesRead;
    expect(whole).toBeGreaterThan(SLOTS * 112);
    const channels = await Promise.all((till?.channels ?? []).map(({ till: at, slot }) => ledger.channel(at, slot)));
    expect(channels).toEqual(till?.channels);
    bytesRead = 0;
    await ledger.channel(opened[0]?.till ?? payee.address, 0);
    expect(bytesRead).toBeLessThan(700);
  });

  it.each([
    ['a free slot', () => [ledger.tillAddress(payee.address), freeSlot()]],
    ['a slot that the till does not have', () => [ledger.tillAddress(payee.address), SLOTS]],
    ['the largest slot there is', () => [ledger.tillAddress(payee.address), 65_535]],
    ['a wallet', () => [payee.address, 0]],
    ['nothing', () => [ledger.wallet(generateWalletKey()).address, 0]],
  ] as const)('at %s is none', async (_what, place) => {
    const [till, slot] = place() as [LedgerAddress, number];
    expect(await ledger.channel(till, slot)).toBeUndefined();
  });

  it.each([
    ['of the loader, hundreds of KiB long', () => EMBEDDED_PROGRAM_ID],
    ["of this program, but no till: the bank's", async () => (await ledger.bank()).address],
  ] as const)(
    'at an account %s is none, and no more than a few hundred bytes come over the wire',
    async (_what, find) => {
      const address = await find();
      bytesRead = 0;
      expect(await fresh().channel(address, 0)).toBeUndefined();
      expect(bytesRead).toBeLessThan(2_000);
    },
  );

  it('several are read with one request for each slot number, in the order asked', async () => {
    const places = opened.map(({ till, slot }) => ({ till, slot }));
    await ledger.channels(places);
    requests = 0;
    const gap = { till: ledger.tillAddress(payee.address), slot: freeSlot() };
    const found = await ledger.channels([gap, ...places.toReversed()]);
    expect(found.map((channel) => channel?.id)).toEqual([undefined, ...opened.toReversed().map(({ id }) => id)]);
    expect(requests).toBe(new Set([gap, ...places].map(({ slot }) => slot)).size);
    expect(await ledger.channels([])).toEqual([]);
  });

  it('in a slot that a till got later is found', async () => {
    const seller = await wallet();
    await seller.openTill(1);
    const first = await payer.openChannel(seller.address, payer.address, amount(5n));
    expect((await ledger.channel(first.till, 0))?.id).toBe(first.id);
    await seller.growTill(3);
    const second = await payer.openChannel(seller.address, payer.address, amount(5n));
    expect((await ledger.channel(second.till, second.slot))?.id).toBe(second.id);
  });
});

describe('holdings', () => {
  it('of many owners take a handful of requests', async () => {
    const strangers = Array.from({ length: 120 }, () => ledger.wallet(generateWalletKey()).address);
    const [alone, tillOnly] = [await ledger.balances(payer.address), await ledger.till(payee.address)];
    requests = 0;
    const holdings = await ledger.holdings([payer.address, ...strangers, payee.address]);
    expect(requests).toBe(4);
    expect(holdings).toHaveLength(122);
    expect(holdings[0]).toEqual({ credits: alone.credits, earned: undefined });
    expect(holdings[1]).toEqual({ credits: 0n, earned: undefined });
    expect(holdings[121]?.earned).toBe(tillOnly?.earned);
  });
});

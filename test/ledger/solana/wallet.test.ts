/** The ledger contract on the real program in the embedded SVM. */
import bs58 from 'bs58';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { encodeReceipt, delegateFromSeed } from '../../../ledger/receipt/index.ts';
import type { Receipt, Signer } from '../../../ledger/receipt/index.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, programFile } from '../../../ledger/solana/index.ts';
import type { SolanaLedger, SolanaWallet } from '../../../ledger/solana/index.ts';
import type { BankState, ChannelState, SettleItem } from '../../../ledger/contract.ts';
import { isRelaymintError } from '../../../core/errors.ts';
import { channelId } from '../../../core/ids.ts';
import { amount, lamports } from '../../../core/units.ts';

const SOL = 1_000_000_000n;
/** Version 1, raw, sha2-256, 32 bytes: a CID of no particular content. */
const CID = Uint8Array.of(1, 0x55, 0x12, 0x20, ...new Uint8Array(32).fill(7));
const OTHER_CID = Uint8Array.of(1, 0x55, 0x12, 0x20, ...new Uint8Array(32).fill(8));

let server: EmbeddedLedger;
let ledger: SolanaLedger;

beforeAll(async () => {
  server = await startEmbeddedLedger({
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 2n, challengeSeconds: 600n },
    seed: 'wallet tests',
  });
  ledger = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
});

afterAll(async () => {
  ledger.close();
  await server.close();
});

/** A wallet with SOL, and credits when asked for. */
async function wallet(credits = 0n): Promise<SolanaWallet> {
  const opened = ledger.wallet(generateWalletKey());
  await opened.airdrop(lamports(10n * SOL));
  if (credits > 0n) await opened.buy(lamports(credits / 2n));
  return opened;
}

let seeds = 0;
function delegate(): Signer {
  seeds += 1;
  return delegateFromSeed(new Uint8Array(32).fill(seeds));
}

function settleItem(channel: ChannelState, signer: Signer, owed: bigint): SettleItem {
  const message = encodeReceipt({ channel: channel.id, amount: amount(owed), up: owed * 3n, down: owed * 5n });
  return { slot: channel.slot, delegate: signer.address, message, signature: signer.sign(message) };
}

function expectConserved(bank: BankState): void {
  expect(bank.bought - bank.redeemed).toBe(bank.supply + bank.openDeposits + bank.unminted);
  expect(bank.reserve * bank.unitsPerLamport).toBeGreaterThanOrEqual(bank.bought - bank.redeemed);
}

describe('bank', () => {
  test('is initialized as told', async () => {
    const bank = await ledger.bank();
    expect(bank.unitsPerLamport).toBe(2n);
    expect(bank.challengeSeconds).toBe(600n);
    expect(bank.clusterTag).toHaveLength(16);
    expectConserved(bank);
  });

  test('credits are bought, sent and redeemed at its price', async () => {
    const buyer = await wallet();
    const receiver = generateWalletKey();
    const before = await ledger.balances(buyer.address);
    expect(before).toEqual({ lamports: 10n * SOL, credits: 0n });
    const bought = await buyer.buy(lamports(1_000_000n));
    expect(bought.feeLamports).toBe(5000n);
    expect(bought.computeUnits).toBeGreaterThan(1000);
    const to = ledger.wallet(receiver).address;
    await buyer.send(to, amount(500_000n));
    await buyer.redeem(amount(1_000_000n));
    expect((await ledger.balances(buyer.address)).credits).toBe(500_000n);
    expect((await ledger.balances(to)).credits).toBe(500_000n);
    expectConserved(await ledger.bank());
  });

  test('equal payments at the same moment are all made', async () => {
    const sender = await wallet(1000n);
    const to = ledger.wallet(generateWalletKey()).address;
    const results = await Promise.all(Array.from({ length: 5 }, () => sender.send(to, amount(100n))));
    expect(new Set(results.map(({ signature }) => signature)).size).toBe(5);
    expect((await ledger.balances(to)).credits).toBe(500n);
  });

  test('what the wallet does not have is said before anything is sent', async () => {
    const poor = ledger.wallet(generateWalletKey());
    await expect(poor.buy(lamports(1n))).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    await expect(poor.openTill(4)).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    const rich = await wallet(1000n);
    await expect(rich.redeem(amount(2000n))).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
    await expect(rich.send(poor.address, amount(1001n))).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
      details: { has: '1000', needs: '1001' },
    });
    await expect(rich.buy(lamports(10n * SOL))).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' });
  });

  test("the program's own errors keep their names", async () => {
    const owner = await wallet(1000n);
    await expect(owner.redeem(amount(1n))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { program: 'NotWholeLamports' },
    });
  });
});

describe('channels', () => {
  test('open, top up, settle with a share, withdraw, close: every unit is where it belongs', async () => {
    const [payee, first, second, author] = await Promise.all([
      wallet(),
      wallet(1_000_000n),
      wallet(1_000_000n),
      wallet(),
    ]);
    await payee.openTill(4);
    await author.registerName({ name: 'news.web3', root: CID, royaltyBps: 1000 });
    const signers = [delegate(), delegate()] as const;
    const one = await first.openChannel(payee.address, signers[0].address, amount(400_000n));
    const two = await second.openChannel(payee.address, signers[1].address, amount(300_000n));
    expect(one).toMatchObject({
      payee: payee.address,
      payer: first.address,
      delegate: signers[0].address,
      deposit: 400_000n,
      settled: 0n,
      generation: expect.any(Number),
      closeAt: undefined,
    });
    await first.topUp(one, amount(100_000n));
    expect((await ledger.channel(one.till, one.slot))?.deposit).toBe(500_000n);
    expect(await ledger.channelsOf(second.address)).toEqual([two]);

    const items = [settleItem(one, signers[0], 100_000n), settleItem(two, signers[1], 200_000n)];
    const prepared = await payee.prepareSettle(items, [
      { name: 'news.web3', gross: amount(50_000n), maxRoyaltyBps: 10_000 },
    ]);
    expect(await payee.status(prepared)).toEqual({ state: 'pending' });
    await payee.submit(prepared);
    const outcome = await payee.confirm(prepared);
    expect(outcome).toMatchObject({ state: 'confirmed', result: { signature: prepared.signature } });
    // Sending it again is harmless.
    await payee.submit(prepared);
    expect(await payee.status(prepared)).toEqual(outcome);

    const till = await ledger.till(payee.address);
    expect(till).toMatchObject({ slots: 4, earned: 295_000n, lifetimeEarned: 295_000n });
    expect(new Set(till?.channels.map(({ settled }) => settled))).toEqual(new Set([100_000n, 200_000n]));
    const settled = await ledger.channel(one.till, one.slot);
    expect(settled).toMatchObject({ settledUp: 300_000n, settledDown: 500_000n });
    expectConserved(await ledger.bank());

    await payee.withdraw();
    expect((await ledger.balances(payee.address)).credits).toBe(295_000n);
    expect(await ledger.name('news.web3')).toMatchObject({ accrued: 5000n, lifetime: 5000n, seq: expect.any(BigInt) });
    await author.distributeName('news.web3');
    expect((await ledger.balances(author.address)).credits).toBe(5000n);

    await first.closeChannel(one, payee);
    expect((await ledger.balances(first.address)).credits).toBe(900_000n);
    expect(await ledger.channel(one.till, one.slot)).toBeUndefined();
    await second.requestClose(two);
    const closing = await ledger.channel(two.till, two.slot);
    expect(Number(closing?.closeAt)).toBeGreaterThan(Date.now() / 1000 + 500);
    await expect(second.closeChannel(two)).rejects.toMatchObject({ code: 'CHANNEL_CLOSING' });
    await server.warp(601);
    await second.closeChannel(two);
    expect((await ledger.balances(second.address)).credits).toBe(800_000n);
    expect(await ledger.channelsOf(second.address)).toEqual([]);
    const bank = await ledger.bank();
    expectConserved(bank);
  });

  test('without a till, and in a full one, no channel opens', async () => {
    const [payee, payer] = await Promise.all([wallet(), wallet(10_000n)]);
    const signer = delegate();
    await expect(payer.openChannel(payee.address, signer.address, amount(10n))).rejects.toMatchObject({
      code: 'CHANNEL_UNKNOWN',
    });
    await payee.openTill(1);
    await payer.openChannel(payee.address, signer.address, amount(10n));
    await expect(payer.openChannel(payee.address, signer.address, amount(10n))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    await expect(payer.openChannel(payee.address, signer.address, amount(10_000n))).rejects.toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
    });
  });

  test('payers that open at the same moment get different slots', async () => {
    const payee = await wallet();
    await payee.openTill(6);
    const payers = await Promise.all(Array.from({ length: 6 }, () => wallet(1000n)));
    const opened = await Promise.all(
      payers.map((payer) => payer.openChannel(payee.address, delegate().address, amount(100n))),
    );
    expect(new Set(opened.map(({ slot }) => slot)).size).toBe(6);
  });

  test('a settle transaction with a forged receipt is refused and changes nothing', async () => {
    const [payee, payer] = await Promise.all([wallet(), wallet(10_000n)]);
    await payee.openTill(1);
    const signer = delegate();
    const channel = await payer.openChannel(payee.address, signer.address, amount(1000n));
    const item = settleItem(channel, signer, 500n);
    const message = item.message.slice();
    message[23] = (message[23] ?? 0) ^ 1;
    const forged = await payee.prepareSettle([{ ...item, message }], []);
    await expect(payee.submit(forged)).rejects.toMatchObject({ name: 'RelaymintError' });
    expect(await payee.status(forged)).toEqual({ state: 'pending' });
    await server.warp(61);
    expect(await payee.confirm(forged)).toEqual({ state: 'expired' });
    expect((await ledger.channel(channel.till, channel.slot))?.settled).toBe(0n);
  });

  /** A wallet where transactions have at most 1,232 bytes. */
  const onOlderCluster = async (): Promise<{ readonly wallet: SolanaWallet; readonly close: () => Promise<void> }> => {
    const older = await startEmbeddedLedger({
      programPath: programFile(),
      programId: EMBEDDED_PROGRAM_ID,
      maxTransactionVersion: 0,
    });
    const there = openSolanaLedger({ fetch, url: older.url, programId: EMBEDDED_PROGRAM_ID });
    const opened = there.wallet(generateWalletKey());
    await opened.airdrop(lamports(10n * SOL));
    const close = async (): Promise<void> => {
      there.close();
      await older.close();
    };
    return { wallet: opened, close };
  };

  /** Receipts with counters of that many bits each, alike but for their slots. */
  const receipts = (count: number, bits: readonly [number, number, number]): readonly Receipt[] => {
    const [total = 0n, up = 0n, down = 0n] = bits.map((size) => (1n << BigInt(size)) - 1n);
    const channel = channelId(new Uint8Array(22));
    return Array.from({ length: count }, () => ({ channel, amount: amount(total), up, down }));
  };
  const items = (list: readonly Receipt[]): readonly SettleItem[] => {
    const signer = delegate();
    return list.map((receipt, slot) => {
      const message = encodeReceipt(receipt);
      return { slot, delegate: signer.address, message, signature: signer.sign(message) };
    });
  };

  test.each([
    ['new channels', [10, 14, 16]],
    ['what channels carry in a year', [27, 37, 37]],
    ['the greatest counters', [64, 64, 64]],
  ] as const)(
    'as many receipts as are said to fit do, beside any number of names, with room for a fee: %s',
    async (_title, bits) => {
      const { wallet: payee, close } = await onOlderCluster();
      for (const [names, isShown] of [
        [0, false],
        [1, false],
        [7, true],
        [8, false],
        [8, true],
      ] as const) {
        const shares = Array.from({ length: names }, (_, index) => ({
          name: `fit-${index}.web3`,
          ...(isShown ? { referrer: `shows-${index}.web3` } : {}),
          gross: amount(1n),
          maxRoyaltyBps: 10_000,
        }));
        const most = payee.receiptsThatFit(receipts(64, bits), shares);
        const full = await payee.prepareSettle(items(receipts(most, bits)), shares);
        // A priority fee takes 12 bytes.
        expect(full.wire.length).toBeLessThanOrEqual(1232 - 12);
        const more = items(receipts(most + 1, bits));
        const over = await payee.prepareSettle(more, shares).then(
          ({ wire }) => wire.length,
          (error: unknown) => (isRelaymintError(error, 'LIMIT_EXCEEDED') ? Infinity : error),
        );
        expect(over).toBeGreaterThan(1232 - 12);
        expect(payee.receiptsThatFit(receipts(most - 1, bits), shares)).toBe(most - 1);
      }
      await close();
    },
  );

  test('one transaction holds at least 17 receipts of channels that carried 100 GB', async () => {
    const payee = await wallet();
    const channel = channelId(new Uint8Array(22));
    const grown = { channel, amount: amount(10n ** 8n), up: 10n ** 11n, down: 10n ** 11n };
    expect(
      payee.receiptsThatFit(
        Array.from({ length: 64 }, () => grown),
        [],
      ),
    ).toBeGreaterThanOrEqual(17);
    expect(payee.receiptsThatFit([grown, grown], [])).toBe(2);
  });

  test('a batch that does not fit a packet is refused before it is signed', async () => {
    const { wallet: payee, close } = await onOlderCluster();
    await expect(payee.prepareSettle(items(receipts(40, [27, 37, 37])), [])).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    await close();
  });

  test('what is no receipt, and a signature that could be written twice, are refused before anything is signed', async () => {
    const payee = await wallet();
    const [item] = items(receipts(1, [8, 8, 8]));
    if (item === undefined) throw new TypeError('no item');
    const message = item.message.slice().fill(2, 0, 1);
    await expect(payee.prepareSettle([{ ...item, message }], [])).rejects.toMatchObject({ code: 'RECEIPT_INVALID' });
    const signature = item.signature.slice().fill(0xff, 32);
    await expect(payee.prepareSettle([{ ...item, signature }], [])).rejects.toMatchObject({ code: 'RECEIPT_INVALID' });
  });
});

describe('tills', () => {
  test('grow beyond what one instruction may add, in one transaction', async () => {
    const [payee, payer] = await Promise.all([wallet(), wallet(10_000n)]);
    await payee.openTill(200);
    expect((await ledger.till(payee.address))?.slots).toBe(200);
    const channel = await payer.openChannel(payee.address, delegate().address, amount(10n));
    await payee.growTill(1_024);
    const till = await ledger.till(payee.address);
    expect(till?.slots).toBe(1_024);
    expect(till?.channels).toEqual([channel]);
  });

  test('say what they cannot do before anything is sent', async () => {
    const [payee, stranger] = await Promise.all([wallet(), wallet()]);
    await payee.openTill(3);
    for (const slots of [0, 1_025, 1.5]) {
      await expect(stranger.openTill(slots)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(payee.growTill(slots)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    await expect(payee.growTill(3)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(stranger.growTill(4)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    await expect(stranger.closeTill()).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  });

  test('that are full say that they can grow', async () => {
    const [payee, payer] = await Promise.all([wallet(), wallet(10_000n)]);
    await payee.openTill(1);
    await payer.openChannel(payee.address, delegate().address, amount(10n));
    await expect(payer.openChannel(payee.address, delegate().address, amount(10n))).rejects.toThrow(
      'relaymint till grow',
    );
    await payee.growTill(2);
    expect((await payer.openChannel(payee.address, delegate().address, amount(10n))).slot).toBe(1);
  });

  test('are closed, pay their rent back, and begin with other channels when they are opened again', async () => {
    const [payee, payer] = await Promise.all([wallet(), wallet(10_000n)]);
    await payee.openTill(1);
    const signer = delegate();
    const first = await payer.openChannel(payee.address, signer.address, amount(100n));
    await expect(payee.closeTill()).rejects.toMatchObject({ details: { program: 'TillInUse' } });
    await payer.closeChannel(first, payee);
    await server.warp(2);
    const before = (await ledger.balances(payee.address)).lamports;
    const { feeLamports } = await payee.closeTill();
    expect((await ledger.balances(payee.address)).lamports).toBeGreaterThan(before - feeLamports + 1_000_000n);
    expect(await ledger.till(payee.address)).toBeUndefined();
    expect(await ledger.channelsOf(payer.address)).toEqual([]);

    await payee.openTill(1);
    const second = await payer.openChannel(payee.address, signer.address, amount(100n));
    expect(second).toMatchObject({ till: first.till, slot: first.slot, delegate: first.delegate });
    expect(second.generation).toBeGreaterThan(first.generation + 1);
    expect(second.id).not.toBe(first.id);
    const replayed = await payee.prepareSettle([{ ...settleItem(first, signer, 50n), slot: second.slot }], []);
    await expect(payee.submit(replayed)).rejects.toMatchObject({ code: 'RECEIPT_INVALID' });
  });
});

describe("the bank's settings", () => {
  test('are changed by its admin, handed over, and given up', async () => {
    await using own = await startEmbeddedLedger({
      programPath: programFile(),
      programId: EMBEDDED_PROGRAM_ID,
      bank: { feeBps: 25, nameYearPrice: amount(7n), commitSeconds: 9 },
    });
    const there = openSolanaLedger({ fetch, url: own.url, programId: EMBEDDED_PROGRAM_ID });
    const admin = there.wallet(own.admin);
    const heir = there.wallet(generateWalletKey());
    await heir.airdrop(lamports(SOL));
    expect(await there.bank()).toMatchObject({
      admin: admin.address,
      treasury: admin.address,
      feeBps: 25,
      nameYearPrice: 7n,
      commitSeconds: 9,
      fees: 0n,
      lifetimeFees: 0n,
    });
    await admin.configure({ treasury: heir.address, newAdmin: heir });
    expect(await there.bank()).toMatchObject({ admin: heir.address, treasury: heir.address, feeBps: 25 });
    await expect(admin.configure({ feeBps: 1 })).rejects.toMatchObject({ details: { program: 'NotAdmin' } });
    await heir.configure({ feeBps: 100, nameYearPrice: amount(8n), commitSeconds: 10, newAdmin: null });
    expect(await there.bank()).toMatchObject({ admin: undefined, feeBps: 100, nameYearPrice: 8n, commitSeconds: 10 });
    await expect(heir.configure({ feeBps: 1 })).rejects.toMatchObject({ details: { program: 'ConfigurationFinal' } });

    const [payee, payer] = [there.wallet(generateWalletKey()), there.wallet(generateWalletKey())];
    await Promise.all([payee.airdrop(lamports(SOL)), payer.airdrop(lamports(SOL))]);
    await payer.buy(lamports(10_000n));
    await payee.openTill(1);
    const signer = delegate();
    const channel = await payer.openChannel(payee.address, signer.address, amount(5_000n));
    const prepared = await payee.prepareSettle([settleItem(channel, signer, 5_000n)], []);
    await payee.submit(prepared);
    expect(await payee.confirm(prepared)).toMatchObject({ state: 'confirmed' });
    expect(await there.bank()).toMatchObject({ fees: 50n, lifetimeFees: 50n, unminted: 5_000n });
    expect((await there.till(payee.address))?.earned).toBe(4_950n);
    // Anybody collects, and pays for the treasury's token account.
    await payer.collectFees();
    expect((await there.balances(heir.address)).credits).toBe(50n);
    const bank = await there.bank();
    expect(bank.fees).toBe(0n);
    expectConserved(bank);
    there.close();
  });
});

describe('names', () => {
  test('are registered, read, updated, listed; taken and unknown ones are refused', async () => {
    const [owner, other] = await Promise.all([wallet(), wallet()]);
    await owner.registerName({
      name: 'garden.web3',
      root: CID,
      royaltyBps: 250,
      splits: [
        { account: owner.address, bps: 7500 },
        { account: other.address, bps: 2500 },
      ],
    });
    const first = await ledger.name('garden.web3');
    expect(first).toMatchObject({ name: 'garden.web3', owner: owner.address, royaltyBps: 250 });
    expect(first?.root).toEqual(CID);
    expect(first?.splits.map(({ bps }) => bps)).toEqual([7500, 2500]);
    await owner.updateName('garden.web3', { root: OTHER_CID });
    const second = await ledger.name('garden.web3');
    expect(second?.root).toEqual(OTHER_CID);
    expect(second?.seq).toBe((first?.seq ?? 0n) + 1n);
    await expect(other.registerName({ name: 'garden.web3', root: CID, royaltyBps: 0 })).rejects.toMatchObject({
      code: 'NAME_TAKEN',
    });
    await expect(other.registerName({ name: 'No.web3', root: CID, royaltyBps: 0 })).rejects.toMatchObject({
      code: 'NAME_INVALID',
    });
    await expect(other.updateName('nobody.web3', { root: CID })).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
    expect(await ledger.name('nobody.web3')).toBeUndefined();
    expect((await ledger.names()).map(({ name }) => name)).toContain('garden.web3');
  });
});

test('a caller who stops waiting for a transaction is told the same whether a question or a pause was under way', async () => {
  const own = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  const unsent = { signature: '1'.repeat(64), wire: new Uint8Array(1), lastValidBlockHeight: 2n ** 60n };
  const stopped = (stop: AbortController): Promise<unknown> =>
    own
      .wallet(generateWalletKey())
      .confirm(unsent, stop.signal)
      .catch((error: unknown) => error);
  const [early, pausing] = [new AbortController(), new AbortController()];
  early.abort();
  const wait = own.rpc.wait.bind(own.rpc);
  const waits = vi.spyOn(own.rpc, 'wait').mockImplementation(async (...given) => {
    const over = wait(...given);
    pausing.abort();
    return over;
  });
  const errors = [await stopped(early), await stopped(pausing)];
  expect(waits).toHaveBeenCalledTimes(1);
  for (const error of errors) {
    expect(error).toMatchObject({
      code: 'ABORTED',
      message: 'Waiting for a transaction was aborted. Ask for its status later: it may still get through.',
    });
  }
  own.close();
});

test('a transaction that was said to be valid for ever expires all the same, and one that is far ahead does not before its time', async () => {
  const own = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  const wallet = own.wallet(generateWalletKey());
  const height = BigInt(await own.rpc.ask((connection) => connection.getBlockHeight('finalized')));
  const lied = { signature: bs58.encode(new Uint8Array(64).fill(2)), lastValidBlockHeight: 2n ** 60n };
  const ahead = { signature: bs58.encode(new Uint8Array(64).fill(3)), lastValidBlockHeight: height + 2_500n };
  const states = async (): Promise<string[]> =>
    [await wallet.status(lied), await wallet.status(ahead)].map(({ state }) => state);
  const seen = [await states()];
  // A slot takes 0.4 s.
  for (const seconds of [900, 150, 200]) {
    await server.warp(seconds);
    seen.push(await states());
  }
  expect(seen).toEqual([
    ['pending', 'pending'],
    ['pending', 'pending'],
    ['pending', 'expired'],
    ['expired', 'expired'],
  ]);
});

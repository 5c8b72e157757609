/** What a client was told stays true: across restarts, kill -9 at any moment, and clocks that go wrong. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Connection, Keypair, SystemProgram, Transaction } from '@solana/web3.js';
import type { PublicKey } from '@solana/web3.js';
import bs58 from 'bs58';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { amount, lamports, unixMillis } from '../../../core/units.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger, EmbeddedLedgerOptions } from '../../../ledger/solana/embedded/index.ts';
import { generateWalletKey, openSolanaLedger, walletKeyFromSeed, programFile } from '../../../ledger/solana/index.ts';

const TYPESCRIPT = new URL('../receipt/run-typescript.js', import.meta.url).href;
const CHILD = fileURLToPath(new URL('./embedded-child.ts', import.meta.url));
const FEE = 5000;

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'relaymint-ledger-'));
});

afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

function start(options: EmbeddedLedgerOptions = {}): Promise<EmbeddedLedger> {
  return startEmbeddedLedger({ dataDir, ...options });
}

function connect(url: string): Connection {
  return new Connection(url, { commitment: 'confirmed' });
}

describe('restart', () => {
  test('the bank, a channel, a name and the clock continue', async () => {
    const program = { programPath: programFile(), programId: EMBEDDED_PROGRAM_ID };
    const payerKey = generateWalletKey();
    const delegate = walletKeyFromSeed('persistence', 'delegate').publicKey.toBase58();
    const first = await start(program);
    const before = openSolanaLedger({ fetch, url: first.url, programId: EMBEDDED_PROGRAM_ID });
    const payer = before.wallet(payerKey);
    const payee = before.wallet(generateWalletKey());
    await payer.airdrop(lamports(1_000_000_000n));
    await payee.airdrop(lamports(1_000_000_000n));
    await payer.buy(lamports(1000n));
    await payee.openTill(2);
    await payee.registerName({ name: 'kept.web3', root: new Uint8Array(36).fill(1), royaltyBps: 5 });
    const channel = await payer.openChannel(payee.address, delegate as typeof payer.address, amount(400n));
    await first.warp(3600);
    const slot = await connect(first.url).getSlot();
    const bank = await before.bank();
    const balances = await before.balances(payer.address);
    const name = await before.name('kept.web3');
    before.close();
    await first.close();

    await using second = await start(program);
    expect(second.genesisHash).toBe(first.genesisHash);
    const after = openSolanaLedger({ fetch, url: second.url, programId: EMBEDDED_PROGRAM_ID });
    expect(await after.bank()).toEqual(bank);
    expect(await after.balances(payer.address)).toEqual(balances);
    expect(await after.name('kept.web3')).toEqual(name);
    expect(await after.channelsOf(payer.address)).toEqual([channel]);
    expect(await connect(second.url).getSlot()).toBeGreaterThanOrEqual(slot);
    await after.wallet(payerKey).topUp(channel, amount(100n));
    expect((await after.channel(channel.till, channel.slot))?.deposit).toBe(500n);
    after.close();
  });

  test('blockhashes stay valid, and what was carried out is not carried out again', async () => {
    const first = await start();
    const rpc = connect(first.url);
    const payer = Keypair.generate();
    await rpc.requestAirdrop(payer.publicKey, 1_000_000_000);
    const latest = await rpc.getLatestBlockhash();
    const make = (units: number): Buffer => {
      const transaction = new Transaction({ feePayer: payer.publicKey, ...latest });
      transaction.add(
        SystemProgram.transfer({
          fromPubkey: payer.publicKey,
          toPubkey: Keypair.generate().publicKey,
          lamports: 1_000_000 + units,
        }),
      );
      transaction.sign(payer);
      return transaction.serialize();
    };
    const sent = make(1);
    const signature = await rpc.sendRawTransaction(sent);
    const record = await rpc.getTransaction(signature, { maxSupportedTransactionVersion: 0 });
    await first.close();

    await using second = await start();
    const again = connect(second.url);
    await expect(again.sendRawTransaction(sent)).rejects.toThrow('already been processed');
    await again.sendRawTransaction(make(2));
    expect(await again.getTransaction(signature, { maxSupportedTransactionVersion: 0 })).toEqual(record);
  });

  test('the clock of the chain never goes back', async () => {
    const first = await start({ clock: { now: () => unixMillis(1_800_000_000_000) } });
    await first.warp(100);
    await first.close();
    await using second = await start({ clock: { now: () => unixMillis(1_700_000_000_000) } });
    const rpc = connect(second.url);
    expect(await rpc.getBlockTime(await rpc.getSlot())).toBe(1_800_000_100);
  });

  test("a till that is opened again after a restart has no channel of the old one's, even when the clock was set back", async () => {
    const program = { programPath: programFile(), programId: EMBEDDED_PROGRAM_ID };
    const at = (millis: number): EmbeddedLedgerOptions => ({ ...program, clock: { now: () => unixMillis(millis) } });
    const key = generateWalletKey();
    const generationOf = async (ledger: EmbeddedLedger): Promise<number> => {
      const there = openSolanaLedger({ fetch, url: ledger.url, programId: EMBEDDED_PROGRAM_ID });
      const wallet = there.wallet(key);
      if ((await there.till(wallet.address)) === undefined) {
        await wallet.airdrop(lamports(1_000_000_000n));
        await wallet.buy(lamports(1_000n));
      } else {
        await wallet.closeTill();
      }
      await wallet.openTill(1);
      const channel = await wallet.openChannel(wallet.address, wallet.address, amount(10n));
      await wallet.closeChannel(channel, wallet);
      there.close();
      return channel.generation;
    };
    const first = await start(at(1_800_000_000_000));
    const before = await generationOf(first);
    await first.warp(10);
    await first.close();
    await using second = await start(at(1_700_000_000_000));
    // One more than the slot's last generation, at least.
    expect(await generationOf(second)).toBeGreaterThan(before + 1);
  });

  test('a seed makes two ledgers alike, none makes them different', async () => {
    const hashes: string[] = [];
    for (const seed of ['one', 'one', 'two', undefined, undefined]) {
      await using ledger = await startEmbeddedLedger(seed === undefined ? {} : { seed });
      hashes.push(ledger.genesisHash);
    }
    expect(hashes[0]).toBe(hashes[1]);
    expect(new Set(hashes).size).toBe(4);
  });
});

describe('refusals', () => {
  test('a directory in use, a missing program, half a program, no program, a taken port', async () => {
    await using ledger = await start();
    await expect(start()).rejects.toMatchObject({ code: 'FILE_IN_USE' });
    const programId = EMBEDDED_PROGRAM_ID;
    await expect(startEmbeddedLedger({ programId, programPath: `${dataDir}/none.so` })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
    await expect(startEmbeddedLedger({ programId })).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    await expect(startEmbeddedLedger({ programId, programPath: CHILD })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
    });
    const port = Number(new URL(ledger.url).port);
    await expect(startEmbeddedLedger({ port })).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' });
    await expect(
      startEmbeddedLedger({ programId, programPath: programFile(), bank: { challengeSeconds: 0n } }),
    ).rejects.toMatchObject({ code: 'PROGRAM_ERROR' });
  });

  test('a damaged store', async () => {
    const ledger = await start();
    await ledger.close();
    const database = new Level(dataDir);
    await database.put(`account:${Keypair.generate().publicKey.toBase58()}`, 'short');
    await database.close();
    await expect(start()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    // It is not left locked.
    await expect(start()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  test('closing twice, and in the middle of requests, is fine', async () => {
    const ledger = await start();
    const rpc = connect(ledger.url);
    const asked = Promise.allSettled(Array.from({ length: 20 }, () => rpc.getSlot()));
    await Promise.all([ledger.close(), ledger.close()]);
    await asked;
    await using again = await start();
    expect(await connect(again.url).getSlot()).toBeGreaterThan(0);
  });
});

describe('kill -9', () => {
  test('whatever was confirmed is there, everything is there whole, nothing twice', { timeout: 300_000 }, async () => {
    const rounds = 4;
    const payer = Keypair.generate();
    const granted = 100_000_000_000;
    const confirmed = new Map<string, { readonly to: PublicKey; readonly lamports: number; readonly wire: Buffer }>();
    const attempted: { readonly to: PublicKey; readonly lamports: number }[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { child, url } = await startChild();
      const rpc = connect(url);
      if (round === 0) await rpc.requestAirdrop(payer.publicKey, granted);
      else await checkBooks(rpc, payer.publicKey, granted, attempted, confirmed);
      const killAfter = 15 + ((round * 37) % 70);
      await sendUntilKilled(rpc, child, payer, killAfter, attempted, confirmed);
    }
    const { child, url } = await startChild();
    const rpc = connect(url);
    await checkBooks(rpc, payer.publicKey, granted, attempted, confirmed);
    for (const { wire } of confirmed.values()) {
      await rpc.sendRawTransaction(wire, { skipPreflight: true });
    }
    await checkBooks(rpc, payer.publicKey, granted, attempted, confirmed);
    expect(confirmed.size).toBeGreaterThan(100);
    await kill(child);
  });

  async function startChild(): Promise<{ readonly child: ChildProcess; readonly url: string }> {
    const child = spawn(process.execPath, ['--import', TYPESCRIPT, CHILD, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const url of createInterface({ input: child.stdout })) return { child, url };
    throw new Error('the child ended without a URL');
  }

  async function kill(child: ChildProcess): Promise<void> {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** Eight senders at once, so that several transactions share a disk write; the kill falls in the middle of them. */
  async function sendUntilKilled(
    rpc: Connection,
    child: ChildProcess,
    payer: Keypair,
    killAfter: number,
    attempted: { readonly to: PublicKey; readonly lamports: number }[],
    confirmed: Map<string, { readonly to: PublicKey; readonly lamports: number; readonly wire: Buffer }>,
  ): Promise<void> {
    const latest = await rpc.getLatestBlockhash();
    let answers = 0;
    let killed: Promise<void> | undefined;
    const sender = async (): Promise<void> => {
      while (killed === undefined) {
        const to = Keypair.generate().publicKey;
        const value = 1_000_000 + attempted.length;
        const transaction = new Transaction({ feePayer: payer.publicKey, ...latest });
        transaction.add(SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: value }));
        transaction.sign(payer);
        const wire = transaction.serialize();
        attempted.push({ to, lamports: value });
        try {
          await rpc.sendRawTransaction(wire, { skipPreflight: true });
        } catch {
          return;
        }
        confirmed.set(bs58.encode(transaction.signature ?? new Uint8Array()), { to, lamports: value, wire });
        answers += 1;
        if (answers >= killAfter) killed ??= kill(child);
      }
    };
    await Promise.all(Array.from({ length: 8 }, sender));
    await killed;
  }

  async function checkBooks(
    rpc: Connection,
    payer: PublicKey,
    granted: number,
    attempted: readonly { readonly to: PublicKey; readonly lamports: number }[],
    confirmed: ReadonlyMap<string, { readonly to: PublicKey; readonly lamports: number }>,
  ): Promise<void> {
    const balances = new Map<string, number>();
    for (let at = 0; at < attempted.length; at += 100) {
      const keys = attempted.slice(at, at + 100).map(({ to }) => to);
      const found = await rpc.getMultipleAccountsInfo(keys);
      for (const [index, key] of keys.entries()) balances.set(key.toBase58(), found[index]?.lamports ?? 0);
    }
    const signatures = [...confirmed.keys()];
    for (let at = 0; at < signatures.length; at += 256) {
      const { value } = await rpc.getSignatureStatuses(signatures.slice(at, at + 256));
      expect(value.every((status) => status !== null && status.err === null)).toBe(true);
    }
    for (const { to, lamports: sent } of confirmed.values()) expect(balances.get(to.toBase58())).toBe(sent);
    let spent = 0;
    for (const { to, lamports: sent } of attempted) {
      const balance = balances.get(to.toBase58()) ?? 0;
      expect([0, sent]).toContain(balance);
      if (balance > 0) spent += sent + FEE;
    }
    expect(await rpc.getBalance(payer)).toBe(granted - spent);
  }
});

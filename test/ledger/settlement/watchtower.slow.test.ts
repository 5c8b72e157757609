/** Answering close requests with receipts and a fee key alone, on the real ledger. */
import { EventEmitter, once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { amount, lamports } from '../../../core/units.ts';
import { delegateFromSeed, signReceipt } from '../../../ledger/receipt/index.ts';
import type { ReceiptFile, Watchtower, WatchtowerOptions } from '../../../ledger/settlement/index.ts';
import {
  createWatchtower,
  encodeReceiptFile,
  readReceiptFile,
  startReceiptExport,
} from '../../../ledger/settlement/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { EMBEDDED_PROGRAM_ID } from '../../../ledger/solana/embedded/index.ts';
import { walletKeyFromSeed } from '../../../ledger/solana/index.ts';
import { faultyFetch } from '../solana/faulty-fetch.ts';
import type { Fault } from '../solana/faulty-fetch.ts';
import { CHALLENGE_SECONDS, connect, narrow, sha256, spoiling, startLedger, World } from './world.ts';

const FEES = lamports(1_000_000n);

let server: EmbeddedLedger;
let folder: string;
beforeAll(async () => {
  server = await startLedger();
});
afterAll(async () => {
  await server.close();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-watchtower-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What the payee's node has in its books now, in a file. */
async function exported(world: World, name = `${world.label}.receipts`): Promise<string> {
  const file = path.join(folder, name);
  const { store, wallet } = world;
  const exporter = await startReceiptExport({
    store,
    program: EMBEDDED_PROGRAM_ID,
    payee: wallet.address,
    file,
  });
  await exporter[Symbol.asyncDispose]();
  return file;
}

async function tower(
  label: string,
  files: readonly string[],
  options: Partial<WatchtowerOptions> & { readonly fault?: Fault } = {},
): Promise<Watchtower> {
  const ledger = connect(
    server,
    options.fault === undefined ? {} : { fetch: faultyFetch(options.fault), timeoutMillis: 300 },
  );
  const wallet = connect(server).wallet(walletKeyFromSeed(label, 'watchtower'));
  await wallet.airdrop(FEES);
  return createWatchtower({
    wallet: ledger.wallet(walletKeyFromSeed(label, 'watchtower')),
    reader: ledger,
    program: EMBEDDED_PROGRAM_ID,
    files,
    retryMillis: 5,
    ...options,
  });
}

const never = new AbortController().signal;

describe('a watchtower', () => {
  it('settles what a closing channel owes before its payer can take it back, and nothing else', async () => {
    const world = await World.create(server, 'watch', 3);
    await world.receive(0, 3_000_000n, 1_000_000n);
    await world.receive(1, 2_000_000n);
    const watch = await tower('watch', [await exported(world)]);
    expect(await watch.look(never)).toMatchObject({ payees: 1, receipts: 2, answers: [], failures: [] });
    await world.requestClose(0);
    await world.requestClose(2);
    const look = await watch.look(never);
    expect(look.failures).toEqual([]);
    expect(look.answers).toMatchObject([
      { payee: world.wallet.address, channels: [world.payers[0]?.channel.id], amount: 3_000_000n },
    ]);
    // The name's share needs the seller's own word: all of it lies in the till, until the seller settles again.
    expect(await world.earnings()).toEqual({ name: 0n, till: 3_000_000n });
    expect((await watch.look(never)).answers).toEqual([]);
    const engine = world.engine();
    await engine.settleAll();
    await engine.close();
    expect(await world.earnings()).toEqual({ name: 200_000n, till: 4_800_000n });
    await server.warp(CHALLENGE_SECONDS + 1);
    const [payer] = world.payers;
    if (payer === undefined) throw new Error('no payer');
    await payer.wallet.closeChannel(payer.channel);
    expect((await world.ledger.balances(payer.wallet.address)).credits).toBe(payer.channel.deposit - 3_000_000n);
    const before = await world.ledger.balances(world.wallet.address);
    await world.wallet.withdraw();
    expect((await world.ledger.balances(world.wallet.address)).credits - before.credits).toBe(4_800_000n);
    await world.close();
  });

  it('uses the newest receipt of several copies, of several payees', async () => {
    const worlds = await Promise.all(['first', 'second'].map((label) => World.create(server, label, 1)));
    const files: string[] = [];
    for (const world of worlds) {
      await world.receive(0, 1_000n);
      files.push(await exported(world, `${world.label}-old`));
      await world.receive(0, 9_000n);
      files.push(await exported(world, `${world.label}-new`));
      await world.requestClose(0);
    }
    const watch = await tower('copies', files.toReversed());
    const { payees, answers } = await watch.look(never);
    expect(payees).toBe(2);
    expect(answers.map((answer) => answer.amount)).toEqual([9_000n, 9_000n]);
    for (const world of worlds) await world.close();
  });

  it('pays no fee for a receipt that is not valid', async () => {
    const world = await World.create(server, 'forged', 2);
    await world.receive(0, 5_000n);
    await world.receive(1, 7_000n);
    const file = await exported(world);
    const sound = await readReceiptFile(file);
    const forged: ReceiptFile = {
      ...sound,
      receipts: sound.receipts.map((filed, index) => {
        if (index === 1) return filed;
        const bytes = Uint8Array.from(filed.receipt.bytes);
        bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1;
        return { ...filed, receipt: { ...filed.receipt, bytes } };
      }),
    };
    await writeFile(file, encodeReceiptFile(forged));
    await world.requestClose(0);
    await world.requestClose(1);
    const watch = await tower('forged', [file]);
    expect((await watch.look(never)).answers.map((answer) => answer.amount)).toEqual([7_000n]);
    await world.close();
  });

  it.each([true, false])('is not misled by a forged receipt in another file (read first: %s)', async (first) => {
    const label = `hidden ${first}`;
    const world = await World.create(server, label, 1);
    await world.receive(0, 5_000_000n);
    const file = await exported(world);
    const sound = await readReceiptFile(file);
    const figures = { amount: amount(6_000_000n), up: 1n << 60n, down: 1n << 60n };
    const forged: ReceiptFile = {
      ...sound,
      receipts: sound.receipts.map(({ receipt, ...filed }) => ({
        ...filed,
        receipt: signReceipt({ ...receipt, ...figures }, delegateFromSeed(sha256('somebody else'))),
      })),
    };
    const evil = path.join(folder, 'forged');
    await writeFile(evil, encodeReceiptFile(forged));
    await world.requestClose(0);
    const watch = await tower(label, first ? [evil, file] : [file, evil]);
    expect((await watch.look(never)).answers).toMatchObject([{ amount: 5_000_000n }]);
    expect(await world.settledOnChain()).toBe(5_000_000n);
    await world.close();
  });

  it.each([1, 16])("settles a payee's other closing channels when one is refused, %s at a time", async (most) => {
    const world = await World.create(server, `one refused ${most}`, 3);
    for (let i = 0; i < 3; i += 1) {
      await world.receive(i, 6_000n - BigInt(i));
      await world.requestClose(i);
    }
    const watch = await tower('one refused', [await exported(world)], { wallet: narrow(spoiling(world, 0), most) });
    const { answers, failures } = await watch.look(never);
    expect(answers.map((answer) => answer.amount).toSorted((a, b) => Number(a - b))).toEqual([5_998n, 5_999n]);
    expect(failures).toMatchObject([{ code: 'CHANNEL_UNKNOWN' }]);
    expect(await world.settledOnChain()).toBe(11_997n);
    await world.close();
  });

  it('refuses files that are not receipt files, damaged, or of another program', async () => {
    const world = await World.create(server, 'bad files', 1);
    await world.receive(0, 5_000n);
    const file = await exported(world);
    const content = await readFile(file);
    const looked = async (changed: Uint8Array): Promise<unknown> => {
      await writeFile(file, changed);
      return (await tower('bad files', [file])).look(never);
    };
    await expect(looked(content.subarray(0, -1))).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
    await expect(looked(Buffer.from('{}'))).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
    const other = encodeReceiptFile({ ...(await sound()), program: world.wallet.address });
    await expect(looked(other)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    await expect((await tower('bad files', [`${file}.missing`])).look(never)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
    await world.close();

    async function sound(): Promise<ReceiptFile> {
      await writeFile(file, content);
      return readReceiptFile(file);
    }
  });

  it('goes on with what a file last held when a copy of it is caught half done', async () => {
    const world = await World.create(server, 'half copy', 1);
    await world.receive(0, 5_000n);
    const file = await exported(world);
    const stop = new AbortController();
    const events = new EventEmitter();
    const warned = once(events, 'warned');
    const answered = once(events, 'answered');
    const watch = await tower('half copy', [file], {
      pollMillis: 5,
      log: { ...silentLog, warn: (_fields, message) => void events.emit('warned', message) },
      onAnswer: (answer) => void events.emit('answered', answer.amount),
    });
    await watch.look(never);
    await writeFile(file, (await readFile(file)).subarray(0, 100));
    const running = watch.run(stop.signal);
    expect(await warned).toEqual([expect.stringContaining('its last good content is used')]);
    await world.requestClose(0);
    expect(await answered).toEqual([5_000n]);
    stop.abort();
    await running;
    await world.close();
  });

  it.each(['lost', 'unanswered', 'expired'])('tries again when its transaction is %s', async (fate) => {
    const world = await World.create(server, `answer ${fate}`, 1);
    await world.receive(0, 5_000n);
    await world.requestClose(0);
    let sent = 0;
    const watch = await tower(`answer ${fate}`, [await exported(world)], {
      fault: (call) => {
        if (call.method !== 'sendTransaction') return undefined;
        sent += 1;
        if (sent > 1) return undefined;
        if (fate === 'lost') return new Response('busy', { status: 503 });
        if (fate === 'expired') return server.warp(61).then(() => call.answer('1'.repeat(64)));
        return call.forward().then(() => call.silence());
      },
    });
    expect((await watch.look(never)).answers).toMatchObject([{ amount: 5_000n }]);
    expect(sent).toBe(2);
    expect(await world.settledOnChain()).toBe(5_000n);
    await world.close();
  });

  it('whose wallet is empty says so', async () => {
    const world = await World.create(server, 'empty', 1);
    await world.receive(0, 5_000n);
    await world.requestClose(0);
    const ledger = connect(server);
    const watch = createWatchtower({
      wallet: ledger.wallet(walletKeyFromSeed('empty', 'poor watchtower')),
      reader: ledger,
      program: EMBEDDED_PROGRAM_ID,
      files: [await exported(world)],
    });
    expect((await watch.look(never)).failures).toMatchObject([{ code: 'INSUFFICIENT_FUNDS' }]);
    await world.close();
  });
});

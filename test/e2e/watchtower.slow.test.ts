/**
 * `relaymint watchtower` as a process of its own: the payee is gone, its payer asks to close with a stale figure, and the
 * money still reaches the payee's till, whenever the watchtower is killed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readReceiptFile, startReceiptExport } from '../../ledger/settlement/index.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { EMBEDDED_PROGRAM_ID } from '../../ledger/solana/embedded/index.ts';
import { CHALLENGE_SECONDS, startLedger, World } from '../ledger/settlement/world.ts';
import { PROGRAM, relaymint, temporaryFolder } from './marketplace.ts';

const OWED = 40_000_000n;
/** What the payee had settled itself before it went away. */
const STALE = 1_000_000n;

let ledger: EmbeddedLedger;
beforeAll(async () => {
  ledger = await startLedger();
});
afterAll(async () => {
  await ledger.close();
});

interface Running {
  readonly child: ChildProcess;
  /** Resolves with the first event of this name that comes after the call. */
  event(name: string): Promise<Readonly<Record<string, unknown>>>;
}

function watchtower(url: string, data: string, ...files: readonly string[]): Running {
  const args = ['watchtower', ...files, '--ledger', url, '--data', data, '--poll', '1s', '--json', '--loopback-only'];
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  return {
    child,
    event: (name) =>
      new Promise((resolve, reject) => {
        child.once('close', (code) => reject(new Error(`the watchtower ended with code ${code}`)));
        lines.on('line', (line) => {
          const event = JSON.parse(line) as { readonly event: string };
          if (event.event === name) resolve(event);
        });
      }),
  };
}

/** A payee with one payer: something settled, much more signed, everything of the payee's gone but the exported file. */
async function abandoned(label: string, folder: string): Promise<{ readonly world: World; readonly file: string }> {
  const world = await World.create(ledger, label, 1);
  await world.receive(0, STALE);
  const engine = world.engine();
  await engine.settleAll();
  await engine.close();
  await world.receive(0, OWED);
  const file = path.join(folder, 'node.receipts');
  const payee = world.wallet.address;
  const exporter = await startReceiptExport({ store: world.store, program: EMBEDDED_PROGRAM_ID, payee, file });
  await exporter[Symbol.asyncDispose]();
  await world.store.close();
  return { world, file };
}

async function fund(data: string): Promise<void> {
  const key = path.join(data, 'wallet.json');
  expect((await relaymint('wallet', 'create', '--wallet', key)).code).toBe(0);
  expect((await relaymint('wallet', 'airdrop', '0.01', '--wallet', key, '--ledger', ledger.url)).code).toBe(0);
}

/** The payer takes back what it can; all that was signed for must be the payee's. */
async function expectPaid(world: World): Promise<void> {
  const [payer] = world.payers;
  if (payer === undefined) throw new Error('no payer');
  await ledger.warp(CHALLENGE_SECONDS + 1);
  await payer.wallet.closeChannel(payer.channel);
  expect((await world.ledger.balances(payer.wallet.address)).credits).toBe(payer.channel.deposit - OWED);
  expect((await world.ledger.till(world.wallet.address))?.earned).toBe(OWED);
}

test('a watchtower settles for a payee that is gone, with nothing but its receipts', async () => {
  await using folder = await temporaryFolder();
  const data = path.join(folder.path, 'tower');
  const { world, file } = await abandoned('tower', folder.path);
  await fund(data);
  const running = watchtower(ledger.url, data, file);
  expect(await running.event('ready')).toMatchObject({ payees: 1, receipts: 1, lamports: '10000000' });
  const answered = running.event('answered');
  const [payer] = world.payers;
  await payer?.wallet.requestClose(payer.channel);
  expect(await answered).toMatchObject({ amount: String(OWED - STALE), payee: world.wallet.address });
  running.child.kill('SIGINT');
  expect(await once(running.child, 'close')).toEqual([0, null]);
  await expectPaid(world);
  world.ledger.close();
});

test.each(['before the ledger hears of its transaction', 'after'])(
  'a watchtower killed %s is replaced by another',
  async (when) => {
    await using folder = await temporaryFolder();
    const data = path.join(folder.path, 'tower');
    const { world, file } = await abandoned(`killed ${when}`, folder.path);
    await fund(data);
    const [payer] = world.payers;
    await payer?.wallet.requestClose(payer.channel);
    await using proxy = await startProxy(when === 'after');
    const first = watchtower(proxy.url, data, file);
    await proxy.sent;
    first.child.kill('SIGKILL');
    await once(first.child, 'close');
    expect(await world.settledOnChain()).toBe(when === 'after' ? OWED : STALE);
    const second = await relaymint('watchtower', file, '--once', '--json', '--ledger', ledger.url, '--data', data);
    expect(second.code).toBe(0);
    const looked = second.stdout.trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(looked)).toMatchObject({ event: 'looked', answers: when === 'after' ? 0 : 1, failures: 0 });
    await expectPaid(world);
    world.ledger.close();
  },
);

test('a file that holds no receipts, and an empty fee wallet, are told in words', async () => {
  await using folder = await temporaryFolder();
  const bad = path.join(folder.path, 'bad.receipts');
  await writeFile(bad, 'these are no receipts');
  const data = path.join(folder.path, 'tower');
  const refused = await relaymint('watchtower', bad, '--once', '--json', '--ledger', ledger.url, '--data', data);
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stdout)).toMatchObject({ ok: false, error: { code: 'INVALID_ENCODING' } });
  expect(refused.stderr).toContain(bad);
  expect(refused.stderr).toContain('nearly empty');
  const missing = await relaymint('watchtower', `${bad}.not`, '--once', '--ledger', ledger.url, '--data', data);
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('FILE_NOT_FOUND');
});

test('a relay keeps the file that its operator names', async () => {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'relay.receipts');
  const args = ['relay', '--data', path.join(folder.path, 'relay'), '--airdrop', '5', '--ledger', ledger.url];
  const child = spawn(process.execPath, [PROGRAM, ...args, '--json', '--loopback-only', '--export-receipts', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { wallet } = JSON.parse(line) as { readonly wallet: string };
  expect(await readReceiptFile(file)).toMatchObject({ program: EMBEDDED_PROGRAM_ID, payee: wallet, receipts: [] });
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([0, null]);
});

/** Passes everything to the ledger but transactions: those are passed on or dropped, and never answered. */
async function startProxy(
  passOn: boolean,
): Promise<AsyncDisposable & { readonly url: string; readonly sent: Promise<void> }> {
  let told = (): void => {};
  const sent = new Promise<void>((resolve) => {
    told = resolve;
  });
  const server: Server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString('utf8');
      const isTransaction = body.includes('"sendTransaction"');
      if (isTransaction && !passOn) return told();
      const answer = await fetch(ledger.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      const text = await answer.text();
      if (isTransaction) return told();
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
      return undefined;
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

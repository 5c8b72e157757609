/** The test wallet in real Chromium, with an issuer's page over plain http: what it lets in, and which of Phantom's rules it keeps (B1 .. B4). */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOfStream } from 'node:stream/consumers';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { messageOf as sentenceOf } from '../../../core/errors.ts';
import { systemClock } from '../../../core/ports.ts';
import { createChallenge, memoTransaction, messageOf, verifySignIn } from '../../../sites/siws/index.ts';
import type { Challenge, SignedForm } from '../../../sites/siws/index.ts';
import { Cleanup } from '../kit.ts';
import { TestWallet, type TestWalletOptions } from './test-wallet.ts';

const CHROMIUM = '/usr/bin/chromium';
const here = existsSync(CHROMIUM);
if (!here) process.stderr.write(`skipped: these tests need ${CHROMIUM}: apt-get install chromium\n`);

/** As an issuer's page would: finds wallets by the Wallet Standard, asks for a challenge, has it signed, hands the answer in. */
const PAGE = `<!doctype html><link rel="icon" href="data:,"><title>waits</title>
<button id="sign-in">Sign in</button> <button id="connect-sign">Connect, then sign</button> <button id="sign">Sign</button>
<button id="transaction">Sign with a hardware wallet</button> <output></output>
<script>
const wallets = [];
const register = (...found) => wallets.push(...found);
addEventListener('wallet-standard:register-wallet', ({ detail }) => detail({ register }));
dispatchEvent(new CustomEvent('wallet-standard:app-ready', { detail: { register } }));
const say = (text) => (document.querySelector('output').textContent = text);
const post = async (path, body) => (await fetch(path, { method: 'POST', body: JSON.stringify(body) })).text();
const bytes = (text) => new TextEncoder().encode(text);
const [wallet] = wallets;
const feature = (name) => wallet.features[name];
let account;
const connect = async () => ([account] = (await feature('standard:connect').connect()).accounts);
const answer = async (signature, challenge) =>
  say(await post('/answer', { nonce: challenge.nonce, address: account.address, signature: [...signature] }));
const challenge = async () => JSON.parse(await post('/challenge', {}));
let begun = challenge();
const sign = async () => {
  const asked = await begun;
  const message = bytes(await post('/message', { nonce: asked.nonce, address: account.address }));
  const [{ signature }] = await feature('solana:signMessage').signMessage({ account, message });
  await answer(signature, asked);
};
const ways = {
  'sign-in': async () => {
    const asked = await begun;
    const [output] = await feature('solana:signIn').signIn(asked);
    account = output.account;
    await answer(output.signature, asked);
  },
  'connect-sign': async () => { await connect(); await sign(); },
  sign,
  transaction: async () => {
    await connect();
    const asked = await begun;
    const transaction = Uint8Array.from(JSON.parse(await post('/transaction', { nonce: asked.nonce, address: account.address })));
    const [{ signedTransaction }] = await feature('solana:signTransaction').signTransaction({ account, transaction });
    await answer(signedTransaction.subarray(1, 65), asked);
  },
};
for (const [id, way] of Object.entries(ways)) {
  document.getElementById(id).addEventListener('click', () => way().catch((error) => say(error.code + ' ' + error.message)));
}
document.title = wallets.map(({ name }) => name).join() || 'no wallet';
</script>`;
const FRAME = '<!doctype html><link rel="icon" href="data:,"><title>outside</title><iframe src="/"></iframe>';

/** An issuer, as small as one can be: challenges by their nonce, each taken out before it is looked at. */
class Issuer {
  /** Its address, as its challenges say it; set by tests that lie. */
  address = new URL('http://localhost');
  readonly #challenges = new Map<string, Challenge>();

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'text/html').end(request.url === '/frame' ? FRAME : PAGE);
      return;
    }
    const { nonce, address, signature } = JSON.parse(await textOfStream(request)) as {
      readonly nonce: string;
      readonly address: string;
      readonly signature: readonly number[];
    };
    const challenge = this.#challenges.get(nonce);
    response.end(await this.#answer(request.url ?? '', challenge, address, signature));
  }

  async #answer(
    path: string,
    challenge: Challenge | undefined,
    address: string,
    signature: readonly number[],
  ): Promise<string> {
    if (path === '/challenge') return JSON.stringify(this.begin());
    if (challenge === undefined) return 'no such challenge';
    if (path === '/message') return messageOf(challenge, address);
    if (path === '/transaction') return JSON.stringify([...memoTransaction(challenge, address)]);
    this.#challenges.delete(challenge.nonce);
    try {
      const answer = { address, signature: Uint8Array.from(signature) };
      const signedIn = verifySignIn(challenge, answer, systemClock.now());
      return `${signedIn.address} by ${signedIn.form}`;
    } catch (error) {
      return sentenceOf(error);
    }
  }

  begin(): Challenge {
    const options = { client: 'http://demo-web3.localhost:8402', chainId: 'localnet', requestId: 'a1' } as const;
    const challenge = createChallenge({ ...options, issuer: this.address, clock: systemClock });
    this.#challenges.set(challenge.nonce, challenge);
    return challenge;
  }
}

describe.skipIf(!here)('the test wallet', () => {
  const cleanup = new Cleanup();
  const contexts = new Cleanup();
  const issuer = new Issuer();
  let browser: Browser;
  let port: number;
  let home: string;

  beforeAll(async () => {
    const server = createServer((request, response) => {
      issuer.handle(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup.add(() => server.close());
    ({ port } = server.address() as AddressInfo);
    home = `http://localhost:${port}`;
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    });
    cleanup.add(() => browser.close());
  });
  beforeEach(() => {
    issuer.address = new URL(home);
  });
  afterAll(() => cleanup.run());
  afterEach(() => contexts.run());

  async function open(
    url: string,
    options: TestWalletOptions = {},
    prepare: (context: BrowserContext) => Promise<void> = async () => {},
  ): Promise<{ page: Page; wallet: TestWallet }> {
    const context = await browser.newContext();
    contexts.add(() => context.close());
    const wallet = new TestWallet(options);
    await wallet.injectInto(context);
    await prepare(context);
    const page = await context.newPage();
    await page.goto(url);
    return { page, wallet };
  }

  /** Answers for that origin, whatever its port and wherever it is: what a page is told of its address is all that a wallet sees. */
  async function standIn(context: BrowserContext, origin: string): Promise<void> {
    await context.route(
      (url) => url.origin === origin,
      async (route) => {
        const asked = route.request();
        const method = asked.method();
        const answer = await fetch(new URL(new URL(asked.url()).pathname, home), { method, body: asked.postData() });
        await route.fulfill({ contentType: 'text/html', body: await answer.text() });
      },
    );
  }

  /** Clicks, and gives what the page says then. */
  async function click(page: Page, button: string): Promise<string> {
    await page.evaluate("say('')");
    await page.click(`#${button}`);
    const said = page.locator('output:not(:empty)');
    await said.waitFor();
    return (await said.textContent()) ?? '';
  }

  it('signs in with one click, and writes the text that we rebuild', async () => {
    const { page, wallet } = await open(home);
    expect(await page.title()).toBe('Test Wallet');
    expect(await click(page, 'sign-in')).toBe(`${wallet.address} by raw`);
    expect(wallet.signed).toHaveLength(1);
    expect(wallet.signed[0]).toContain(
      `localhost:${port} wants you to sign in with your Solana account:\n${wallet.address}\n\n`,
    );
  });

  it('gets in once with one challenge', async () => {
    const { page, wallet } = await open(home);
    expect(await click(page, 'sign-in')).toBe(`${wallet.address} by raw`);
    expect(await click(page, 'sign-in')).toBe('no such challenge');
  });

  it.each<[SignedForm, number]>([
    ['offchain-legacy', 0],
    ['offchain-legacy', 1],
    ['offchain-v0', 0],
    ['offchain-v0', 1],
    ['offchain-v1', 0],
    ['offchain-v1', 1],
  ])('B1: signs in as %s, as firmwares write it (%i)', async (form, variant) => {
    const { page, wallet } = await open(home, { form, variant });
    expect(await click(page, 'sign-in')).toBe(`${wallet.address} by ${form}`);
  });

  it('B1: signs in with a transaction where it signs no messages', async () => {
    const { page, wallet } = await open(home, { form: 'memo-transaction' });
    expect(await page.evaluate("'solana:signIn' in wallet.features || 'solana:signMessage' in wallet.features")).toBe(
      false,
    );
    expect(await click(page, 'transaction')).toBe(`${wallet.address} by memo-transaction`);
  });

  it('B2: needs one click to sign in; connecting and signing takes two, and the second is refused, not awaited for ever', async () => {
    const { page, wallet } = await open(home, { needsGesture: true });
    expect(await click(page, 'connect-sign')).toBe('-32603 The browser blocked the wallet.');
    expect(await click(page, 'sign')).toBe(`${wallet.address} by raw`);
    await page.reload();
    expect(await click(page, 'sign-in')).toBe(`${wallet.address} by raw`);
    expect(wallet.signed).toHaveLength(2);
  });

  it('B2: does nothing when nobody clicked', async () => {
    const { page, wallet } = await open(home, { needsGesture: true });
    const code = `feature('solana:signIn').signIn({}).then(() => 'signed', (error) => error.code)`;
    expect(await page.evaluate(code)).toBe(-32_603);
    expect(wallet.signed).toEqual([]);
  });

  it.each([
    'http://localhost',
    'http://localhost:8500',
    'http://127.0.0.1',
    'http://127.0.0.1:8500',
    'https://id.example',
    'https://id.example:8443',
    'https://[::1]:8443',
  ])('B3, B4: is there on %s, and signs in to it', async (origin) => {
    issuer.address = new URL(origin);
    const { page, wallet } = await open(origin, {}, (context) => standIn(context, origin));
    expect(await click(page, 'sign-in')).toBe(`${wallet.address} by raw`);
    expect(await page.evaluate('location.host')).toBe(issuer.begin().domain);
  });

  it.each([
    'http://demo-web3.localhost:8402',
    'http://[::1]:8500',
    'http://id.example',
    `http://${'a'.repeat(56)}.onion`,
  ])('B3: is not there on %s', async (origin) => {
    const { page } = await open(origin, {}, (context) => standIn(context, origin));
    expect(await page.title()).toBe('no wallet');
  });

  it('B3: is not there in a frame, not even of its own origin', async () => {
    const { page } = await open(`${home}/frame`);
    const frame = page.frames().find((one) => one !== page.mainFrame());
    expect(await frame?.title()).toBe('no wallet');
  });

  it.each([
    ['another port', 'http://localhost:1', 'domain'],
    ['no port', 'http://localhost', 'domain'],
    ['another name of this machine', 'http://127.0.0.1:PORT', 'domain'],
    ['another host', 'https://id.example', 'domain'],
    ['another scheme', 'https://localhost:PORT', 'uri'],
  ])('B4: refuses to sign in to %s than its page is, before anybody is asked', async (_, other, what) => {
    issuer.address = new URL(other.replace('PORT', String(port)));
    const { page, wallet } = await open(home);
    expect(await click(page, 'sign-in')).toBe(`-32000 Missing or invalid parameters: ${what}.`);
    expect(await click(page, 'connect-sign')).toBe(`-32000 Missing or invalid parameters: ${what}.`);
    expect(wallet.signed).toEqual([]);
  });

  it.each([
    ['a domain with its scheme', `{ domain: location.origin }`],
    ['a nonce with other letters', `{ nonce: 'abc-defg_h' }`],
    ['a short nonce', `{ nonce: 'abc' }`],
    ['another chain', `{ chainId: 'solana:localnet' }`],
    ['a statement of two lines', `{ statement: 'a\\nb' }`],
    ['another wallet’s address', `{ address: '11111111111111111111111111111111' }`],
    ['a time long ago', `{ issuedAt: '2020-01-01T00:00:00.000Z' }`],
  ])('B4: refuses %s', async (_, input) => {
    const { page, wallet } = await open(home);
    const code = `feature('solana:signIn').signIn(${input}).then(() => 'signed', (error) => error.code)`;
    expect(await page.evaluate(code)).toBe(-32_000);
    expect(wallet.signed).toEqual([]);
  });

  it('signs other texts as they are', async () => {
    const { page, wallet } = await open(home);
    const code = `connect().then(() => feature('solana:signMessage').signMessage({ account, message: bytes('hello') }))`;
    await page.evaluate(`${code}.then(() => undefined)`);
    expect(wallet.signed).toEqual(['hello']);
  });

  it('says so when its owner says no', async () => {
    const { page, wallet } = await open(home, { refuses: true });
    expect(await click(page, 'sign-in')).toBe('4001 User rejected the request.');
    expect(await click(page, 'connect-sign')).toBe('4001 User rejected the request.');
    expect(wallet.signed).toEqual([]);
  });
});

/** Wallets that a page has, in Chromium: registered before and after, honest, clumsy and hostile ones; and signing in with them. */
import { createPublicKey, verify } from 'node:crypto';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { signInText } from '../../sdk/wallet/index.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { Cleanup } from '../sites/kit.ts';
import { ROOT } from './packed.ts';
import { openBrowser, openPage, pageOf, serveFolder, type Served } from './served.ts';

/**
 * Wallets as extensions inject them. Each call is refused unless the visitor has just clicked, as wallets that open a window have it, and
 * `window` uses the click up. `come` brings one: at once, where the page is ready for it, and when it says that it is.
 */
const WALLETS = `
  const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  function base58(bytes) {
    let number = BigInt('0x' + [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
    let text = '';
    for (; number > 0n; number /= 58n) text = ALPHABET[Number(number % 58n)] + text;
    return text;
  }
  const keys = crypto.subtle.generateKey('Ed25519', false, ['sign']);
  window.key = keys.then(async ({ publicKey }) => {
    const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
    return { address: base58(raw), publicKey: raw, chains: ['solana:localnet'], features: [] };
  });
  const sign = async (message) => new Uint8Array(await crypto.subtle.sign('Ed25519', (await keys).privateKey, message));
  window.calls = [];
  function clicked(what) {
    window.calls.push(what);
    if (!navigator.userActivation.isActive) throw { code: -32603, message: 'a window was blocked' };
  }
  function openWindow() {
    window.open('about:blank').close();
  }
  window.textOf = (input, address) => window.sdk.signInText(input, address);
  window.FEATURES = {
    signIn: {
      'solana:signIn': {
        version: '1.0.0',
        async signIn(input) {
          clicked('signIn');
          openWindow();
          const account = await window.key;
          window.asked = input;
          const signedMessage = new TextEncoder().encode(window.textOf(input, account.address));
          return [{ account, signedMessage, signature: await sign(signedMessage) }];
        },
      },
    },
    two: {
      'standard:connect': {
        version: '1.0.0',
        async connect(input) {
          if (input?.silent !== true) {
            clicked('connect');
            openWindow();
          }
          const account = await window.key;
          this.wallet.accounts = [account];
          return { accounts: [account] };
        },
      },
      'solana:signMessage': {
        version: '1.0.0',
        async signMessage({ account, message }) {
          clicked('signMessage');
          return [{ signedMessage: message, signature: await sign(message) }];
        },
      },
    },
  };
  window.make = (name, features, more = {}) => {
    const own = Object.fromEntries(Object.entries(features).map(([key, feature]) => [key, { ...feature }]));
    const wallet = { version: '1.0.0', name, icon: 'data:image/png;base64,AAAA', chains: ['solana:localnet'], features: own, accounts: [], ...more };
    for (const feature of Object.values(own)) feature.wallet = wallet;
    return wallet;
  };
  window.come = (wallet) => {
    const register = ({ register }) => {
      const leave = register(wallet);
      wallet.leave ??= leave;
    };
    window.dispatchEvent(new CustomEvent('wallet-standard:register-wallet', { detail: register }));
    window.addEventListener('wallet-standard:app-ready', ({ detail }) => register(detail));
  };
`;

const INPUT = {
  domain: 'localhost',
  statement: 'Sign in.',
  uri: 'http://localhost/',
  version: '1',
  chainId: 'localnet',
  nonce: 'a1b2c3d4e5',
  issuedAt: '2026-11-26T10:00:00.000Z',
  expirationTime: '2026-11-26T10:05:00.000Z',
  requestId: 'interaction1',
};

interface Told {
  readonly needsGesture?: true;
  readonly address?: string;
  readonly signature?: number[];
  readonly signedMessage?: number[];
  readonly code?: string;
  readonly message?: string;
}

describeUnless(missingPrograms(['chromium']), 'Tests of wallets in a page')('wallets in a page', () => {
  const cleanup = new Cleanup();
  const pages = new Cleanup();
  let browser: Browser;
  let served: Served;
  beforeAll(async () => {
    browser = await openBrowser(cleanup);
    served = await serveFolder(cleanup, path.join(ROOT, 'dist'));
  });
  afterAll(() => cleanup.run());
  afterEach(() => pages.run());

  /** `early` runs before the SDK is loaded, `late` after. */
  async function open(early: string, late: string = ''): Promise<Page> {
    const script = `window.sdk = await import('/sdk/wallet.js'); ${late}; window.isReady = true;`;
    served.pages.set('/page', pageOf(script, `<script>${WALLETS}${early}</script>`));
    const { page, trouble } = await openPage(browser, pages, `${served.origin}/page`);
    await expect.poll(() => page.evaluate('window.isReady')).toBe(true);
    expect(trouble).toEqual([]);
    return page;
  }

  describe('are found', () => {
    it('whether they came before the page asked, or come later, and until they leave', async () => {
      const page = await open(
        "come(window.first = make('First', FEATURES.signIn));",
        `window.told = []; window.stop = sdk.onWallets((now) => told.push(now.map(({ name }) => name).join()));
         come(window.second = make('Second', FEATURES.two)); come(second); first.leave(); stop(); second.leave();`,
      );
      expect(await page.evaluate('told')).toEqual(['First', 'First,Second', 'Second']);
      expect(await page.evaluate('sdk.wallets()')).toEqual([]);
    });

    it('with what they can, as one and the same object each time', async () => {
      const page = await open("come(make('One', FEATURES.signIn)); come(make('Two', FEATURES.two));");
      expect(await page.evaluate('sdk.wallets().map(({ name, signsIn }) => [name, signsIn])')).toEqual([
        ['One', true],
        ['Two', false],
      ]);
      expect(await page.evaluate('sdk.wallets()[0] === sdk.wallets()[0] && Object.isFrozen(sdk.wallets()[0])')).toBe(
        true,
      );
    });

    it('S29: with a picture only where that is an image in the page itself', async () => {
      const icons = {
        'data:image/png;base64,AAAA': true,
        'data:image/svg+xml;base64,PHN2Zy8+': true,
        'https://tracker.example/icon.png': false,
        'data:text/html;base64,PGI+': false,
        'data:image/svg+xml,<svg onload="alert(1)">': false,
        'javascript:alert(1)': false,
        'data:image/png;base64,AAAA" onerror="alert(1)': false,
        ' data:image/png;base64,AAAA': false,
      };
      const names = Object.keys(icons);
      const page = await open(
        `for (const icon of ${JSON.stringify(names)}) come(make('W', FEATURES.signIn, { icon })); come(make('W', FEATURES.signIn, { icon: undefined }));`,
      );
      const shown = Object.entries(icons).map(([icon, isFine]) => (isFine ? icon : null));
      expect(await page.evaluate('sdk.wallets().map(({ icon }) => icon ?? null)')).toEqual([...shown, null]);
    });

    it('with a name that hides and turns nothing', async () => {
      const page = await open(
        `come(make('Phan\\u202etom\\u200b\\n <b>', FEATURES.signIn)); come(make('x'.repeat(100), FEATURES.signIn));`,
      );
      expect(await page.evaluate('sdk.wallets().map(({ name }) => name)')).toEqual(['Phan tom <b>', 'x'.repeat(64)]);
    });

    it('and what is no wallet, or cannot sign in, or fails, keeps none from coming', async () => {
      const page = await open(
        '',
        `const amiss = [undefined, {}, make('', FEATURES.signIn), make('No features', {}), make('Only connects', { 'standard:connect': {} }),
           make('No accounts', FEATURES.signIn, { accounts: undefined }), { get name() { throw new Error('no'); } }];
         sdk.wallets();
         for (const wallet of amiss) come(wallet ?? {});
         window.dispatchEvent(new CustomEvent('wallet-standard:register-wallet', { detail: () => { throw new Error('no'); } }));
         window.dispatchEvent(new CustomEvent('wallet-standard:register-wallet', { detail: 'no function' }));
         window.dispatchEvent(new CustomEvent('wallet-standard:register-wallet', { detail: (api) => api.register(...amiss) }));
         come(make('Good', FEATURES.signIn));`,
      );
      expect(await page.evaluate('sdk.wallets().map(({ name }) => name)')).toEqual(['Good']);
    });

    it('and are no more than a page can show', async () => {
      const page = await open("for (let n = 0; n < 1000; n++) come(make('W' + n, FEATURES.signIn));");
      expect(await page.evaluate('sdk.wallets().length')).toBe(64);
    });
  });

  describe('sign in', () => {
    let clicks = 0;

    /** A page with a button to sign in; what that gives is told. */
    async function stage(
      wallet: string,
      options: string = '{ text: (address) => sdk.signInText(INPUT, address) }',
    ): Promise<Page> {
      return await open(
        `const INPUT = ${JSON.stringify(INPUT)}; come(window.standard = ${wallet});`,
        `window.wallet = sdk.wallets()[0];
         const told = ({ code, message, address, needsGesture, signature, signedMessage }) => ({ code, message, address, needsGesture,
           signature: signature && [...signature], signedMessage: signedMessage && [...signedMessage] });
         document.body.innerHTML = '<button>Sign in</button>';
         document.querySelector('button').addEventListener('click', () => {
           sdk.signIn(wallet, INPUT, ${options}).then(told, told).then((answer) => window.tell(answer));
         });`,
      );
    }

    /** What the click of a visitor gives. The page tells it by itself: for Chromium, asking by a debugger is a click too. */
    async function click(page: Page): Promise<Told> {
      let resolve = (_told: Told): void => {};
      const heard = new Promise<Told>((heardOf) => {
        resolve = heardOf;
      });
      await page.exposeFunction(`tell${(clicks += 1)}`, resolve);
      await page.evaluate(`window.tell = tell${clicks}`);
      await page.locator('button').click();
      return await heard;
    }

    it('B2: at one click, with a wallet that can, and what is signed verifies', async () => {
      const page = await stage("make('One', FEATURES.signIn)");
      const told = await click(page);
      expect(await page.evaluate('window.calls')).toEqual(['signIn']);
      expect(await page.evaluate('window.asked')).toEqual(INPUT);
      expect(isSigned(told, INPUT)).toBe(true);
    });

    it('B2: at two clicks, with one that has to be connected first: it is said, and nothing hangs', async () => {
      const page = await stage("make('Two', FEATURES.two)");
      const first = await click(page);
      expect(first).toMatchObject({ needsGesture: true, address: expect.stringMatching(/^[\w]{32,44}$/) as string });
      expect(await page.evaluate('window.calls')).toEqual(['connect']);
      const second = await click(page);
      expect(second.address).toBe(first.address);
      expect(isSigned(second, INPUT)).toBe(true);
      expect(await page.evaluate('window.calls')).toEqual(['connect', 'signMessage']);
    });

    it('at one click, with one that is connected already, or connects without a window', async () => {
      const page = await stage("make('Two', FEATURES.two)");
      expect(await page.evaluate('sdk.connect(wallet, { silent: true })')).toEqual([
        await page.evaluate('key.then(({ address }) => address)'),
      ]);
      expect(isSigned(await click(page), INPUT)).toBe(true);
      const quiet = await stage(
        "make('Two', { ...FEATURES.two, 'standard:connect': { connect: async () => ({ accounts: [await window.key] }) } })",
      );
      expect(isSigned(await click(quiet), INPUT)).toBe(true);
    });

    it('by a text, with a wallet that can do both, where that is asked for', async () => {
      const page = await stage(
        "make('Both', { ...FEATURES.signIn, ...FEATURES.two })",
        "{ by: 'signMessage', text: 'any words' }",
      );
      await page.evaluate('sdk.connect(wallet, { silent: true })');
      const { signedMessage } = await click(page);
      expect(Buffer.from(signedMessage ?? []).toString()).toBe('any words');
      expect(await page.evaluate('window.calls')).toEqual(['signMessage']);
    });

    it('not by a text where none is given', async () => {
      const page = await stage("make('Two', FEATURES.two)", '{}');
      expect(await click(page)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('Two') as string,
      });
      expect(await page.evaluate('window.calls')).toEqual([]);
    });

    it.each([
      ['an error', "async () => { throw new Error('the visitor said no'); }"],
      ['an object', "async () => { throw { code: 4001, message: 'the visitor said no' }; }"],
      ['a text, at once', "() => { throw 'the visitor said no'; }"],
    ])('not where the wallet or the visitor refuses, by %s', async (_what, call) => {
      const page = await stage(`make('One', { 'solana:signIn': { signIn: ${call} } })`);
      const message = 'One did not do it: the visitor said no. Try again, or take another wallet.';
      expect(await click(page)).toMatchObject({ code: 'WALLET_REFUSED', message });
    });

    it.each([
      ['nothing', '[]'],
      ['a short signature', '[{ account, signature: new Uint8Array(63), signedMessage: new Uint8Array(1) }]'],
      ['a text', "[{ account, signature: 'x'.repeat(64), signedMessage: 'x' }]"],
      ['no message', '[{ account, signature: new Uint8Array(64) }]'],
      [
        'an account that is none',
        "[{ account: { address: '<b>' }, signature: new Uint8Array(64), signedMessage: new Uint8Array(1) }]",
      ],
    ])('not where the wallet answers %s', async (_what, answer) => {
      const page = await stage(
        `make('One', { 'solana:signIn': { signIn: async () => { const account = await window.key; return ${answer}; } } })`,
      );
      expect(await click(page)).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    });

    it.each([
      ['sign in', "make('Silent', { 'solana:signIn': { signIn: () => new Promise(() => {}) } })"],
      ['connect', "make('Silent', { ...FEATURES.two, 'standard:connect': { connect: () => new Promise(() => {}) } })"],
    ])('not for ever: a signal ends what a wallet never answers to, asked to %s', async (_what, wallet) => {
      const page = await stage(wallet, '{ signal: (window.ending = new AbortController()).signal, text: "words" }');
      const clicked = click(page);
      await expect.poll(() => page.evaluate('window.ending?.abort(), window.ending !== undefined')).toBe(true);
      expect(await clicked).toMatchObject({ code: 'ABORTED' });
    });

    it('not where the signal has ended before: the wallet is not asked', async () => {
      const page = await stage("make('Two', FEATURES.two)", '{ signal: AbortSignal.abort(), text: "words" }');
      expect(await click(page)).toMatchObject({ code: 'ABORTED' });
      expect(await page.evaluate('window.calls')).toEqual([]);
    });
  });
});

/** The signature is over the text for this input, by the key of the address. */
function isSigned({ address = '', signature = [], signedMessage = [] }: Told, input: object): boolean {
  const text = signInText(input, address);
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: base58Bytes(address).toString('base64url') },
    format: 'jwk',
  });
  return (
    Buffer.from(signedMessage).toString() === text && verify(null, Buffer.from(text), key, Uint8Array.from(signature))
  );
}

function base58Bytes(text: string): Buffer {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  let number = 0n;
  for (const letter of text) number = number * 58n + BigInt(alphabet.indexOf(letter));
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
}

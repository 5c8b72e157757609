/** What visitors try with payments, at a real gateway over the embedded ledger. */
import { randomBytes } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { decodePaymentRequiredHeader } from '@x402/core/http';
import type { PaymentRequirements } from '@x402/core/types';
import { Keypair, PublicKey, TransactionInstruction, TransactionMessage, VersionedTransaction } from '@solana/web3.js';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generateWalletKey, walletAddress } from '../../../ledger/solana/index.ts';
import { MAX_FAILED_PAYMENTS_PER_PAYER, MAX_PAYMENTS_AT_ONCE } from '../../../core/limits.ts';
import { systemClock } from '../../../core/ports.ts';
import { lamports, unixMillis } from '../../../core/units.ts';
import { letEmbed, type Answer } from '../gateway/kit.ts';
import { Cleanup } from '../kit.ts';
import { PRICE, PURSE, QUOTA, newCustomer, showing, startChain, startShop, type Chain, type Shop } from './kit.ts';

const FILM = randomBytes(3 * QUOTA);
/** What a folder and the block of a file's links have at most, each time that they are fetched. */
const FOLDER_BYTES = 1024;
const FILES = { 'index.html': 'a page', 'film.bin': FILM };

/** Wallets add its checks to what they sign, and so x402 lets it pass. */
const LIGHTHOUSE = new PublicKey('L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95');

const whole = new Cleanup();
const cleanup = new Cleanup();
let chain: Chain;
beforeAll(async () => {
  chain = await startChain(whole);
});
afterEach(() => cleanup.run());
afterAll(() => whole.run());

const tokenOf = (headers: Readonly<Record<string, unknown>>): string => String(headers['x-relaymint-quota']);
const withToken = (token: string): { readonly headers: Readonly<Record<string, string>> } => ({
  headers: { 'x-relaymint-quota': token },
});

const leftOf = ({ headers }: Pick<Answer, 'headers'>): number => Number(headers['x-relaymint-quota-left']);

/** What the page takes from a quota: its folder is fetched for it too. */
async function pageBytes({ front }: Shop, token: string): Promise<number> {
  const before = leftOf(await front.get('/', withToken(token)));
  return before - leftOf(await front.get('/', withToken(token)));
}

/** What a payment gets that is shown until the chain has said what became of it. */
async function shown(shop: Shop, headers: Readonly<Record<string, string>>): Promise<Answer> {
  for (;;) {
    const answer = await shop.front.get('/', { headers });
    if (answer.status !== 504) return answer;
  }
}

describe('who has not paid', () => {
  it('is told what to pay, and costs neither a look at the ledger nor at the content', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    for (const method of ['GET', 'HEAD']) {
      const answer = await shop.front.get('/film.bin', { method });
      const required = decodePaymentRequiredHeader(String(answer.headers['payment-required']));
      expect([answer.status, answer.headers['cache-control'], required]).toMatchObject([
        402,
        'no-store',
        {
          x402Version: 2,
          resource: { url: `http://demo-web3.localhost:${shop.front.port}/film.bin` },
          accepts: [
            {
              scheme: 'exact',
              asset: chain.mint,
              amount: String(PRICE),
              payTo: shop.payTo,
              extra: { quotaBytes: QUOTA },
            },
          ],
        },
      ]);
    }
    const conditional = await shop.front.get('/', { headers: { 'if-none-match': '*', range: 'bytes=0-1' } });
    expect([conditional.status, shop.asked, shop.front.ledger.questions]).toEqual([402, [], 0]);
  });

  it('sees a page in a browser, with what it costs', async () => {
    const shop = await startShop(cleanup, chain);
    const { status, text, headers } = await shop.front.get('/', { headers: { accept: 'text/html,*/*' } });
    expect([status, headers['content-type']]).toEqual([402, 'text/html; charset=utf-8']);
    expect(text).toContain('1 MiB of demo.web3 cost 0.1 credits');
  });

  it('may be a page of another origin, which can read what to pay; other names stay closed to it', async () => {
    const shop = await startShop(cleanup, chain, { free: ['gift.web3'] });
    const foreign = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', origin: 'https://example.org' };
    const preflight = await shop.front.get('/', { method: 'OPTIONS', headers: foreign });
    expect([preflight.status, preflight.headers['access-control-allow-headers']]).toEqual([
      204,
      expect.stringContaining('Payment-Signature, X-Relaymint-Quota, Range'),
    ]);
    const asked = await shop.front.get('/', { headers: foreign });
    expect([asked.status, asked.headers['access-control-allow-origin']]).toEqual([402, '*']);
    expect(asked.headers['access-control-expose-headers']).toContain('Payment-Required');
    expect((await shop.front.get('/', { headers: foreign, host: 'gift-web3.localhost' })).status).toBe(403);
  });

  it('gets nothing that somebody else has paid for, though it was just sent', async () => {
    const shop = await startShop(cleanup, chain, { keeping: systemClock });
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const cookies = { headers: showing(await customer.pay(await shop.offer())) };
    const [cookie = ''] = (await shop.front.get('/', cookies)).headers['set-cookie'] ?? [];
    const headers = { cookie: cookie.split(';')[0] ?? '' };
    expect((await shop.front.get('/', { headers })).status).toBe(200);
    expect((await shop.front.get('/')).status).toBe(402);
  });

  it('gets a free name for nothing', async () => {
    const shop = await startShop(cleanup, chain, { free: ['gift.web3'] });
    await shop.front.publish('gift.web3', FILES);
    const gift = await shop.front.get('/', { host: 'gift-web3.localhost' });
    expect([gift.status, gift.text, gift.headers['x-relaymint-quota-left']]).toEqual([200, 'a page', undefined]);
  });
});

describe('a payment', () => {
  it('is charged once, however often and by however many it is shown at once', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const headers = showing(await customer.pay(await shop.offer()));
    const both = await Promise.all([shop.front.get('/', { headers }), shop.front.get('/', { headers })]);
    const later = await shop.front.get('/', { headers });
    const answers = [...both, later];
    expect(answers.map(({ status, text }) => [status, text])).toEqual(answers.map(() => [200, 'a page']));
    expect(new Set(answers.map((answer) => tokenOf(answer.headers))).size).toBe(1);
    expect(later.headers['x-relaymint-quota-left']).toBe(
      String(QUOTA - 2 * (await pageBytes(shop, tokenOf(later.headers)))),
    );
    expect(await chain.credits(shop.payTo)).toBe(PRICE);
    expect(await chain.credits(customer.address)).toBe(PURSE - PRICE);
    expect(shop.asked.filter((method) => method === 'sendTransaction')).toHaveLength(1);
  });

  it('is not asked for again when the client signs anew for the same offer', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const required = await shop.offer();
    const first = await shop.front.get('/', { headers: showing(await customer.pay(required)) });
    await chain.embedded.warp(5);
    const second = await shop.front.get('/', { headers: showing(await customer.pay(required)) });
    expect([second.status, tokenOf(second.headers)]).toEqual([200, tokenOf(first.headers)]);
    expect(await chain.credits(customer.address)).toBe(PURSE - PRICE);
  });

  it('that was read from the chain buys nothing', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const paid = await customer.pay(await shop.offer());
    expect((await shop.front.get('/', { headers: showing(paid) })).status).toBe(200);
    // All that stands on chain, and what the gateway tells everybody: the offer alone is of somebody else.
    const [mine] = (await shop.offer()).accepts;
    const stolen = { ...paid, accepted: mine ?? paid.accepted };
    const withMemo = {
      ...stolen,
      accepted: { ...stolen.accepted, extra: { ...stolen.accepted.extra, memo: paid.accepted.extra['memo'] } },
    };
    for (const payment of [stolen, withMemo]) {
      const answer = await shop.front.get('/', { headers: showing(payment) });
      expect([answer.status, answer.headers['x-relaymint-quota']]).toEqual([402, undefined]);
    }
  });

  const wrong: Readonly<Record<string, Partial<PaymentRequirements>>> = {
    'to somebody else': { payTo: walletAddress(generateWalletKey()) },
    'of less': { amount: String(PRICE - 1n) },
    'of more': { amount: String(PRICE + 1n) },
    'of nothing': { amount: '0' },
    'without what ties it to its offer': { extra: { memo: 'relaymint:AAAAAAAAAAAAAAAAAAAAAA' } },
  };
  it.each(Object.keys(wrong))('%s is refused, and nothing is sent', async (kind) => {
    const shop = await startShop(cleanup, chain);
    const customer = await newCustomer(chain);
    const required = await shop.offer();
    const { extra, ...change } = wrong[kind] ?? {};
    const all = { ...required.accepts[0]?.extra, ...extra };
    const payment = await customer.pay(required, { ...change, extra: all });
    const answer = await shop.front.get('/', { headers: showing(payment) });
    const { error } = decodePaymentRequiredHeader(String(answer.headers['payment-required']));
    expect([answer.status, error, shop.asked.includes('sendTransaction')]).toEqual([
      402,
      expect.stringContaining('The payment is not good'),
      false,
    ]);
    expect(await chain.credits(customer.address)).toBe(PURSE);
  });

  it('for another site, another gateway or from before a change of the price is refused before anybody is asked', async () => {
    const shop = await startShop(cleanup, chain);
    const other = await shop.again({ directory: `${shop.directory}-2`, key: randomBytes(32) });
    const dearer = await startShop(cleanup, chain, { quota: 2 * QUOTA, key: shop.key });
    const customer = await newCustomer(chain);
    const headers = showing(await customer.pay(await shop.offer()));
    const answers = [
      await shop.front.get('/', { headers, host: 'other-web3.localhost' }),
      await other.front.get('/', { headers }),
      await dearer.front.get('/', { headers }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([402, 402, 402]);
    expect([...shop.asked, ...other.asked, ...dearer.asked]).toEqual([]);
  });

  it('of a wallet that has only one is taken once, whatever it signs at once, and no fee is lost', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain, PRICE + 1n);
    const offers = await Promise.all([shop.offer(), shop.offer(), shop.offer()]);
    const payments = await Promise.all(offers.map((offer) => customer.pay(offer)));
    const answers = await Promise.all(payments.map((payment) => shop.front.get('/', { headers: showing(payment) })));
    // One waits for the first, and the third is told to come back.
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 402, 503]);
    expect(await chain.credits(customer.address)).toBe(1n);
    expect(shop.asked.filter((method) => method === 'sendTransaction')).toHaveLength(1);
  });

  it('of a wallet that signs many does not keep others from paying', async () => {
    let isDropping = false;
    const shop = await startShop(cleanup, chain, {
      waitMillis: 500,
      meddle: (method, pass) =>
        isDropping && method === 'sendTransaction'
          ? Promise.resolve(Response.json({ jsonrpc: '2.0', id: '1', result: '1'.repeat(64) }))
          : pass(),
    });
    await shop.front.publish('demo.web3', FILES);
    const many = await newCustomer(chain, PRICE);
    const other = await newCustomer(chain);
    const signed = await Promise.all(
      Array.from({ length: MAX_PAYMENTS_AT_ONCE }, async () => showing(await many.pay(await shop.offer()))),
    );
    isDropping = true;
    const answers = await Promise.all(signed.map((headers) => shop.front.get('/', { headers })));
    const waiting = answers.filter(({ status }) => status === 504);
    isDropping = false;
    const paid = await shown(shop, showing(await other.pay(await shop.offer())));
    expect([waiting.length, paid.status]).toEqual([2, 200]);
  });

  it('that has the account of who pays the fee in an instruction is not signed', async () => {
    const shop = await startShop(cleanup, chain, {
      // Lighthouse is not on the embedded ledger: a chain that has it finds nothing wrong.
      meddle: (method, pass) =>
        method === 'simulateTransaction'
          ? Promise.resolve(
              Response.json({
                jsonrpc: '2.0',
                id: 1,
                result: { context: { slot: 1 }, value: { err: null, logs: [] } },
              }),
            )
          : pass(),
    });
    const customer = await newCustomer(chain);
    const payment = await customer.pay(await shop.offer());
    const { transaction } = payment.payload as { readonly transaction: string };
    const { message } = VersionedTransaction.deserialize(Buffer.from(transaction, 'base64'));
    const { payerKey, recentBlockhash, instructions } = TransactionMessage.decompile(message);
    const memo = instructions.at(-1);
    if (memo === undefined) throw new TypeError('a payment has instructions');
    const answers: string[] = [];
    for (const isWritable of [false, true]) {
      const check = new TransactionInstruction({
        programId: LIGHTHOUSE,
        data: Buffer.from([0, 0, 255, 0, 1]),
        keys: [{ pubkey: payerKey, isSigner: true, isWritable }],
      });
      const checked = new TransactionMessage({
        payerKey,
        recentBlockhash,
        instructions: [...instructions.slice(0, -1), check, memo],
      });
      const signed = new VersionedTransaction(checked.compileToV0Message());
      signed.sign([Keypair.fromSecretKey(customer.key.secretKey)]);
      const changed = { ...payment, payload: { transaction: Buffer.from(signed.serialize()).toString('base64') } };
      const answer = await shop.front.get('/', { headers: showing(changed) });
      answers.push(decodePaymentRequiredHeader(String(answer.headers['payment-required'])).error ?? '');
    }
    const refused: unknown = expect.stringContaining('who pays the fee');
    expect([answers, shop.asked.includes('sendTransaction')]).toEqual([[refused, refused], false]);
  });

  it('that is no payment is refused, whatever it is', async () => {
    const shop = await startShop(cleanup, chain);
    const customer = await newCustomer(chain);
    const good = await customer.pay(await shop.offer());
    const { accepted } = good;
    const { transaction } = good.payload as { readonly transaction: string };
    const signed = Buffer.from(transaction, 'base64');
    // The payer's signature follows that of the fee's payer.
    const forged = Buffer.from(signed);
    forged[1 + 64] = (forged[1 + 64] ?? 0) ^ 1;
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
    const bad: readonly string[] = [
      'x',
      '%%%',
      Buffer.from('{').toString('base64'),
      encode(null),
      encode([]),
      encode({ x402Version: 1 }),
      encode({ ...good, x402Version: -2 }),
      encode({ ...good, payload: {} }),
      encode({ ...good, payload: { transaction: '' } }),
      encode({ ...good, payload: { transaction: 'AAAA' } }),
      encode({ ...good, payload: { transaction: forged.toString('base64') } }),
      encode({ ...good, payload: { transaction: Buffer.concat([signed, Buffer.from([0])]).toString('base64') } }),
      encode({ ...good, accepted: { ...accepted, scheme: 'upto' } }),
      encode({ ...good, accepted: { ...accepted, extra: {} } }),
      encode({ ...good, accepted: { ...accepted, extra: { offer: 'AAAA' } } }),
      encode({ ...good, accepted: { ...accepted, extra: { offer: Buffer.alloc(40).toString('base64url') } } }),
      'A'.repeat(9_000),
    ];
    const answers = await Promise.all(
      bad.map((payment) => shop.front.get('/', { headers: { 'payment-signature': payment } })),
    );
    expect(answers.map(({ status }) => status)).toEqual(bad.map(() => 402));
    expect(shop.asked.filter((method) => method !== 'getGenesisHash')).toEqual([]);
    const huge = await shop.front.get('/', { headers: { 'payment-signature': 'A'.repeat(1_000_000) } }).catch(String);
    expect(typeof huge === 'string' ? 431 : huge.status).toBe(431);
    expect(await chain.credits(customer.address)).toBe(PURSE);
  });

  it('buys what the gateway sells, whatever its client claims', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const good = await customer.pay(await shop.offer());
    const claimed = {
      ...good,
      accepted: { ...good.accepted, amount: '-1', payTo: 'me', extra: { ...good.accepted.extra, quotaBytes: 1e300 } },
    };
    const answer = await shop.front.get('/', { headers: showing(claimed) });
    expect([answer.status, answer.headers['x-relaymint-quota-left']]).toEqual([200, String(QUOTA)]);
    expect(await chain.credits(customer.address)).toBe(PURSE - PRICE);
  });

  it('is not taken by a gateway that cannot pay the fee', async () => {
    const seller = generateWalletKey();
    const wallet = chain.ledger.wallet(seller);
    await wallet.airdrop(lamports(100_000_000n));
    const shop = await startShop(cleanup, chain, { seller });
    const has = await chain.ledger.balances(wallet.address);
    await wallet.buy(lamports(has.lamports - 5_000n));
    const customer = await newCustomer(chain);
    const headers = showing(await customer.pay(await shop.offer()));
    expect((await shop.front.get('/', { headers })).status).toBe(503);
    expect(await chain.credits(customer.address)).toBe(PURSE);
  });
});

describe('a payment whose end nobody saw', () => {
  it('counts when it is shown again after it landed, once', async () => {
    let lost = false;
    const shop = await startShop(cleanup, chain, {
      waitMillis: 300,
      // The chain takes it and carries it out, and the gateway never hears of it.
      meddle: async (method, pass) => {
        const answer = await pass();
        if (lost && ['sendTransaction', 'getSignatureStatuses'].includes(method))
          return new Response('', { status: 503 });
        return answer;
      },
    });
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const headers = showing(await customer.pay(await shop.offer()));
    lost = true;
    const first = await shop.front.get('/', { headers });
    expect([first.status, first.headers['retry-after'], first.text]).toEqual([
      504,
      '5',
      expect.stringContaining('on its way'),
    ]);
    // A gateway that was killed meanwhile.
    await shop.front.close();
    await shop.sale[Symbol.asyncDispose]();
    lost = false;
    // Too late for the chain to take it anew: that it was sent is known from what was written down.
    await chain.embedded.warp(200);
    const next = await shop.again({ directory: shop.directory, key: shop.key });
    await next.front.publish('demo.web3', FILES);
    const again = await shown(next, headers);
    expect([again.status, again.text]).toEqual([200, 'a page']);
    expect(await next.front.get('/', withToken(tokenOf(again.headers)))).toMatchObject({ status: 200 });
    expect(await chain.credits(customer.address)).toBe(PURSE - PRICE);
  });

  it.each([
    [-32000, 'Gateway timeout'],
    [-32000, 'Service temporarily unavailable'],
    [-32002, 'Transaction simulation failed: Error processing Instruction 2: custom program error: 0x1'],
  ])('counts, whatever the node answered that took it: %i %s', async (code, message) => {
    let isLate = false;
    const shop = await startShop(cleanup, chain, {
      meddle: async (method, pass) => {
        const answer = await pass();
        return isLate && method === 'sendTransaction'
          ? Response.json({ jsonrpc: '2.0', id: '1', error: { code, message } })
          : answer;
      },
    });
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain, PRICE);
    const headers = showing(await customer.pay(await shop.offer()));
    isLate = true;
    const first = await shown(shop, headers);
    const again = await shown(shop, headers);
    expect([first.status, again.status, tokenOf(again.headers)]).toEqual([200, 200, tokenOf(first.headers)]);
    expect([await chain.credits(customer.address), await chain.credits(shop.payTo)]).toEqual([0n, PRICE]);
  });

  it('counts though nothing of it was written down, when the chain has it', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain, PRICE);
    const headers = showing(await customer.pay(await shop.offer()));
    const first = await shown(shop, headers);
    const next = await shop.again({ directory: `${shop.directory}-2`, key: shop.key });
    await next.front.publish('demo.web3', FILES);
    const again = await shown(next, headers);
    expect([first.status, again.status, tokenOf(again.headers)]).toEqual([200, 200, tokenOf(first.headers)]);
    expect(await chain.credits(shop.payTo)).toBe(PRICE);
  });

  it('that never lands serves nothing and takes nothing, and its offer can be paid anew', async () => {
    let dropping = false;
    const shop = await startShop(cleanup, chain, {
      waitMillis: 300,
      meddle: (method, pass) =>
        dropping && method === 'sendTransaction'
          ? Promise.resolve(Response.json({ jsonrpc: '2.0', id: 1, result: '1'.repeat(64) }))
          : pass(),
    });
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const required = await shop.offer();
    const headers = showing(await customer.pay(required));
    dropping = true;
    expect((await shop.front.get('/', { headers })).status).toBe(504);
    await chain.embedded.warp(200);
    const gone = await shown(shop, headers);
    expect([gone.status, gone.headers['x-relaymint-quota']]).toEqual([402, undefined]);
    expect(await chain.credits(customer.address)).toBe(PURSE);
    dropping = false;
    const anew = await shown(shop, showing(await customer.pay(required)));
    expect([anew.status, await chain.credits(customer.address)]).toEqual([200, PURSE - PRICE]);
  });
});

describe('a wallet whose payments never land', () => {
  it('is told to come back, and others are not', async () => {
    let isDropping = false;
    const shop = await startShop(cleanup, chain, {
      waitMillis: 300,
      meddle: (method, pass) =>
        isDropping && method === 'sendTransaction'
          ? Promise.resolve(Response.json({ jsonrpc: '2.0', id: '1', result: '1'.repeat(64) }))
          : pass(),
    });
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const other = await newCustomer(chain);
    isDropping = true;
    for (let count = 0; count < MAX_FAILED_PAYMENTS_PER_PAYER; count += 1) {
      const headers = showing(await customer.pay(await shop.offer()));
      await shop.front.get('/', { headers });
      await chain.embedded.warp(200);
      await shown(shop, headers);
    }
    isDropping = false;
    const refused = await shown(shop, showing(await customer.pay(await shop.offer())));
    const paid = await shown(shop, showing(await other.pay(await shop.offer())));
    expect([refused.status, paid.status, await chain.credits(customer.address)]).toEqual([503, 200, PURSE]);
  });
});

describe('a payment that fails on chain', () => {
  it('serves nothing, and is not sent again', async () => {
    let drain: (() => Promise<unknown>) | undefined;
    const shop = await startShop(cleanup, chain, {
      // Its payer is faster elsewhere. The gateway's node finds out when it is carried out, and not before.
      meddle: async (method, pass) => {
        if (method !== 'sendTransaction' || drain === undefined) return pass();
        await drain();
        drain = undefined;
        return Response.json({ jsonrpc: '2.0', id: 1, result: '1'.repeat(64) });
      },
    });
    const customer = await newCustomer(chain, PRICE);
    const headers = showing(await customer.pay(await shop.offer()));
    drain = () => chain.ledger.wallet(customer.key).send(walletAddress(generateWalletKey()), PRICE);
    const failed = await shown(shop, headers);
    const { error } = decodePaymentRequiredHeader(String(failed.headers['payment-required']));
    expect([failed.status, error]).toEqual([402, expect.stringContaining('failed on chain')]);
    const sent = shop.asked.filter((method) => method === 'sendTransaction').length;
    expect((await shop.front.get('/', { headers })).status).toBe(402);
    expect(shop.asked.filter((method) => method === 'sendTransaction')).toHaveLength(sent);
    expect(await chain.credits(shop.payTo)).toBe(0n);
  });
});

describe('a quota', () => {
  const bought = async (shop: Shop): Promise<string> => {
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const paid = await shop.front.get('/', { headers: showing(await customer.pay(await shop.offer())) });
    return tokenOf(paid.headers);
  };

  it('is of one site, and of one gateway', async () => {
    const shop = await startShop(cleanup, chain);
    const token = await bought(shop);
    await shop.front.publish('other.web3', FILES);
    const other = await shop.again({ directory: `${shop.directory}-2`, key: randomBytes(32) });
    await other.front.publish('demo.web3', FILES);
    const answers = [
      await shop.front.get('/', withToken(token)),
      await shop.front.get('/', { ...withToken(token), host: 'other-web3.localhost' }),
      await other.front.get('/', withToken(token)),
      await shop.front.get('/', withToken(Buffer.alloc(32).toString('base64url'))),
      await shop.front.get('/', withToken('-1')),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 402, 402, 402, 402]);
  });

  it('gives pages that nobody can name no more than the owner lets everybody have', async () => {
    const shop = await startShop(cleanup, chain);
    const token = await bought(shop);
    const foreign = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
    const statusFor = async (origin: string): Promise<number> =>
      (await shop.front.get('/', { headers: { ...withToken(token).headers, ...foreign, origin } })).status;
    for (const [embedding, status] of [
      ['none', 403],
      [['news.web3'], 403],
      ['anybody', 200],
    ] as const) {
      await letEmbed(shop.front, 'demo.web3', embedding);
      expect([await statusFor('null'), await statusFor('https://evil.example')]).toEqual([status, status]);
    }
    // Where its visitor goes there, the owner has nothing to say.
    await letEmbed(shop.front, 'demo.web3', 'none');
    expect((await shop.front.get('/', withToken(token))).status).toBe(200);
  });

  it('gives no byte more than was bought, to many ranges at once, and but for the folders every one that was', async () => {
    const shop = await startShop(cleanup, chain);
    const token = await bought(shop);
    const before = leftOf(await shop.front.get('/', { ...withToken(token), method: 'HEAD' }));
    const pull = async (index: number): Promise<number> => {
      const range = `bytes=${index * 1000}-`;
      let received = 0;
      const answer = await shop.front.open('/film.bin', { headers: { ...withToken(token).headers, range } });
      if (answer.statusCode !== 206) {
        answer.resume();
        return 0;
      }
      try {
        for await (const chunk of answer as AsyncIterable<Buffer>) received += chunk.length;
      } catch {
        return received;
      }
      return received;
    };
    const pulled = await Promise.all(Array.from({ length: 12 }, (_, index) => pull(index)));
    const received = pulled.reduce((sum, bytes) => sum + bytes, 0);
    expect(received).toBeLessThanOrEqual(before);
    expect(received).toBeGreaterThan(before - (1 + pulled.length) * FOLDER_BYTES);
    expect((await shop.front.get('/', withToken(token))).status).toBe(402);
  });

  it('is not taken from by what a HEAD, a 304 and an error of the gateway send', async () => {
    const shop = await startShop(cleanup, chain, { quota: 8 * QUOTA });
    const token = await bought(shop);
    const { headers } = withToken(token);
    const page = await shop.front.get('/', { headers });
    const etag = String(page.headers.etag);
    const head = await shop.front.get('/film.bin', { headers, method: 'HEAD' });
    const known = await shop.front.get('/', { headers: { ...headers, 'if-none-match': etag } });
    expect([head.status, head.headers['content-length'], known.status]).toEqual([200, String(FILM.length), 304]);
    const left = await shop.front.get('/', { headers });
    expect(left.headers['cache-control']).toBe('private, no-cache');
    const cost = await pageBytes(shop, token);
    const before = leftOf(await shop.front.get('/', { headers })) - cost;
    // A folder that nobody has.
    shop.front.ledger.register('demo.web3', CID.createV1(0x70, Digest.create(0x12, randomBytes(32))).bytes);
    expect((await shop.front.get('/', { headers })).status).toBe(502);
    await shop.front.publish('demo.web3', FILES);
    const after = await shop.front.get('/', { headers });
    expect(after.headers['x-relaymint-quota-left']).toBe(String(before));
  });

  const LEAF = 1024 * 1024;
  const sparing: Readonly<Record<string, Parameters<Shop['front']['get']>>> = {
    'a HEAD': ['/part.bin', { method: 'HEAD' }],
    'a HEAD of a block': ['/part.bin?format=raw', { method: 'HEAD' }],
    'a range beyond a block': ['/part.bin?format=raw', { headers: { range: 'bytes=9999999-' } }],
    'a byte': ['/film.bin', { headers: { range: 'bytes=5-5' } }],
    'a byte here and there': ['/film.bin', { headers: { range: `bytes=0-0,${LEAF}-${LEAF},${2 * LEAF}-${2 * LEAF}` } }],
  };
  it.each(Object.keys(sparing))('is taken from for all that was fetched for %s', async (kind) => {
    const shop = await startShop(cleanup, chain, { quota: 8 * QUOTA });
    const token = await bought(shop);
    await shop.front.publish('demo.web3', { ...FILES, 'part.bin': randomBytes(LEAF - 100) });
    const { headers } = withToken(token);
    let fetched = 0;
    const { store } = shop.front.host;
    const get = store.get.bind(store);
    store.get = async (...asked) => {
      const block = await get(...asked);
      fetched += block.length;
      return block;
    };
    const [path, options] = sparing[kind] ?? ['/'];
    const asked = await shop.front.get(path, { ...options, headers: { ...headers, ...options?.headers } });
    const served = fetched;
    const after = await shop.front.get('/', { headers });
    expect(served).toBeGreaterThan(LEAF - FOLDER_BYTES);
    // Folders may have been remembered, and are taken from it all the same.
    expect(leftOf(asked) - leftOf(after)).toBeGreaterThanOrEqual(served);
    expect(leftOf(asked) - leftOf(after)).toBeLessThan(served + 2 * FOLDER_BYTES);
  });

  it('that is used up by what was fetched is used up', async () => {
    const shop = await startShop(cleanup, chain);
    const token = await bought(shop);
    const { headers } = withToken(token);
    const byte = { headers: { ...headers, range: 'bytes=5-5' } };
    expect((await shop.front.get('/film.bin', byte)).status).toBe(206);
    const { status, headers: told } = await shop.front.get('/film.bin', byte);
    expect([status, decodePaymentRequiredHeader(String(told['payment-required'])).accepts.length]).toEqual([402, 1]);
  });

  it('that fetches use up in the middle of an answer cuts it, and says so where nothing was sent', async () => {
    const shop = await startShop(cleanup, chain);
    const token = await bought(shop);
    const range = `bytes=0-0,${LEAF}-${LEAF},${2 * LEAF}-${2 * LEAF}`;
    const { headers } = withToken(token);
    await expect(shop.front.get('/film.bin', { headers: { ...headers, range } })).rejects.toThrow('aborted');
    expect((await shop.front.get('/', { headers })).status).toBe(402);
  });

  it('is taken from for what was sent, when the visitor leaves', async () => {
    const shop = await startShop(cleanup, chain, { quota: 64 * QUOTA });
    const token = await bought(shop);
    const answer = await shop.front.open('/film.bin', withToken(token));
    await new Promise((resolve) => answer.once('data', resolve));
    answer.destroy();
    const after = await shop.front.get('/', withToken(token));
    const taken = 64 * QUOTA - leftOf(after) - FOLDER_BYTES;
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThanOrEqual(FILM.length + FOLDER_BYTES);
  });

  it('is kept over a restart, with what is left of it; what is on disk is no token', async () => {
    const shop = await startShop(cleanup, chain);
    const token = await bought(shop);
    await shop.front.close();
    await shop.sale[Symbol.asyncDispose]();
    const files = await readdir(shop.directory);
    const written = Buffer.concat(await Promise.all(files.map((file) => readFile(join(shop.directory, file)))));
    expect([written.includes('demo.web3'), written.includes(token)]).toEqual([true, false]);
    const next = await shop.again({ directory: shop.directory, key: shop.key });
    await next.front.publish('demo.web3', FILES);
    const answer = await next.front.get('/', withToken(token));
    expect([answer.status, answer.headers['x-relaymint-quota-left']]).toEqual([
      200,
      String(QUOTA - (await pageBytes(next, token))),
    ]);
  });

  it('ends after a month', async () => {
    let ahead = 0;
    const clock = { now: () => unixMillis(Date.now() + ahead) };
    const shop = await startShop(cleanup, chain, { clock });
    const token = await bought(shop);
    ahead = 31 * 86_400_000;
    expect((await shop.front.get('/', withToken(token))).status).toBe(402);
  });

  it('is in a cookie that only its site has, and that no other page spends', async () => {
    const shop = await startShop(cleanup, chain);
    await shop.front.publish('demo.web3', FILES);
    const customer = await newCustomer(chain);
    const paid = await shop.front.get('/', { headers: showing(await customer.pay(await shop.offer())) });
    const [cookie = ''] = paid.headers['set-cookie'] ?? [];
    expect(cookie).toMatch(/^relaymint-quota=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
    const headers = { cookie: cookie.split(';')[0] ?? '' };
    expect((await shop.front.get('/', { headers })).status).toBe(200);
    const embedded = {
      ...headers,
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'no-cors',
      'sec-fetch-dest': 'image',
    };
    expect((await shop.front.get('/', { headers: embedded })).status).toBe(402);
  });

  it('below a domain is in a cookie that no neighbour can set', async () => {
    const shop = await startShop(cleanup, chain, { domain: 'sites.example.org' });
    await shop.front.publish('demo.web3', FILES);
    const host = 'demo-web3.sites.example.org';
    const customer = await newCustomer(chain);
    const payment = await customer.pay(await shop.offer('/', host));
    const paid = await shop.front.get('/', {
      host,
      headers: { ...showing(payment), 'x-forwarded-for': '203.0.113.7' },
    });
    const [cookie = ''] = paid.headers['set-cookie'] ?? [];
    expect([paid.status, cookie]).toEqual([200, expect.stringMatching(/^__Host-relaymint-quota=[\w-]{43}; Secure; /)]);
    const headers = { cookie: cookie.split(';')[0] ?? '' };
    expect((await shop.front.get('/', { host, headers })).status).toBe(200);
    expect(
      (
        await shop.front.get('/', {
          host,
          headers: { ...headers, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
        })
      ).status,
    ).toBe(402);
  });
});

/** What the embedded ledger's server lets in: shapes, sizes, hosts, origins. */
import { request } from 'node:http';
import { Keypair, SystemProgram, Transaction } from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';

let ledger: EmbeddedLedger;

beforeAll(async () => {
  ledger = await startEmbeddedLedger();
});

afterAll(async () => {
  await ledger.close();
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

function post(body: string, headers: Record<string, string> = {}, method = 'POST', path = '/'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${ledger.url}${path}`,
      { method, headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

async function call(method: string, ...params: unknown[]): Promise<Record<string, unknown>> {
  const { text } = await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
  return JSON.parse(text) as Record<string, unknown>;
}

describe('JSON-RPC', () => {
  test('batches are answered in order, notifications not at all', async () => {
    const { text } = await post(
      JSON.stringify([
        { jsonrpc: '2.0', id: 'a', method: 'getHealth' },
        { jsonrpc: '2.0', method: 'getHealth' },
        { jsonrpc: '2.0', id: 2, method: 'noSuchMethod', params: [] },
        { id: 3 },
      ]),
    );
    expect(JSON.parse(text)).toEqual([
      { jsonrpc: '2.0', id: 'a', result: 'ok' },
      { jsonrpc: '2.0', id: 2, error: { code: -32601, message: 'Method not found' } },
      { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'Invalid Request' } },
    ]);
    const silent = await post(JSON.stringify({ jsonrpc: '2.0', method: 'getHealth' }));
    expect(silent).toEqual({ status: 200, text: '' });
  });

  test.each([
    ['{', -32700],
    ['[]', -32600],
    ['"text"', -32600],
    ['null', -32600],
    [JSON.stringify(Array.from({ length: 101 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'getHealth' }))), -32600],
    [JSON.stringify({ jsonrpc: '2.0', id: { $gt: 1 }, method: 'getHealth' }), -32600],
  ])('%.40s is refused', async (body, code) => {
    const { status, text } = await post(body);
    expect(status).toBe(200);
    expect((JSON.parse(text) as { error: { code: number } }).error.code).toBe(code);
  });

  test.each([
    ['getBalance', []],
    ['getBalance', ['not an address']],
    ['getBalance', [7]],
    ['getAccountInfo', ['11111111111111111111111111111111', { encoding: 'xml' }]],
    ['getMultipleAccounts', [Array.from({ length: 101 }, () => '11111111111111111111111111111111')]],
    ['getSignatureStatuses', [['abc']]],
    [
      'getProgramAccounts',
      ['11111111111111111111111111111111', { filters: [{ memcmp: { offset: 0, bytes: '0OIl' } }] }],
    ],
    ['getMinimumBalanceForRentExemption', [1e12]],
    ['getMinimumBalanceForRentExemption', [-1]],
    ['sendTransaction', ['%%%']],
    ['sendTransaction', ['AAAA', { encoding: 'base64' }]],
    ['sendTransaction', ['A'.repeat(9000), { encoding: 'base64' }]],
    ['simulateTransaction', [Buffer.alloc(1232).toString('base64'), { encoding: 'base64' }]],
    ['requestAirdrop', ['11111111111111111111111111111111', 0.5]],
    ['requestAirdrop', ['11111111111111111111111111111111', 2 ** 53]],
    ['getTransaction', ['1'.repeat(300)]],
  ])('%s with wrong parameters is invalid', async (method, params) => {
    expect(await call(method, ...params)).toMatchObject({ error: { code: -32602 } });
  });

  test('a slot that has not come yet is said so', async () => {
    expect(await call('getSlot', { minContextSlot: 10_000_000 })).toMatchObject({ error: { code: -32016 } });
  });
});

describe('HTTP', () => {
  test('a foreign Host, another method, another type, a long body', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getHealth' });
    expect((await post(body, { host: 'evil.example:80' })).status).toBe(403);
    expect((await post(body, { host: 'localhost:1' })).status).toBe(200);
    expect((await post('', {}, 'GET')).status).toBe(405);
    expect(await post('', {}, 'GET', '/health')).toEqual({ status: 200, text: 'ok' });
    expect((await post(body, { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post(`"${'a'.repeat(130 * 1024)}"`)).status).toBe(413);
    const preflight = await post('', { origin: 'http://evil.example' }, 'OPTIONS');
    expect(preflight.status).toBe(405);
  });
});

describe('WebSocket', () => {
  async function open(headers: Record<string, string> = {}): Promise<WebSocket> {
    const socket = new WebSocket(ledger.wsUrl, { headers });
    await new Promise((resolve, reject) => {
      socket.on('open', resolve);
      socket.on('error', reject);
    });
    return socket;
  }

  function ask(socket: WebSocket, message: string | Buffer): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const closed = (code: number): void => reject(new Error(`closed with ${code}`));
      socket.once('close', closed);
      socket.once('message', (data: Buffer) => {
        socket.off('close', closed);
        resolve(JSON.parse(data.toString('utf8')));
      });
      socket.send(message);
    });
  }

  test('a page of another origin is refused', async () => {
    await expect(open({ origin: 'http://evil.example' })).rejects.toThrow('403');
  });

  test('malformed and unknown requests are answered, binary and long ones end the connection', async () => {
    const socket = await open();
    expect(await ask(socket, '{')).toMatchObject({ error: { code: -32700 } });
    expect(await ask(socket, '{}')).toMatchObject({ error: { code: -32600 } });
    const unknown = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'blockSubscribe', params: [] });
    expect(await ask(socket, unknown)).toMatchObject({ id: 1, error: { code: -32601 } });
    const wrong = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'slotUnsubscribe', params: [77] });
    expect(await ask(socket, wrong)).toMatchObject({ id: 2, error: { code: -32602 } });
    await expect(ask(socket, Buffer.from('{}'))).rejects.toThrow('closed with 1003');
    const other = await open();
    await expect(ask(other, 'a'.repeat(17 * 1024))).rejects.toThrow('closed with 1009');
  });

  test('one client has a bounded number of subscriptions', async () => {
    const socket = await open();
    const subscribe = (id: number): string =>
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        method: 'accountSubscribe',
        params: ['11111111111111111111111111111111'],
      });
    for (let id = 1; id <= 1000; id += 1) expect(await ask(socket, subscribe(id))).toMatchObject({ id });
    expect(await ask(socket, subscribe(1001))).toMatchObject({ error: { code: -32600 } });
    socket.terminate();
  });
});

describe('hostile transactions', () => {
  test('thousands of malformed ones are refused or executed, and the ledger keeps running', async () => {
    const payer = Keypair.generate();
    const { result: signature } = await call('requestAirdrop', payer.publicKey.toBase58(), 10_000_000_000);
    expect(signature).toBeTypeOf('string');
    const { result } = await call('getLatestBlockhash');
    const { blockhash } = (result as { value: { blockhash: string } }).value;
    const transaction = new Transaction({ feePayer: payer.publicKey, blockhash, lastValidBlockHeight: 0 });
    transaction.add(
      SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: payer.publicKey, lamports: 1 }),
      SystemProgram.createAccount({
        fromPubkey: payer.publicKey,
        newAccountPubkey: payer.publicKey,
        lamports: 1,
        space: 1,
        programId: payer.publicKey,
      }),
    );
    transaction.sign(payer);
    const sane = transaction.serialize();
    let state = 12_345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return state % below;
    };
    for (let round = 0; round < 40; round += 1) {
      const batch = Array.from({ length: 100 }, (_, id) => {
        const spoiled = Buffer.from(sane);
        // The length bytes, the header and the instructions matter most: the first byte, and all after the keys.
        const edits = 1 + random(3);
        for (let edit = 0; edit < edits; edit += 1) {
          const at = [0, 65 + random(4), 65 + random(spoiled.length - 65)][random(3)] ?? 0;
          spoiled[at] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xff, random(256)][random(8)] ?? 0;
        }
        const cut = random(4) === 0 ? spoiled.subarray(0, random(spoiled.length)) : spoiled;
        // Simulation runs what has no valid signature, too: it gets further into the SVM.
        return {
          jsonrpc: '2.0',
          id,
          method: 'simulateTransaction',
          params: [cut.toString('base64'), { encoding: 'base64', replaceRecentBlockhash: true }],
        };
      });
      const { text } = await post(JSON.stringify(batch));
      const answers = JSON.parse(text) as { error?: { code: number } }[];
      expect(answers).toHaveLength(100);
      expect(answers.filter(({ error }) => error !== undefined && error.code !== -32602)).toEqual([]);
    }
    expect(await call('getHealth')).toMatchObject({ result: 'ok' });
  });
});

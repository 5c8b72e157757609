/** How the client stands an RPC node that fails, lags or says nonsense. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { RelaymintError } from '../../../core/errors.ts';
import { lamports } from '../../../core/units.ts';
import { EMBEDDED_PROGRAM_ID, startEmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { createPolicy } from '../../../node/transport/index.ts';
import { generateWalletKey, openSolanaLedger } from '../../../ledger/solana/index.ts';

const SECRET_PATH = '/v1/very-secret-api-key?token=hidden';
const programId = EMBEDDED_PROGRAM_ID;
const someone = openSolanaLedger({ fetch, url: 'http://127.0.0.1:1', programId }).wallet(generateWalletKey()).address;

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A node that answers as told; resolves with its origin. */
async function node(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => answer(request, response));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failure(promise: Promise<unknown>): Promise<RelaymintError> {
  const error: unknown = await promise.catch((caught: unknown) => caught);
  if (!(error instanceof RelaymintError)) throw new Error(`expected a RelaymintError, got ${String(error)}`);
  return error;
}

describe('an unreachable node', () => {
  test('is named by its origin, never with its path', async () => {
    const origin = await node((_request, response) => response.writeHead(503).end('{}'));
    const error = await failure(openSolanaLedger({ fetch, url: origin + SECRET_PATH, programId }).balances(someone));
    expect(error.code).toBe('LEDGER_UNREACHABLE');
    expect(error.message).toContain(origin);
    for (let at: unknown = error; at instanceof Error; at = at.cause) {
      expect(`${at.message} ${JSON.stringify(at)}`).not.toMatch(/secret|hidden/);
    }
  });

  test('a closed port, a cut answer and silence are the same to the caller', async () => {
    const cutting = await node((request) => request.socket.destroy());
    const silent = await node(() => undefined);
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const unused = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
    await new Promise((resolve) => gone.close(resolve));
    const [closed, cut, slow] = await Promise.all(
      [unused, cutting, silent].map((url) =>
        failure(openSolanaLedger({ fetch, url, programId, timeoutMillis: 500 }).names()),
      ),
    );
    expect(closed).toMatchObject({ code: 'LEDGER_UNREACHABLE', message: expect.stringContaining('ECONNREFUSED') });
    expect(cut).toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    expect(slow).toMatchObject({ code: 'LEDGER_UNREACHABLE', message: expect.stringContaining('took too long') });
  });

  test('a refused key is not tried again', async () => {
    let asked = 0;
    const origin = await node((_request, response) => {
      asked += 1;
      response.writeHead(401).end();
    });
    const error = await failure(openSolanaLedger({ fetch, url: origin, programId }).names());
    expect(error.code).toBe('LEDGER_UNREACHABLE');
    expect(error.message).toContain('API key');
    expect(asked).toBe(1);
  });

  test('an airdrop whose answer was lost is not asked for twice', async () => {
    let asked = 0;
    const origin = await node((request) => {
      asked += 1;
      request.socket.destroy();
    });
    const wallet = openSolanaLedger({ fetch, url: origin, programId }).wallet(generateWalletKey());
    expect(await failure(wallet.airdrop(lamports(1n)))).toMatchObject({ code: 'LEDGER_UNREACHABLE' });
    expect(asked).toBe(1);
  });

  test('what the transport policy refuses is refused at once, with its own code', async () => {
    let asked = 0;
    const ledger = openSolanaLedger({
      url: 'http://127.0.0.1:1',
      programId,
      fetch: () => {
        asked += 1;
        return Promise.reject(new RelaymintError('POLICY_REFUSED', 'No direct connections.'));
      },
    });
    expect(await failure(ledger.names())).toMatchObject({ code: 'POLICY_REFUSED' });
    expect(asked).toBe(1);
  });
});

describe('a failing node', () => {
  test("is asked again when the transport policy's own fetch finds it down, and is called unreachable then", async () => {
    let asked = 0;
    const ledger = openSolanaLedger({
      url: 'http://127.0.0.1:1',
      programId,
      fetch: (input, init) => {
        asked += 1;
        return createPolicy({ transports: [] }).fetch('ledger')(input, init);
      },
    });
    expect(await failure(ledger.names())).toMatchObject({
      code: 'LEDGER_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(asked).toBe(5);
  });

  test('is asked again until it answers', async () => {
    await using server = await startEmbeddedLedger();
    let asked = 0;
    const ledger = openSolanaLedger({
      url: server.url,
      programId,
      fetch: (input, init) => {
        asked += 1;
        if (asked === 1) return Promise.reject(new TypeError('fetch failed'));
        if (asked === 2) return Promise.resolve(new Response('busy', { status: 429 }));
        return fetch(input, init);
      },
    });
    expect(await ledger.names()).toEqual([]);
    expect(asked).toBe(3);
  });

  test('an answer that is no JSON-RPC, and a cluster without the program, are told apart', async () => {
    const website = await node((_request, response) => response.end('<html>hello</html>'));
    expect(await failure(openSolanaLedger({ fetch, url: website, programId }).names())).toMatchObject({
      code: 'LEDGER_UNREACHABLE',
      message: expect.stringContaining('not that of a Solana RPC node'),
    });
    await using bare = await startEmbeddedLedger();
    const ledger = openSolanaLedger({ fetch, url: bare.url, programId });
    expect(await failure(ledger.bank())).toMatchObject({
      code: 'LEDGER_REJECTED',
      message: expect.stringContaining('no Relaymint bank'),
    });
    expect(await ledger.till(someone)).toBeUndefined();
  });

  test.each(['', 'ledger', 'ftp://127.0.0.1/key'])('"%s" is no ledger URL', (url) => {
    expect(() => openSolanaLedger({ fetch, url, programId })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    );
  });
});

describe('a closed ledger', () => {
  test('ends what waits and refuses what comes', async () => {
    let asked = (): void => undefined;
    const reached = new Promise<void>((resolve) => (asked = resolve));
    const silent = await node(() => asked());
    const ledger = openSolanaLedger({ fetch, url: silent, programId });
    const waiting = failure(ledger.names());
    await reached;
    ledger.close();
    expect(await waiting).toMatchObject({ code: 'CLOSED' });
    expect(await failure(ledger.names())).toMatchObject({ code: 'CLOSED' });
  });
});

describe('a network that drops transactions', () => {
  /** Lets everything through but a number of sendTransaction calls, which it claims to have taken. */
  function dropping(count: number, onDrop: () => Promise<void>): typeof fetch {
    let left = count;
    return async (input, init) => {
      const body = typeof init?.body === 'string' ? init.body : '';
      if (!body.includes('"sendTransaction"') || left === 0) return fetch(input, init);
      left -= 1;
      await onDrop();
      const { id } = JSON.parse(body) as { id: string };
      return Response.json({ jsonrpc: '2.0', id, result: '1'.repeat(64) });
    };
  }

  test('a transaction that expired is signed again', async () => {
    await using server = await startEmbeddedLedger();
    const key = generateWalletKey();
    const plain = openSolanaLedger({ fetch: globalThis.fetch, url: server.url, programId });
    await plain.wallet(key).airdrop(lamports(1_000_000_000n));
    let dropped = 0;
    const fetch = dropping(2, async () => {
      dropped += 1;
      await server.warp(61);
    });
    const wallet = openSolanaLedger({ url: server.url, programId, fetch }).wallet(key);
    // There is no program on this ledger: getting as far as being told so takes a transaction that arrives.
    expect(await failure(wallet.openTill(1))).toMatchObject({ code: 'LEDGER_REJECTED' });
    expect(dropped).toBe(2);
  });

  test('one that is never taken ends with TIMEOUT', async () => {
    await using server = await startEmbeddedLedger();
    const key = generateWalletKey();
    await openSolanaLedger({ fetch: globalThis.fetch, url: server.url, programId })
      .wallet(key)
      .airdrop(lamports(1_000_000_000n));
    const fetch = dropping(3, () => server.warp(61));
    const wallet = openSolanaLedger({ url: server.url, programId, fetch }).wallet(key);
    expect(await failure(wallet.openTill(1))).toMatchObject({ code: 'TIMEOUT' });
  });

  test('waiting ends with the signal', async () => {
    await using server = await startEmbeddedLedger();
    const wallet = openSolanaLedger({ fetch, url: server.url, programId }).wallet(generateWalletKey());
    const never = { signature: '1'.repeat(64), wire: new Uint8Array(), lastValidBlockHeight: 1_000_000_000n };
    const stop = new AbortController();
    const waiting = failure(wallet.confirm(never, stop.signal));
    expect(await wallet.status(never)).toEqual({ state: 'pending' });
    stop.abort();
    expect(await waiting).toMatchObject({ code: 'ABORTED' });
  });
});

/** `relaymint ledger deploy` and `status` against a bare ledger, through the real loader: at once, interrupted, again. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../core/errors.ts';
import { ledgerAddress } from '../../core/ids.ts';
import { lamports } from '../../core/units.ts';
import { Deployment, clusterTagOf, isCodeOf, readDeployed } from '../../ledger/solana/deployment/index.ts';
import { CHUNK_BYTES } from '../../ledger/solana/deployment/loader.ts';
import { startEmbeddedLedger, type EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import {
  generateWalletKey,
  openSolanaLedger,
  programFile,
  readKeyFile,
  walletKeyFromSeed,
  writeKeyFile,
  type SolanaLedger,
  type SolanaWallet,
} from '../../ledger/solana/index.ts';
import { run, start, type Finished } from './program.ts';

interface Deployed {
  readonly programId: string;
  readonly upgradeAuthority: string | null;
  readonly planned: {
    readonly chunks: number;
    readonly chunksToWrite: number;
    readonly transactions: number;
    readonly feeLamports: string;
    readonly rentLamports: string;
    readonly neededLamports: string;
  };
  readonly feeLamports: string;
  readonly signatures: readonly string[];
  readonly before: { readonly lamports: string };
  readonly after: { readonly lamports: string };
}

/** A deployment is some fifty transactions, each waited for, on a machine that may be busy. */
const PATIENT_MILLIS = 300_000;

let folder: string;
let server: EmbeddedLedger;
let wallet: SolanaWallet;
let walletPath: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-deploy-'));
  server = await startEmbeddedLedger({ dataDir: path.join(folder, 'ledger') });
  const key = generateWalletKey();
  walletPath = path.join(folder, 'id.json');
  await writeKeyFile(walletPath, key);
  const ledger = openSolanaLedger({ fetch, url: server.url, programId: ledgerAddress(key.publicKey.toBytes()) });
  wallet = ledger.wallet(key);
  await wallet.airdrop(lamports(2_000_000_000n));
});

afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

function deploy(url: string, ...options: readonly string[]): Promise<Finished> {
  return run(['ledger', 'deploy', '--ledger', url, '--wallet', walletPath, ...options]);
}

function jsonOf({ stdout, stderr, code }: Finished): Deployed {
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Deployed;
}

function connect(programId: string): SolanaLedger {
  return openSolanaLedger({ fetch, url: server.url, programId: ledgerAddress(programId) });
}

describe('relaymint ledger deploy', { timeout: PATIENT_MILLIS }, () => {
  it('says what it costs, asks, deploys, and then has nothing left to do', async () => {
    const unasked = await deploy(server.url);
    expect(unasked.code).toBe(1);
    expect(unasked.stdout).toMatch(/needed now +0\.\d+ SOL/);
    expect(unasked.stderr).toContain('--yes');

    const done = jsonOf(await deploy(server.url, '--yes', '--json', '--challenge-seconds', '60'));
    const spent = BigInt(done.before.lamports) - BigInt(done.after.lamports);
    expect(done.feeLamports).toBe(done.planned.feeLamports);
    expect(done.signatures).toHaveLength(done.planned.transactions);
    // What it said before, to the lamport.
    expect(spent).toBe(BigInt(done.planned.rentLamports) + BigInt(done.planned.feeLamports));
    expect(existsSync(path.join(folder, 'relaymint-buffer.json'))).toBe(false);
    expect((await stat(path.join(folder, 'relaymint-program.json'))).mode & 0o777).toBe(0o600);

    const ledger = connect(done.programId);
    const program = await readDeployed(ledger);
    expect(isCodeOf(program?.code ?? new Uint8Array(), await readFile(programFile()))).toBe(true);
    expect(program?.upgradeAuthority).toBe(wallet.address);
    const bank = await ledger.bank();
    expect(bank).toMatchObject({ challengeSeconds: 60n, unitsPerLamport: 1n });
    expect(bank.clusterTag).toEqual(clusterTagOf(server.genesisHash));

    const again = jsonOf(await deploy(server.url, '--json'));
    expect(again).toMatchObject({ programId: done.programId, signatures: [], feeLamports: '0' });

    const final = jsonOf(await deploy(server.url, '--json', '--yes', '--final'));
    expect(final).toMatchObject({ upgradeAuthority: null, planned: { transactions: 1 } });
    expect((await deploy(server.url)).stdout).toContain('nothing was sent');

    // A bank with another admin may be a stranger's, who initialized it first.
    const heir = ledger.wallet(walletKeyFromSeed('deploy', 'heir'));
    await ledger.wallet(await readKeyFile(walletPath)).configure({ newAdmin: heir });
    const strange = await deploy(server.url);
    expect(strange.code).toBe(1);
    expect(strange.stderr).toContain(`--accept-admin ${heir.address}`);
    expect((await deploy(server.url, '--accept-admin', 'nobody')).code).toBe(1);
    expect((await deploy(server.url, '--accept-admin', heir.address)).stdout).toContain('nothing was sent');

    // A deployed program is there after a restart, and works.
    await server.close();
    server = await startEmbeddedLedger({ dataDir: path.join(folder, 'ledger') });
    const bought = await run([
      'wallet',
      'buy',
      '0.5',
      '--ledger',
      server.url,
      '--program',
      done.programId,
      '--wallet',
      walletPath,
      '--json',
    ]);
    expect(JSON.parse(bought.stdout)).toMatchObject({ after: { credits: '500000000' } });
    const status = await run(['ledger', 'status', '--url', server.url, '--program', done.programId, '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({
      cluster: { genesisHash: server.genesisHash },
      program: { deployed: true, ours: true, upgradeAuthority: null },
      bank: { bought: '500000000', checks: { identity: true, backed: true, held: true } },
    });
  });

  it('continues after kill -9 in the middle of the writing, with the same buffer', async () => {
    await using gate = await Gate.before(server.url, 12);
    const first = start(['ledger', 'deploy', '--yes', '--ledger', gate.url, '--wallet', walletPath]);
    await gate.reached;
    first.child.kill('SIGKILL');
    expect((await first.finished).code).toBeNull();
    const buffer = path.join(folder, 'relaymint-buffer.json');
    expect((await stat(buffer)).mode & 0o777).toBe(0o600);

    const { planned, programId, signatures } = jsonOf(await deploy(server.url, '--yes', '--json'));
    expect(planned.chunksToWrite).toBeGreaterThan(0);
    expect(planned.chunksToWrite).toBeLessThan(planned.chunks - 5);
    expect(signatures).toHaveLength(planned.chunksToWrite + 2);
    expect((await connect(programId).bank()).bought).toBe(0n);
    expect(existsSync(buffer)).toBe(false);
  });

  it('continues after kill -9 between the deployment and the bank', async () => {
    const chunks = Math.ceil((await stat(programFile())).size / CHUNK_BYTES);
    await using gate = await Gate.before(server.url, chunks + 2);
    const first = start(['ledger', 'deploy', '--yes', '--ledger', gate.url, '--wallet', walletPath]);
    await gate.reached;
    first.child.kill('SIGKILL');
    await first.finished;
    const { planned, programId } = jsonOf(await deploy(server.url, '--yes', '--json'));
    expect(planned).toMatchObject({ chunksToWrite: 0, transactions: 1 });
    expect((await connect(programId).bank()).challengeSeconds).toBe(86_400n);
  });

  it('does not begin a deployment that the wallet cannot pay', async () => {
    const poor = path.join(folder, 'poor.json');
    await writeKeyFile(poor, generateWalletKey());
    const refused = await run(['ledger', 'deploy', '--yes', '--ledger', server.url, '--wallet', poor]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('INSUFFICIENT_FUNDS');
  });

  it('refuses an address that has other code', async () => {
    const { programId } = jsonOf(await deploy(server.url, '--yes', '--json'));
    const other = new Deployment({
      ledger: connect(programId),
      wallet: await readKeyFile(walletPath),
      program: await readKeyFile(path.join(folder, 'relaymint-program.json')),
      buffer: generateWalletKey(),
      file: (await readFile(programFile())).fill(1, 4096, 4100),
      bank: { unitsPerLamport: 1n, challengeSeconds: 1n },
      final: false,
    });
    await expect(other.plan()).rejects.toSatisfy((error) => isRelaymintError(error, 'LEDGER_REJECTED'));
  });
});

describe('relaymint ledger status', () => {
  it('tells a ledger without the program from one with it', async () => {
    const status = await run(['ledger', 'status', '--ledger', server.url]);
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(status.stdout).toContain('not deployed');
    expect(status.stdout).toContain(server.genesisHash);
  });
});

/** Stands before a ledger and lets so many transactions through; the others are never answered. */
class Gate implements AsyncDisposable {
  readonly url: string;
  /** Resolves when the first transaction was held back. */
  readonly reached: Promise<void>;
  readonly #server: Server;

  private constructor(gate: Server, reached: Promise<void>) {
    this.#server = gate;
    this.reached = reached;
    this.url = `http://127.0.0.1:${(gate.address() as AddressInfo).port}`;
  }

  static async before(ledger: string, transactions: number): Promise<Gate> {
    let left = transactions;
    let hold = (): void => undefined;
    const reached = new Promise<void>((resolve) => (hold = resolve));
    const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString('utf8');
      if (body.includes('"sendTransaction"')) {
        if (left === 0) return hold();
        left -= 1;
      }
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(ledger, { method: 'POST', headers, body });
      response.writeHead(answer.status, headers).end(await answer.text());
    };
    const gate = createServer((request, response) => {
      pass(request, response).catch(() => response.destroy());
    });
    gate.listen(0, '127.0.0.1');
    await once(gate, 'listening');
    return new Gate(gate, reached);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

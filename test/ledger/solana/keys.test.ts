import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import bs58 from 'bs58';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  generateWalletKey,
  readKeyFile,
  walletAddress,
  walletKeyFromBase58,
  walletKeyFromSeed,
  writeKeyFile,
} from '../../../ledger/solana/index.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'relaymint-keys-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('key files', () => {
  test('are what Solana tools read and write, for their owner alone', async () => {
    const file = path.join(directory, 'inner', 'id.json');
    const key = generateWalletKey();
    await writeKeyFile(file, key);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual([...key.secretKey]);
    expect(walletAddress(await readKeyFile(file))).toBe(walletAddress(key));
    expect(await readdir(path.dirname(file))).toEqual(['id.json']);
  });

  test('are never overwritten', async () => {
    const file = path.join(directory, 'id.json');
    const key = generateWalletKey();
    await writeKeyFile(file, key);
    await expect(writeKeyFile(file, generateWalletKey())).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(walletAddress(await readKeyFile(file))).toBe(walletAddress(key));
    expect(await readdir(directory)).toEqual(['id.json']);
  });

  test.each([0o640, 0o604, 0o660])('with mode %o are refused', async (mode) => {
    const file = path.join(directory, 'id.json');
    await writeKeyFile(file, generateWalletKey());
    await chmod(file, mode);
    await expect(readKeyFile(file)).rejects.toMatchObject({ code: 'KEY_FILE_UNSAFE' });
  });

  test('that are missing, or are not keys, are told apart without quoting them', async () => {
    await expect(readKeyFile(path.join(directory, 'none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    const secret = [...generateWalletKey().secretKey];
    const spoiled = [
      'no JSON',
      '{}',
      '[]',
      JSON.stringify(secret.slice(1)),
      JSON.stringify([...secret.slice(0, 63), 256]),
      JSON.stringify([...secret.slice(0, 63), 'x']),
      // The public half belongs to another key.
      JSON.stringify([...secret.slice(0, 32), ...generateWalletKey().publicKey.toBytes()]),
      `[${'1,'.repeat(2000)}1]`,
    ];
    for (const [index, text] of spoiled.entries()) {
      const file = path.join(directory, `${index}.json`);
      await writeFile(file, text, { mode: 0o600 });
      const error: unknown = await readKeyFile(file).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'INVALID_ENCODING' });
      expect(String(error)).not.toContain(String(secret[0]) + ',' + String(secret[1]));
    }
  });
});

describe('other forms', () => {
  test('base58 is what browser wallets export', () => {
    const key = generateWalletKey();
    const text = bs58.encode(key.secretKey);
    expect(walletAddress(walletKeyFromBase58(text))).toBe(walletAddress(key));
    for (const wrong of ['', 'abc', text.slice(1), `${text}1`, text.replace(/^./, '0')]) {
      expect(() => walletKeyFromBase58(wrong)).toThrow(expect.objectContaining({ code: 'INVALID_ENCODING' }));
    }
  });

  test('a seed and a label give the same key everywhere', () => {
    const known = walletAddress(walletKeyFromSeed('seed', 'relay-1'));
    expect(known).toBe(walletAddress(walletKeyFromSeed('seed', 'relay-1')));
    expect(known).not.toBe(walletAddress(walletKeyFromSeed('seed', 'relay-2')));
    expect(known).not.toBe(walletAddress(walletKeyFromSeed('seeds', 'relay-1')));
    expect(known).toMatchInlineSnapshot(`"Dc2CWcdQAjJdA1C77EXUiZToetx1jGc4LoDVT4P48orZ"`);
  });
});

/** What of the wallets' part needs no browser: the text that is signed, and a page that a server makes. */
import { expect, it } from 'vitest';
import { onWallets, signInText, wallets } from '../../sdk/wallet/index.ts';

const ADDRESS = 'FYpB58cLw5cwiN763ayB2sFT8HLF2MRUBbbyRgHYiRpK';

it('the text is that of Sign-In-With-Solana, with all fields in their order', () => {
  const input = {
    requestId: 'interaction1',
    domain: 'localhost:8409',
    statement: 'Sign in to demo.web3. This costs nothing.',
    resources: ['https://example.org/a', 'https://example.org/b'],
    uri: 'http://localhost:8409/',
    version: '1',
    chainId: 'localnet',
    nonce: 'a1b2c3d4e5f6',
    notBefore: '2026-11-26T10:00:00.000Z',
    issuedAt: '2026-11-26T10:00:00.000Z',
    expirationTime: '2026-11-26T10:05:00.000Z',
  };
  expect(signInText(input, ADDRESS)).toBe(`localhost:8409 wants you to sign in with your Solana account:
${ADDRESS}

Sign in to demo.web3. This costs nothing.

URI: http://localhost:8409/
Version: 1
Chain ID: localnet
Nonce: a1b2c3d4e5f6
Issued At: 2026-11-26T10:00:00.000Z
Expiration Time: 2026-11-26T10:05:00.000Z
Not Before: 2026-11-26T10:00:00.000Z
Request ID: interaction1
Resources:
- https://example.org/a
- https://example.org/b`);
});

it.each([
  [{ domain: 'a.example' }, `a.example wants you to sign in with your Solana account:\n${ADDRESS}`],
  [
    { domain: 'a.example', nonce: '12345678' },
    `a.example wants you to sign in with your Solana account:\n${ADDRESS}\n\nNonce: 12345678`,
  ],
])('the text of %j has only what is said', (input, text) => {
  expect(signInText(input, ADDRESS)).toBe(text);
});

it('a page that a server makes has no wallets', () => {
  expect(wallets()).toEqual([]);
  const told: unknown[] = [];
  onWallets((now) => told.push(now))();
  expect(told).toEqual([[]]);
});

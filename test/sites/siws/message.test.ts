/** What a challenge says (S1, S2, S4 .. S7, B4), and the text that wallets sign (S3): against texts and a grammar written from the specification. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../../core/codec.ts';
import { delegateFromSeed } from '../../../ledger/receipt/index.ts';
import { createChallenge, formsOf, memoTransaction, messageOf } from '../../../sites/siws/index.ts';
import type { Challenge, SolanaChain } from '../../../sites/siws/index.ts';
import { HeldClock } from '../../clock.ts';
import { SEED_TITLE, TEST_SEED } from '../../chance.ts';
import { ISSUED, challengeWith, wallet } from './kit.ts';

const SIGNER = delegateFromSeed(new Uint8Array(32).fill(7));

/** The grammar of github.com/phantom/sign-in-with-solana and of RFC 3986, rule by rule, as far as our messages use it. */
const UNRESERVED = 'A-Za-z0-9\\-._~';
const SUB_DELIMS = "!$&'()*+,;=";
const PCHAR = `[${UNRESERVED}${SUB_DELIMS}:@]`;
const AUTHORITY = `(?:\\[[0-9a-f:]+\\]|[${UNRESERVED}]+)(?::[0-9]+)?`;
const DATE_TIME = '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]+)?Z';
const GRAMMAR = new RegExp(
  [
    `^${AUTHORITY} wants you to sign in with your Solana account:\n`,
    '[1-9A-HJ-NP-Za-km-z]{32,44}',
    `\n\n[${UNRESERVED}${SUB_DELIMS}:/?#[\\]@ ]+`,
    `\n\nURI: https?://${AUTHORITY}(?:/${PCHAR}*)*`,
    '\nVersion: 1',
    '\nChain ID: (?:mainnet|testnet|devnet|localnet|solana:mainnet|solana:testnet|solana:devnet)',
    '\nNonce: [A-Za-z0-9]{8,}',
    `\nIssued At: ${DATE_TIME}`,
    `\nExpiration Time: ${DATE_TIME}`,
    `\nRequest ID: ${PCHAR}+$`,
  ].join(''),
);

const FIXED: Challenge = {
  domain: 'id.example:8443',
  uri: 'https://id.example:8443/sso',
  statement: "Sign in to 'https://news.example'. This only signs you in and moves no money.",
  version: '1',
  chainId: 'solana:devnet',
  nonce: '00112233445566778899aabbccddeeff',
  issuedAt: '2026-11-29T02:30:00.000Z',
  expirationTime: '2026-11-29T02:35:00.000Z',
  requestId: 'V1StGXR8_Z5jdHi6B-myT',
};

const GOLDEN = `id.example:8443 wants you to sign in with your Solana account:
GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB

Sign in to 'https://news.example'. This only signs you in and moves no money.

URI: https://id.example:8443/sso
Version: 1
Chain ID: solana:devnet
Nonce: 00112233445566778899aabbccddeeff
Issued At: 2026-11-29T02:30:00.000Z
Expiration Time: 2026-11-29T02:35:00.000Z
Request ID: V1StGXR8_Z5jdHi6B-myT`;

describe('docs/sign-in.md', () => {
  it('shows the text, and the bytes of each form', async () => {
    const doc = await readFile(new URL('../../../docs/sign-in.md', import.meta.url), 'utf8');
    expect(doc).toContain(`\n${GOLDEN}\n`);
    const rows = [...doc.matchAll(/^\| ([a-z0-9-]+)[^|]*\| (\d+) +\| `([0-9a-f]{64})` \|$/gm)].map((row) =>
      row.slice(1),
    );
    const forms = formsOf(FIXED, SIGNER.address).map(({ form, bytes }) => [
      form,
      String(bytes.length),
      createHash('sha256').update(bytes).digest('hex'),
    ]);
    expect(rows).toEqual(forms);
    expect(doc).toContain(toHex(SIGNER.sign(utf8(GOLDEN))));
  });
});

describe('S1: the nonce', () => {
  it('is made here: 128 bits, letters and digits, another one each time, all bits of it by chance', () => {
    const nonces = Array.from({ length: 500 }, () => challengeWith().nonce);
    expect(nonces.filter((nonce) => !/^[0-9a-f]{32}$/.test(nonce))).toEqual([]);
    expect(new Set(nonces).size).toBe(nonces.length);
    const values = nonces.map((nonce) => BigInt(`0x${nonce}`));
    const constant = Array.from({ length: 128 }, (_, bit) => {
      const ones = values.filter((value) => ((value >> BigInt(bit)) & 1n) === 1n).length;
      return ones < 125 || ones > 375;
    });
    expect(constant).not.toContain(true);
  });

  it('stands in the text once, on its own line', () => {
    const challenge = challengeWith();
    const lines = messageOf(challenge, SIGNER.address).split('\n');
    expect(lines.filter((line) => line.includes(challenge.nonce))).toEqual([`Nonce: ${challenge.nonce}`]);
  });
});

describe('S2: a challenge', () => {
  it('is made before anybody says which wallet comes, and is for whichever comes', () => {
    const challenge = challengeWith();
    const [one, other] = [wallet(), wallet()];
    expect(JSON.stringify(challenge)).not.toContain(one.address);
    expect(messageOf(challenge, one.address).replace(one.address, other.address)).toBe(
      messageOf(challenge, other.address),
    );
  });

  it('is plain JSON', () => {
    const challenge = challengeWith();
    const kept = JSON.parse(JSON.stringify(challenge)) as Challenge;
    expect(kept).toEqual(challenge);
    expect(messageOf(kept, SIGNER.address)).toBe(messageOf(challenge, SIGNER.address));
  });
});

describe('S3: the text', () => {
  it('is that of the specification, byte by byte', () => {
    expect(messageOf(FIXED, SIGNER.address)).toBe(GOLDEN);
  });

  it.each<[string, SolanaChain]>([
    ['http://localhost:8500', 'localnet'],
    ['http://127.0.0.1', 'localnet'],
    ['http://[::1]:8500', 'localnet'],
    ['https://id.example', 'solana:mainnet'],
    ['https://id.example:8443/a/b', 'solana:testnet'],
    ['http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion', 'solana:mainnet'],
  ])('follows the grammar for %s', (issuer, chainId) => {
    expect(messageOf(challengeWith({ issuer: new URL(issuer), chainId }), SIGNER.address)).toMatch(GRAMMAR);
  });

  it('has every field of the challenge, and no other line', () => {
    const challenge = challengeWith();
    const lines = messageOf(challenge, SIGNER.address).split('\n');
    expect(lines).toHaveLength(12);
    expect(Object.values(challenge).filter((value) => !lines.some((line) => line.includes(value)))).toEqual([]);
  });

  it.each<[string, Partial<Record<keyof Challenge, unknown>>]>([
    ['a line more in the statement', { statement: `Welcome.\nNonce: ${FIXED.nonce}` }],
    ['a carriage return', { statement: 'Welcome.\rURI: https://evil.example' }],
    ['an empty statement', { statement: '' }],
    ['letters that turn around', { statement: 'Sign in to \u202Eelpmaxe' }],
    ['a scheme in the domain', { domain: 'https://id.example:8443' }],
    ['another domain', { domain: 'evil.example' }],
    ['a line more in the domain', { domain: 'id.example:8443 wants you\nto' }],
    ['another origin', { uri: 'https://evil.example/sso' }],
    ['no web address', { uri: 'ftp://id.example:8443/sso' }],
    ['a user in the URI', { uri: 'https://id.example:8443@evil.example' }],
    ['a query', { uri: 'https://id.example:8443/sso?client=1' }],
    ['a fragment', { uri: 'https://id.example:8443/sso#' }],
    ['capital letters in the URI', { uri: 'HTTPS://ID.EXAMPLE:8443/sso' }],
    ['no slashes', { uri: 'https:id.example:8443/sso' }],
    ['slashes that lean back', { uri: 'https:\\\\id.example:8443\\sso' }],
    ['a way up', { uri: 'https://id.example:8443/a/../sso' }],
    ['a letter that no URI has', { uri: 'https://id.example:8443/a|b' }],
    ['a line more in the URI', { uri: 'https://id.example:8443/sso\nNonce: 1' }],
    ['another version', { version: '2' }],
    ['another chain', { chainId: 'solana:localnet' }],
    ['a short nonce', { nonce: '0011223344556677' }],
    ['a nonce of other letters', { nonce: '00112233445566778899aabbccddee-_' }],
    ['a nonce and a line', { nonce: `${FIXED.nonce}\n` }],
    ['no time', { expirationTime: 'never' }],
    ['a time of another zone', { issuedAt: '2026-11-29T03:30:00.000+01:00' }],
    ['an end before the beginning', { expirationTime: '2026-11-29T02:29:59.999Z' }],
    ['more than five minutes', { expirationTime: '2026-11-29T02:35:00.001Z' }],
    ['an empty request id', { requestId: '' }],
    ['a line more in the request id', { requestId: 'a\nResources:\n- https://evil.example' }],
    ['a long request id', { requestId: 'a'.repeat(129) }],
    ['a long path', { uri: `https://id.example:8443/${'a'.repeat(1024)}` }],
    ...Object.keys(FIXED).map((field): [string, Partial<Record<keyof Challenge, unknown>>] => [
      `no ${field}`,
      { [field]: undefined },
    ]),
    ...Object.keys(FIXED).map((field): [string, Partial<Record<keyof Challenge, unknown>>] => [
      `a list as ${field}`,
      { [field]: [FIXED[field as keyof Challenge]] },
    ]),
  ])('is not written for what no store was given: %s', (_, change) => {
    const damaged = { ...FIXED, ...change } as Challenge;
    const refused = expect.objectContaining({
      code: 'SIGN_IN_REFUSED',
      details: expect.objectContaining({ reason: 'challenge' }),
    });
    expect(() => messageOf(damaged, SIGNER.address)).toThrow(refused);
    expect(() => formsOf(damaged, SIGNER.address)).toThrow(refused);
    expect(() => memoTransaction(damaged, SIGNER.address)).toThrow(refused);
  });

  it.each([
    ['nothing', ''],
    ['31 bytes', '1'.repeat(31)],
    ['33 bytes', '1'.repeat(33)],
    ['no base58', `0${SIGNER.address.slice(1)}`],
    ['a space before', ` ${SIGNER.address}`],
    ['a line end behind', `${SIGNER.address}\n`],
    ['a zero byte before', `1${SIGNER.address}`],
    ['a kilobyte', 'z'.repeat(1024)],
  ])('is not written for %s as an address', (_, address) => {
    expect(() => messageOf(challengeWith(), address)).toThrow(
      expect.objectContaining({ code: 'SIGN_IN_REFUSED', details: { reason: 'address' } }),
    );
  });
});

describe('S4, B4: domain and URI', () => {
  it.each([
    ['http://localhost:8500', 'localhost:8500', 'http://localhost:8500'],
    ['http://localhost:80', 'localhost', 'http://localhost'],
    ['http://127.0.0.1:8500/', '127.0.0.1:8500', 'http://127.0.0.1:8500'],
    ['https://id.example', 'id.example', 'https://id.example'],
    ['https://ID.Example:443/', 'id.example', 'https://id.example'],
    ['https://id.example:8443/sso', 'id.example:8443', 'https://id.example:8443/sso'],
    ['http://[::1]:8500', '[::1]:8500', 'http://[::1]:8500'],
    ['http://[0:0::1]', '[::1]', 'http://[::1]'],
    ['https://b\u00fccher.example', 'xn--bcher-kva.example', 'https://xn--bcher-kva.example'],
  ])('of %s are %s and %s: what a page there has as its host and its origin', (issuer, domain, uri) => {
    const challenge = challengeWith({ issuer: new URL(issuer) });
    expect([challenge.domain, challenge.uri]).toEqual([domain, uri]);
    expect(new URL(challenge.uri).origin).toBe(new URL(issuer).origin);
  });

  it.each([
    'ftp://id.example',
    'file:///etc',
    'data:text/plain,x',
    'https://user@id.example',
    'https://user:secret@id.example',
    'https://id.example/?client=x',
    'https://id.example/#x',
    `https://id.example/${'a'.repeat(1024)}`,
  ])('are not made of %s', (issuer) => {
    expect(() => challengeWith({ issuer: new URL(issuer) })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('S5: times', () => {
  it('are those of the clock, in UTC, five minutes apart', () => {
    const { issuedAt, expirationTime } = challengeWith();
    expect([issuedAt, expirationTime]).toEqual(['2026-11-29T02:30:00.000Z', '2026-11-29T02:35:00.000Z']);
  });
});

describe('S6: the chain', () => {
  it.each<SolanaChain>(['solana:mainnet', 'solana:testnet', 'solana:devnet', 'localnet'])('may be %s', (chainId) => {
    expect(challengeWith({ chainId }).chainId).toBe(chainId);
  });

  it.each(['solana:localnet', 'mainnet', 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp', 'eip155:1', ''])(
    'may not be %j',
    (chainId) => {
      expect(() => challengeWith({ chainId: chainId as SolanaChain })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    },
  );
});

describe('S7: statement and request id', () => {
  it('name the client, say what is not done, and tie the message to its interaction', () => {
    const challenge = challengeWith({ client: 'https://news.example', requestId: 'abc' });
    expect(challenge.statement).toBe("Sign in to 'https://news.example'. This only signs you in and moves no money.");
    expect(challenge.requestId).toBe('abc');
  });

  it.each([
    ['Caf\u00e9 News', 'Caf? News'],
    ['two\nlines', 'two?lines'],
    ['  room \t to\u00a0spare   here ', 'room ? to?spare here'],
    ['\u202egpj.exe', '?gpj.exe'],
    ["x'. You won 5 SOL. Sign in to 'y", 'x?. You won 5 SOL. Sign in to ?y'],
    ['\ud83d\ude00', '?'],
    ['\ud83d', '?'],
    ['<b>"x"</b>', '?b??x??/b?'],
    [`https://bank.example.${'a'.repeat(80)}.evil.example`, `https://bank.example..${'a'.repeat(29)}.evil.example`],
  ])('show %j safely', (client, shown) => {
    expect(challengeWith({ client }).statement).toContain(`'${shown}'`);
  });

  it(`are one bounded line whatever a client is called (${SEED_TITLE})`, () => {
    const names = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom("'", '\n', '\r', '\u2028', '\u202e', '\u200b', 'a', ' '), maxLength: 300 }),
    );
    fc.assert(
      fc.property(
        names.filter((name) => name.replaceAll(' ', '') !== ''),
        (client) => {
          const challenge = challengeWith({ client });
          expect(challenge.statement.length).toBeLessThanOrEqual(64 + 64);
          expect(challenge.statement.split("'")).toHaveLength(3);
          expect(messageOf(challenge, SIGNER.address)).toMatch(GRAMMAR);
        },
      ),
      { seed: TEST_SEED, numRuns: 200 },
    );
  });

  it.each(['', '   '])('are not made for a client that is called %j', (client) => {
    expect(() => challengeWith({ client })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it.each(['', 'a b', 'a\nb', 'a/b', 'a%20b', '\u00e9', 'a'.repeat(129)])('have no request id %j', (requestId) => {
    expect(() => challengeWith({ requestId })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('take the whole of the letters that the grammar has', () => {
    const requestId = "aZ09-._~!$&'()*+,;=:@";
    const clock = new HeldClock(ISSUED);
    const issuer = new URL('https://id.example');
    expect(createChallenge({ issuer, client: 'x', chainId: 'localnet', requestId, clock }).requestId).toBe(requestId);
  });
});

/** B5: messages that are nearly ours, each signed by the wallet. None signs in. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../core/codec.ts';
import { unixMillis } from '../../../core/units.ts';
import { delegateFromSeed } from '../../../ledger/receipt/index.ts';
import { formsOf, messageOf } from '../../../sites/siws/index.ts';
import type { SignedForm } from '../../../sites/siws/index.ts';
import { SEED_TITLE, TEST_SEED } from '../../chance.ts';
import { FORMS, ISSUED, OTHER_FORMAT, SOON, challengeWith, describeFlip, flipped, isLetIn, wrapped } from './kit.ts';

const MUTANTS = 10_000;
const SIGNER = delegateFromSeed(new Uint8Array(32).fill(7));
const OTHER = delegateFromSeed(new Uint8Array(32).fill(8));
/** Of the text: domain, address, two empty ones and the statement between them, seven fields. */
const LINES = 12;
const STATEMENT_AT = 3;
const line = fc.nat({ max: LINES - 1 });
const APPENDED: readonly string[] = [
  'Not Before: 2026-11-29T02:30:00.000Z',
  'Expiration Time: 2027-11-29T02:30:00.000Z',
  'Issued At: 2026-11-29T02:30:00.000Z',
  'Nonce: 00000000000000000000000000000000',
  'Chain ID: solana:mainnet',
  'URI: https://evil.example',
  'Request ID: another',
  'Version: 1',
  'Resources:',
  'Resources:\n- https://evil.example',
  '',
];

/** Another line in the place of that one, if an earlier change left it. */
const put = (lines: readonly string[], at: number, text: string): readonly string[] =>
  at in lines ? lines.with(at, text) : lines;

/** Changes a text line by line. */
type Change = (lines: readonly string[]) => readonly string[];

const CHANGES: readonly fc.Arbitrary<Change>[] = [
  // a field dropped
  line.map(
    (at): Change =>
      (lines) =>
        lines.toSpliced(at, 1),
  ),
  // a field twice
  fc.tuple(line, line).map(
    ([from, to]): Change =>
      (lines) =>
        lines.toSpliced(to, 0, lines[from] ?? ''),
  ),
  // two fields in each other's place
  fc.tuple(line, line).map(
    ([one, other]): Change =>
      (lines) =>
        put(put(lines, one, lines[other] ?? ''), other, lines[one] ?? ''),
  ),
  fc.shuffledSubarray(Array.from({ length: LINES }, (_, at) => at)).map((order): Change => (lines) => {
    return order.map((at) => lines[at] ?? '');
  }),
  // a field more
  fc.tuple(fc.constantFrom(...APPENDED), fc.nat({ max: LINES })).map(
    ([field, at]): Change =>
      (lines) =>
        lines.toSpliced(at, 0, field),
  ),
  // the nonce in the statement, its own field with another one or none
  fc
    .tuple(fc.constantFrom(' ', '\n', '\n\n', '\r\n', '\u2028'), fc.boolean())
    .map(([between, isKept]): Change => (lines) => {
      const nonce = lines.find((text) => text.startsWith('Nonce: ')) ?? '';
      const hidden = put(lines, STATEMENT_AT, `${lines[STATEMENT_AT]}${between}${nonce}`);
      return isKept
        ? put(hidden, lines.indexOf(nonce), `Nonce: ${'0'.repeat(32)}`)
        : hidden.toSpliced(lines.indexOf(nonce), 1);
    }),
  // all fields in the statement, which a parser takes for the fields themselves
  fc.nat({ max: 6 }).map((count): Change => (lines) => {
    return put(lines, STATEMENT_AT, [lines[STATEMENT_AT], '', ...lines.slice(-7).slice(0, count + 1)].join('\n'));
  }),
  // another value
  fc.tuple(line, fc.string({ unit: 'grapheme', maxLength: 20 })).map(([at, text]): Change => (lines) => {
    return put(lines, at, `${(lines[at] ?? '').split(': ')[0]}: ${text}`);
  }),
  // one letter
  fc
    .tuple(line, fc.nat(), fc.string({ unit: 'grapheme', maxLength: 1 }))
    .map(([at, nth, letter]): Change => (lines) => {
      const text = lines[at] ?? '';
      const place = nth % (text.length + 1);
      return put(lines, at, text.slice(0, place) + letter + text.slice(place + 1));
    }),
  // letters of another size, line ends of another system, space around
  fc.constantFrom<Change>(
    (lines) => lines.map((text) => text.toUpperCase()),
    (lines) => lines.map((text) => text.toLowerCase()),
    (lines) => lines.map((text) => `${text}\r`),
    (lines) => lines.map((text) => `${text} `),
    (lines) => [...lines, ''],
    (lines) => ['', ...lines],
    (lines) => ['\ufeff' + (lines[0] ?? ''), ...lines.slice(1)],
    (lines) => [lines.join(' ')],
    () => [],
  ),
  // another domain, with the rest as it was
  fc
    .constantFrom('evil.example', 'localhost', 'localhost:8501', 'http://localhost:8500', 'localhost:8500.evil.example')
    .map(
      (domain): Change =>
        (lines) =>
          put(lines, 0, `${domain} wants you to sign in with your Solana account:`),
    ),
];

describe('B5: mutants', () => {
  const challenge = challengeWith();
  const text = messageOf(challenge, SIGNER.address);
  const change = fc.oneof(...CHANGES);
  const mutant = fc
    .array(change, { minLength: 1, maxLength: 3 })
    .map((changes) => changes.reduce((lines, next) => next(lines), text.split('\n') as readonly string[]).join('\n'))
    .filter((changed) => changed !== text);

  it(`of the text do not sign in, in any form: ${MUTANTS} of them (${SEED_TITLE})`, () => {
    const passed: string[] = [];
    fc.assert(
      fc.property(mutant, fc.constantFrom(...FORMS), fc.nat({ max: 1 }), (changed, form, variant) => {
        for (const bytes of sealed(form, changed).slice(variant, variant + 1)) {
          const answer = { address: SIGNER.address, signature: SIGNER.sign(bytes) };
          if (isLetIn(challenge, answer, SOON)) passed.push(`${form}: ${changed}`);
        }
      }),
      { seed: TEST_SEED, numRuns: MUTANTS },
    );
    expect(passed).toEqual([]);
  }, 600_000);

  it(`of the circumstances do not either: another key, another address, another time (${SEED_TITLE})`, () => {
    const forms = formsOf(challenge, SIGNER.address);
    const passed: string[] = [];
    fc.assert(
      fc.property(
        fc.constantFrom(...forms),
        fc.constantFrom('key', 'address', 'signed for another', 'expired', 'future'),
        fc.integer({ min: 1, max: 1e9 }),
        ({ form, bytes }, what, millis) => {
          const signature = SIGNER.sign(bytes);
          const { address } = SIGNER;
          const isIn = {
            key: () => isLetIn(challenge, { address, signature: OTHER.sign(bytes) }, SOON),
            address: () => isLetIn(challenge, { address: OTHER.address, signature }, SOON),
            'signed for another': () => {
              const theirs = formsOf(challenge, OTHER.address).find((one) => one.form === form)?.bytes ?? bytes;
              return isLetIn(challenge, { address, signature: SIGNER.sign(theirs) }, SOON);
            },
            expired: () => isLetIn(challenge, { address, signature }, unixMillis(ISSUED + 299_999 + millis)),
            future: () => isLetIn(challenge, { address, signature }, unixMillis(ISSUED - 600_000 - millis)),
          }[what]();
          if (isIn) passed.push(`${form} ${what} ${millis}`);
        },
      ),
      { seed: TEST_SEED, numRuns: 2000 },
    );
    expect(passed).toEqual([]);
  }, 600_000);

  it('of the bytes do not: each bit of each form', () => {
    const passed = formsOf(challenge, SIGNER.address).flatMap(({ form, bytes }) =>
      Array.from({ length: bytes.length * 8 }, (_, at) => ({ at: at >> 3, bit: at & 7 }))
        .filter(({ at, bit }) => {
          const signature = SIGNER.sign(flipped(bytes, at, bit));
          return isLetIn(challenge, { address: SIGNER.address, signature }, SOON);
        })
        .map(({ at, bit }) => describeFlip(form, at, bit)),
    );
    expect(passed.toSorted()).toEqual([...OTHER_FORMAT, ...OTHER_FORMAT].toSorted());
  }, 900_000);
});

/** In that form. The libraries refuse an empty text; wallets that sign one all the same sign the bare preamble. */
function sealed(form: SignedForm, text: string): readonly Uint8Array[] {
  return text === '' ? [utf8('')] : wrapped(form, text, SIGNER.address);
}

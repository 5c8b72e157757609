/** Challenges that were given out, each good for one answer, and what answers to them say. */
import { z } from 'zod';
import { utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { isName, parseName } from '../../core/name.ts';
import type { Clock } from '../../core/ports.ts';
import { unixMillis } from '../../core/units.ts';
import {
  challengeSchema,
  createChallenge,
  decodeAnswer,
  memoTransaction,
  messageOf,
  verifySignIn,
  type Challenge,
  type SolanaChain,
} from '../siws/index.ts';
import type { Directory, IssuerStore, NameHolding } from './contract.ts';
import type { Account, ProfileTenure } from './subject.ts';

/** Largest body that is read, bytes: an answer has a few hundred. */
export const MAX_BODY = 4_096;
/** Challenges that one interaction has at once: a new one for each look at the page. */
const MAX_CHALLENGES = 16;
/** Answers that one interaction takes: each costs signatures and a record. */
const MAX_ANSWERS = 32;
/** How long a look-up of a name may take before a sign-in fails. */
const LOOK_UP_MILLIS = 10_000;
/** Longer than any challenge is good. */
const TAKEN_MILLIS = 3_600_000;

export interface ChallengesOptions {
  readonly issuer: URL;
  readonly store: IssuerStore;
  readonly directory: Directory;
  readonly network: SolanaChain;
  readonly clock: Clock;
}

const answerSchema = z.strictObject({
  nonce: z.string().min(1).max(128),
  address: z.string().min(1).max(64),
  /** Of 64 bytes. */
  signature: z.union([z.base64url(), z.base64()]).refine((text) => text.length <= 88, 'too long'),
  profile: z.string().max(80).optional(),
});
const transactionSchema = answerSchema.pick({ nonce: true, address: true });
/** What a form sends that a person, or the page's script, filled in. */
export const byHandSchema: z.ZodType<{ readonly answer: string }> = z.strictObject({
  answer: z.string().max(MAX_BODY),
});
/** An interaction, or a look at the account. Nothing with which another record's key could be written. */
const namedSchema = z.strictObject({
  requestId: z.string().regex(/^(?:account:)?[\w-]{1,64}$/),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
});

export class Challenges {
  readonly #options: ChallengesOptions;

  constructor(options: ChallengesOptions) {
    this.#options = options;
  }

  /** `requestId`: what it is for; only that takes an answer. `client`: what the person recognises. @throws RelaymintError LIMIT_EXCEEDED. */
  async create(requestId: string, client: string): Promise<Challenge> {
    const { issuer, network, store, clock } = this.#options;
    const waiting = await store.keys(keyOf(requestId, ''), MAX_CHALLENGES);
    const answered = await store.keys(takenKey(keyOf(requestId, '')), MAX_ANSWERS);
    if (waiting.length >= MAX_CHALLENGES || answered.length >= MAX_ANSWERS) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'There were too many tries to sign in.', {
        remedy: 'Wait five minutes, or begin again at the site.',
      });
    }
    const challenge = createChallenge({ issuer, client, chainId: network, requestId, clock });
    const until = unixMillis(Date.parse(challenge.expirationTime));
    await store.put(keyOf(requestId, challenge.nonce), JSON.stringify(challenge), until);
    return challenge;
  }

  /**
   * Who answered. The challenge is over with its first answer, right or wrong. `body`: an answer as JSON has it, or what a form sends.
   * @throws RelaymintError INVALID_ARGUMENT, SIGN_IN_REFUSED; what the directory throws.
   */
  async answer(requestId: string, body: unknown): Promise<Account> {
    const byHand = byHandSchema.safeParse(body);
    const answer = parsed(answerSchema, byHand.success ? decodeAnswer(byHand.data.answer) : body);
    const challenge = await this.#take(requestId, answer.nonce);
    const signature = Buffer.from(answer.signature, 'base64url');
    const { address } = verifySignIn(challenge, { address: answer.address, signature }, this.#options.clock.now());
    return { wallet: address, profile: await this.#profileOf(answer.profile?.trim() ?? '', address) };
  }

  /**
   * The same as a transaction that can never land, for a wallet that signs nothing else. The challenge waits on.
   * @throws RelaymintError INVALID_ARGUMENT, SIGN_IN_REFUSED.
   */
  async transaction(requestId: string, body: unknown): Promise<Uint8Array> {
    const { nonce, address } = parsed(transactionSchema, body);
    return memoTransaction(await this.#waiting(requestId, nonce), address);
  }

  /**
   * What a wallet with that address signs, of a challenge that is named by its interaction and nonce. The challenge waits on.
   * @throws RelaymintError INVALID_ARGUMENT, SIGN_IN_REFUSED.
   */
  async textFor(body: unknown, address: LedgerAddress): Promise<Uint8Array> {
    const { requestId, nonce } = parsed(namedSchema, body);
    return utf8(messageOf(await this.#waiting(requestId, nonce), address));
  }

  async #waiting(requestId: string, nonce: string): Promise<Challenge> {
    const kept = await this.#options.store.get(keyOf(requestId, nonce));
    if (kept === undefined) throw over();
    return challengeSchema.parse(JSON.parse(kept));
  }

  async #take(requestId: string, nonce: string): Promise<Challenge> {
    const { store, clock } = this.#options;
    const key = keyOf(requestId, nonce);
    const kept = await store.get(key);
    const isFirst = kept !== undefined && (await store.claim(takenKey(key), unixMillis(clock.now() + TAKEN_MILLIS)));
    if (!isFirst) throw over();
    await store.delete(key);
    return challengeSchema.parse(JSON.parse(kept));
  }

  async #profileOf(text: string, wallet: Account['wallet']): Promise<ProfileTenure | undefined> {
    if (text === '') return undefined;
    const holding = await this.#holdingOf(text);
    if (holding.owner !== wallet) {
      const profile = await this.#options.directory.profile(holding, AbortSignal.timeout(LOOK_UP_MILLIS));
      if (profile?.wallets.includes(wallet) !== true) {
        throw new RelaymintError('SIGN_IN_REFUSED', `${holding.name} is not a profile of this wallet.`, {
          remedy: 'Sign with the wallet that has the name, or bind this one to it: relaymint profile bind.',
        });
      }
    }
    const { name, registeredAt, transfers, owner } = holding;
    return { name, registeredAt, transfers, owner };
  }

  async #holdingOf(text: string): Promise<NameHolding> {
    const name = isName(text) ? parseName(text) : undefined;
    if (name?.tld !== 'sso') {
      throw new RelaymintError('SIGN_IN_REFUSED', 'A profile has a name such as alice.sso.', {
        remedy: 'Write its name, or leave it empty.',
      });
    }
    const holding = await this.#options.directory.holding(name.name, AbortSignal.timeout(LOOK_UP_MILLIS));
    if (holding?.isActive === true) return holding;
    throw new RelaymintError('SIGN_IN_REFUSED', `Nobody has ${name.name}.`, {
      remedy: 'Check how it is written, or register it: relaymint name register.',
    });
  }
}

/** @throws RelaymintError INVALID_ARGUMENT. */
export function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const { data, error } = schema.safeParse(body);
  if (error === undefined) return data;
  const where = error.issues[0]?.path.join('.') ?? '';
  throw new RelaymintError(
    'INVALID_ARGUMENT',
    `The answer is not as it has to be${where === '' ? '' : ` (${where})`}.`,
    {
      remedy: 'docs/sign-in.md says what belongs into it.',
    },
  );
}

function over(): RelaymintError {
  return new RelaymintError('SIGN_IN_REFUSED', 'This was signed for a request that is over.', {
    remedy: 'Sign the new one that the page shows.',
  });
}

function takenKey(key: string): string {
  return `taken:${key}`;
}

function keyOf(requestId: string, nonce: string): string {
  return `n:${requestId}:${nonce}`;
}

/** Making a challenge, and telling whether what comes out of a store is one. */
import { randomBytes } from 'node:crypto';
import { toHex } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_SIGN_IN_MESSAGE_BYTES, MAX_SIGN_IN_REQUEST_LETTERS, SIGN_IN_MILLIS } from '../../core/limits.ts';
import type { Challenge, ChallengeOptions, SolanaChain } from './contract.ts';
import { textOf } from './message.ts';
import { refusal } from './refusal.ts';
import { isStatement, statementFor } from './statement.ts';

const NONCE_BYTES = 16;
const NONCE = /^[0-9a-f]{32}$/;
const CHAINS: readonly SolanaChain[] = ['solana:mainnet', 'solana:testnet', 'solana:devnet', 'localnet'];
/** The grammar's `pchar`, without its percent signs. */
const REQUEST_ID = new RegExp(`^[A-Za-z0-9\\-._~!$&'()*+,;=:@]{1,${MAX_SIGN_IN_REQUEST_LETTERS}}$`);
/** What a URI may consist of: no field brings a line of its own. */
const URI = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;
const LONGEST_ADDRESS: string = 'z'.repeat(44);

/**
 * A challenge that nobody has seen yet. Keep it by its nonce; take it out of the store before its answer is verified, so that it is used once.
 * @throws RelaymintError INVALID_ARGUMENT
 */
export function createChallenge(options: ChallengeOptions): Challenge {
  const now = options.clock.now();
  const challenge: Challenge = {
    domain: options.issuer.host,
    uri: uriOf(options.issuer),
    statement: statementFor(options.client),
    version: '1',
    chainId: options.chainId,
    nonce: toHex(randomBytes(NONCE_BYTES)),
    issuedAt: new Date(now).toISOString(),
    expirationTime: new Date(now + SIGN_IN_MILLIS).toISOString(),
    requestId: options.requestId,
  };
  const wrong = wrongIn(challenge);
  if (wrong !== undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', `No wallet can be asked to sign in: ${wrong}.`, {
      remedy:
        'Name the issuer by an http or https address without user, query and fragment, and the interaction by a short id.',
    });
  }
  return challenge;
}

/** @throws RelaymintError SIGN_IN_REFUSED when this is no challenge that `createChallenge` made. */
export function checkChallenge(challenge: Challenge): void {
  const wrong = wrongIn(challenge);
  if (wrong !== undefined) {
    throw refusal('challenge', `What was kept of this sign-in is none of this issuer's challenges: ${wrong}.`);
  }
}

/** A store gives back what was put into it, or it is damaged: a time that is none would never expire. */
function wrongIn(challenge: Challenge): string | undefined {
  const { domain, uri, statement, version, chainId, nonce, issuedAt, expirationTime, requestId } = challenge;
  if (!areTexts(domain, uri, statement, version, chainId, nonce, issuedAt, expirationTime, requestId)) {
    return 'a field is missing';
  }
  if (!URI.test(uri) || !isIssuer(uri, domain)) return 'its URI is not an issuer at its domain';
  if (!isStatement(statement)) return 'its statement is not one plain line';
  if (version !== '1') return 'its version is not 1';
  if (!CHAINS.includes(chainId)) return 'its chain is none that the grammar knows';
  if (!NONCE.test(nonce)) return 'its nonce has not 128 bits';
  if (!isTime(issuedAt) || !isTime(expirationTime)) return 'its times are not in UTC';
  const lasts = Date.parse(expirationTime) - Date.parse(issuedAt);
  if (!(lasts > 0 && lasts <= SIGN_IN_MILLIS)) return 'it may not be signed for that long';
  if (!REQUEST_ID.test(requestId)) return 'its request id is too long, or has other letters than an id';
  if (textOf(challenge, LONGEST_ADDRESS).length > MAX_SIGN_IN_MESSAGE_BYTES) return 'its text is too long';
  return undefined;
}

function areTexts(...values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'string');
}

/** As issuers are written: without the slash of an empty path. */
function uriOf({ origin, href }: URL): string {
  return href === `${origin}/` ? origin : href;
}

/** In the one way in which URLs are written, so that no wallet reads it as another. */
function isIssuer(uri: string, domain: string): boolean {
  if (!URL.canParse(uri)) return false;
  const issuer = new URL(uri);
  const { protocol, host, href, origin, pathname } = issuer;
  return (
    ['http:', 'https:'].includes(protocol) &&
    host === domain &&
    href === `${origin}${pathname}` &&
    uri === uriOf(issuer)
  );
}

function isTime(text: string): boolean {
  const millis = Date.parse(text);
  return Number.isFinite(millis) && new Date(millis).toISOString() === text;
}

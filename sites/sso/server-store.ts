/** What the stores on servers have in common: where they are, for whom they keep, and what their failures mean. */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { deadline } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { UnixMillis } from '../../core/units.ts';
import type { IssuerStore } from './contract.ts';
import type { StoreConnect } from './late-socket.ts';

/** A connection is there by then, and an answer, or the server counts as away. */
export const SERVER_MILLIS = 10_000;
/** How often records whose time is over are deleted. */
export const SWEEP_MILLIS: number = 10 * 60_000;
/** Sorts after every key, which are printable ASCII. */
export const AFTER_ALL = '\u007f';
/** Secrets of an issuer last as long as it does. */
const FINGERPRINT_MILLIS = 20 * 365 * 24 * 3_600_000;
const FINGERPRINTS = 'secrets:';

export interface ServerStoreOptions {
  /** One server keeps the records of several issuers, each under its own id. */
  readonly issuer: URL;
  /** By the transport policy. */
  readonly connect: StoreConnect;
  readonly clock: Clock;
  readonly log: Log;
}

/** The same as in the name of the issuer's secrets file. */
export function idOf(issuer: URL): string {
  return createHash('sha256').update(issuer.href).digest('hex').slice(0, 16);
}

/** Where it is, without who asks for it: this may be shown. */
export function placeOf({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}

/** IPv6 without its brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

export async function open(
  url: URL,
  standardPort: number,
  connect: StoreConnect,
  closing: AbortSignal,
): Promise<Duplex> {
  using limit = deadline(SERVER_MILLIS, `Connecting to ${placeOf(url)}`, closing);
  const target = { host: hostOf(url), port: url.port === '' ? standardPort : Number(url.port) };
  return await connect(target, { signal: limit.signal });
}

/**
 * How long a record is to live. The server counts from when it hears of it, so only that one clock says when a record is over, for all
 * issuers alike; an issuer's own clock, right or wrong, only measures the length.
 */
export function lifeOf(until: UnixMillis, clock: Clock): number {
  return Math.ceil(until - clock.now());
}

/** The server is not there, or not any more. Libraries' errors carry what was sent, passwords and records: only their words are kept. */
export function away(url: URL, error: unknown): RelaymintError {
  if (isRelaymintError(error, 'POLICY_REFUSED', 'NO_TRANSPORT', 'CLOSED')) return error;
  return new RelaymintError('CONNECTION_LOST', `The sign-in records at ${placeOf(url)} are away: ${wordsOf(error)}`, {
    remedy: 'See that the server runs and lets this machine in; the issuer connects again by itself.',
  });
}

function wordsOf(error: unknown): string {
  const words = messageOf(error).trim();
  const text = words === '' && error instanceof Error && 'code' in error ? String(error.code) : words;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * Issuers that share a store share their secrets: with others the same person would be somebody else, and cookies of one be refused by the
 * other. The first one leaves a fingerprint. @throws RelaymintError INVALID_CONFIG when it is another's.
 */
export async function assertSameSecrets(store: IssuerStore, subjects: Uint8Array, clock: Clock): Promise<void> {
  const own =
    FINGERPRINTS + createHash('sha256').update('relaymint:sso:secrets:v1').update(subjects).digest('base64url');
  await assertNone(store, own);
  await store.put(own, '', (clock.now() + FINGERPRINT_MILLIS) as UnixMillis);
  try {
    // Two that begin at once see each other here, if not before.
    await assertNone(store, own);
  } catch (error) {
    await store.delete(own);
    throw error;
  }
}

async function assertNone(store: IssuerStore, own: string): Promise<void> {
  const kept = await store.keys(FINGERPRINTS, 2);
  if (kept.every((key) => key === own)) return;
  throw new RelaymintError('INVALID_CONFIG', 'The records in this store belong to an issuer with other secrets.', {
    remedy: "Copy sso-*.json from the first instance's data folder into this one's.",
  });
}

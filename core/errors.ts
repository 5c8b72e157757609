/**
 * Every error that Relaymint raises on purpose carries one of these stable codes, so that scripts and other nodes
 * can act on it without reading prose. A code is never renamed or reused.
 */
export type ErrorCode =
  // input and configuration
  | 'INVALID_ARGUMENT'
  | 'INVALID_CONFIG'
  /** The settings together would reveal what one of them hides. */
  | 'UNSAFE_CONFIG'
  | 'INVALID_ENCODING'
  | 'LIMIT_EXCEEDED'
  | 'FILE_EXISTS'
  | 'FILE_IN_USE'
  | 'FILE_NOT_FOUND'
  | 'KEY_FILE_UNSAFE'
  | 'STORAGE_FAILED'
  | 'STORAGE_FULL'
  // transport and link
  | 'ADDRESS_UNSUPPORTED'
  /** Somebody listens there already: a port, a name or a destination. */
  | 'ADDRESS_IN_USE'
  | 'CONNECTION_REFUSED'
  | 'CONNECTION_LOST'
  | 'POLICY_REFUSED'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'CLOSED'
  | 'PEER_IDENTITY_MISMATCH'
  | 'PROTOCOL_VIOLATION'
  | 'FRAME_TOO_LONG'
  | 'FRAME_RATE_EXCEEDED'
  | 'VERSION_UNSUPPORTED'
  | 'NO_TRANSPORT'
  // anonymizing networks
  | 'PROGRAM_MISSING'
  | 'TOR_NOT_RUNNING'
  /** Something was found that may be tor, and nobody said that it is. */
  | 'TOR_NOT_TRUSTED'
  | 'TOR_CONTROL_FAILED'
  | 'TOR_BOOTSTRAP_FAILED'
  | 'TOR_CIRCUIT_FAILED'
  | 'ONION_UNREACHABLE'
  | 'SOCKS_FAILED'
  | 'I2P_NOT_RUNNING'
  | 'I2P_FAILED'
  | 'I2P_UNREACHABLE'
  // circuit and stream
  | 'CIRCUIT_REFUSED'
  | 'CIRCUIT_DESTROYED'
  | 'CIRCUIT_TAMPERED'
  | 'STREAM_REFUSED'
  | 'STREAM_RESET'
  | 'NO_ROUTE'
  // money
  | 'METER_DISAGREEMENT'
  | 'WINDOW_EXHAUSTED'
  | 'PRICE_TOO_LOW'
  | 'GRANT_EXCEEDED'
  | 'ALLOWANCE_EXHAUSTED'
  /** More than we are willing to pay. */
  | 'PRICE_TOO_HIGH'
  /** A spending limit of ours is reached. */
  | 'BUDGET_EXHAUSTED'
  /** A person stopped what a site may spend. */
  | 'BUDGET_STOPPED'
  | 'RECEIPT_INVALID'
  | 'RECEIPT_NOT_NEWER'
  | 'CHANNEL_UNKNOWN'
  | 'CHANNEL_CLOSING'
  | 'DEPOSIT_EXHAUSTED'
  | 'INSUFFICIENT_FUNDS'
  | 'LEDGER_UNREACHABLE'
  | 'LEDGER_REJECTED'
  | 'PROGRAM_ERROR'
  /** What a visitor gave as payment pays nothing, or not what was asked. */
  | 'PAYMENT_INVALID'
  // signing in
  /** A wallet, or who holds it, did not do what a page asked for. */
  | 'WALLET_REFUSED'
  // content and names
  | 'NAME_INVALID'
  | 'NAME_TAKEN'
  | 'NAME_UNKNOWN'
  | 'NAME_EXPIRED'
  | 'CONTENT_NOT_FOUND'
  | 'CONTENT_CORRUPT'
  | 'CONTENT_REFUSED'
  /** A name's manifest is missing where one has to be, malformed, or not signed by who has the name: what it is about is not shown. */
  | 'MANIFEST_INVALID'
  /** An update or a post is malformed, or not signed by who has the name that it is said to be from. */
  | 'ENTRY_INVALID'
  /** A newer one is known, or its time is over. */
  | 'ENTRY_STALE'
  /** A profile is malformed, lists a wallet that did not say so, or is not that of who has the name now. */
  | 'PROFILE_INVALID'
  /** A newer one of the same owner is known. */
  | 'PROFILE_STALE'
  /** It was asked for only if it is here already. */
  | 'NOT_CACHED'
  /** There is no such form of the content: blocks of another codec, a record. */
  | 'NOT_ACCEPTABLE'
  /** A site's `_redirects` breaks the rules of that file. */
  | 'REDIRECTS_INVALID'
  /** Its owner does not let this page show it. */
  | 'EMBEDDING_REFUSED'
  /** A site's `_headers` breaks the rules of that file. */
  | 'HEADERS_INVALID'
  // signing in
  /** Who wants to sign in has not shown, in time, that the wallet's key is theirs. */
  | 'SIGN_IN_REFUSED'
  // a fault of ours
  | 'INTERNAL';

export interface RelaymintErrorOptions {
  /** What the reader can do about it, one sentence. Appended to the message. */
  readonly remedy?: string;
  /** The error that led to this one. */
  readonly cause?: unknown;
  /** Figures for scripts; never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** An expected failure. A programmer's mistake stays a TypeError or RangeError. */
export class RelaymintError extends Error {
  override readonly name: string = 'RelaymintError';
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: RelaymintErrorOptions = {}) {
    super(
      options.remedy === undefined ? message : `${message} ${options.remedy}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.remedy = options.remedy;
    this.details = options.details ?? {};
  }
}

/** PROTOCOL_VIOLATION: the other end did something that the protocol does not allow. `message` is a sentence. */
export function violation(
  message: string,
  remedy: string = 'The nodes may run different versions.',
  cause?: unknown,
): RelaymintError {
  return new RelaymintError('PROTOCOL_VIOLATION', message, { remedy, cause });
}

/** The same, for something that a peer sent: "a second hello". */
export function sentAmiss(what: string): RelaymintError {
  return violation(`The peer sent ${what}.`);
}

/** True when `error` is a RelaymintError, optionally with one of the given codes. */
export function isRelaymintError(error: unknown, ...codes: readonly ErrorCode[]): error is RelaymintError {
  return error instanceof RelaymintError && (codes.length === 0 || codes.includes(error.code));
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

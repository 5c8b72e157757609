// index.d.ts

//#region core/name.d.ts
/** Endings that the program registers. `.video` and `.map` exist in public DNS too: never claim them there as a whole. */
type Tld = "web3" | "sso" | "image" | "video" | "map" | "route";
declare const TLDS: readonly Tld[];
/** A name in its parts. */
interface ParsedName {
  /** `news.web3` */
  readonly name: string;
  /** `news` */
  readonly label: string;
  /** `web3` */
  readonly tld: Tld;
}
/** Splits and checks a name; upper-case letters are lowered. @throws RelaymintError NAME_INVALID saying which rule it breaks. */
declare function parseName(text: string): ParsedName;
/** True when `parseName` would accept the text. */
declare function isName(text: string): boolean;
/** `my-site.web3` -> `my--site-web3`: one host label, so that no two sites share cookies. @throws RelaymintError NAME_INVALID. */
declare function inlineName(name: string): string;
/** `my--site-web3` -> `my-site.web3`. @throws RelaymintError NAME_INVALID. */
declare function uninlineName(hostLabel: string): string;
/** Where a gateway on this machine shows a site: `http://demo-web3.localhost:8402/`. @throws RelaymintError NAME_INVALID. */
declare function siteUrl(name: string, port: number): string;
/**
* The name that a host name below a gateway's domain stands for; undefined when it is not a site's address.
* @param domain in lower case. Default: that of a gateway on this machine.
*/
declare function nameOfHost(host: string, domain?: string): string | undefined;
/**
* Like `parseName`, for a name that is going to be registered: refuses what the chain accepts and no browser opens.
* @throws RelaymintError NAME_INVALID.
*/
declare function parseNewName(text: string): ParsedName;
/**
* False for the few names that the chain accepts and no browser opens: inlined they begin with `xn--`, which every URL
* parser takes for an internationalized host name and refuses. Check it before registering.
*/
declare function opensInBrowsers(name: string): boolean;
//#endregion
//#region core/errors.d.ts
/**
* Every error that Relaymint raises on purpose carries one of these stable codes, so that scripts and other nodes
* can act on it without reading prose. A code is never renamed or reused.
*/
type ErrorCode = "INVALID_ARGUMENT" | "INVALID_CONFIG" | "UNSAFE_CONFIG" | "INVALID_ENCODING" | "LIMIT_EXCEEDED" | "FILE_EXISTS" | "FILE_IN_USE" | "FILE_NOT_FOUND" | "KEY_FILE_UNSAFE" | "STORAGE_FAILED" | "STORAGE_FULL" | "ADDRESS_UNSUPPORTED" | "ADDRESS_IN_USE" | "CONNECTION_REFUSED" | "CONNECTION_LOST" | "POLICY_REFUSED" | "TIMEOUT" | "ABORTED" | "CLOSED" | "PEER_IDENTITY_MISMATCH" | "PROTOCOL_VIOLATION" | "FRAME_TOO_LONG" | "FRAME_RATE_EXCEEDED" | "VERSION_UNSUPPORTED" | "NO_TRANSPORT" | "PROGRAM_MISSING" | "TOR_NOT_RUNNING" | "TOR_NOT_TRUSTED" | "TOR_CONTROL_FAILED" | "TOR_BOOTSTRAP_FAILED" | "TOR_CIRCUIT_FAILED" | "ONION_UNREACHABLE" | "SOCKS_FAILED" | "I2P_NOT_RUNNING" | "I2P_FAILED" | "I2P_UNREACHABLE" | "CIRCUIT_REFUSED" | "CIRCUIT_DESTROYED" | "CIRCUIT_TAMPERED" | "STREAM_REFUSED" | "STREAM_RESET" | "NO_ROUTE" | "METER_DISAGREEMENT" | "WINDOW_EXHAUSTED" | "PRICE_TOO_LOW" | "GRANT_EXCEEDED" | "ALLOWANCE_EXHAUSTED" | "PRICE_TOO_HIGH" | "BUDGET_EXHAUSTED" | "BUDGET_STOPPED" | "RECEIPT_INVALID" | "RECEIPT_NOT_NEWER" | "CHANNEL_UNKNOWN" | "CHANNEL_CLOSING" | "DEPOSIT_EXHAUSTED" | "INSUFFICIENT_FUNDS" | "LEDGER_UNREACHABLE" | "LEDGER_REJECTED" | "PROGRAM_ERROR" | "PAYMENT_INVALID" | "NAME_INVALID" | "NAME_TAKEN" | "NAME_UNKNOWN" | "NAME_EXPIRED" | "CONTENT_NOT_FOUND" | "CONTENT_CORRUPT" | "CONTENT_REFUSED" | "MANIFEST_INVALID" | "ENTRY_INVALID" | "ENTRY_STALE" | "NOT_CACHED" | "NOT_ACCEPTABLE" | "REDIRECTS_INVALID" | "EMBEDDING_REFUSED" | "HEADERS_INVALID" | "INTERNAL";
interface RelaymintErrorOptions {
  /** What the reader can do about it, one sentence. Appended to the message. */
  readonly remedy?: string;
  /** The error that led to this one. */
  readonly cause?: unknown;
  /** Figures for scripts; never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}
/** An expected failure. A programmer's mistake stays a TypeError or RangeError. */
declare class RelaymintError extends Error {
  override readonly name: string;
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  constructor(code: ErrorCode, message: string, options?: RelaymintErrorOptions);
}
/** True when `error` is a RelaymintError, optionally with one of the given codes. */
declare function isRelaymintError(error: unknown, ...codes: readonly ErrorCode[]): error is RelaymintError;
//#endregion
//#region core/units.d.ts
declare const unit: unique symbol;
type Branded<T, Name extends string> = T & {
  readonly [unit]: Name;
};
/** Base units of the credit token (1 credit = 1,000,000 base units), 0 .. 2^64-1. */
type Amount = Branded<bigint, "Amount">;
/** Base units of credit for one MiB (2^20 bytes) carried, 0 .. 2^40. */
type PricePerMiB = Branded<bigint, "PricePerMiB">;
/** "1234.5" credits -> base units. Plain decimal digits, at most six after the point. @throws RelaymintError INVALID_ARGUMENT. */
declare function parseCredits(text: string): Amount;
/** Base units -> "1234.5", exact, without trailing zeros. */
declare function formatCredits(value: Amount | PricePerMiB): string;
//#endregion
export { type Amount, type ErrorCode, type ParsedName, RelaymintError, TLDS, type Tld, formatCredits, inlineName, isName, isRelaymintError, nameOfHost, opensInBrowsers, parseCredits, parseName, parseNewName, siteUrl, uninlineName };
//# sourceMappingURL=index.d.ts.map
// client.d.ts

//#region sdk/client.d.ts
interface ClientOptions {
  /**
  * The address of a site at a gateway (`https://demo-web3.sites.example.org`), or of a gateway itself (`http://localhost:8402`).
  * Default: the address of the page.
  */
  readonly gateway?: string | URL;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Ends whatever this client does. */
  readonly signal?: AbortSignal;
}
/** Frozen data, to be given to the functions of the SDK. */
interface Client {
  /** `https://demo-web3.sites.example.org` */
  readonly origin: string;
  /** The name whose address that is: `demo.web3`. undefined at the gateway's own address. */
  readonly name: string | undefined;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
}
interface Options {
  /** Ends this call alone. */
  readonly signal?: AbortSignal | undefined;
}
/** About which name. */
interface NameOptions extends Options {
  /** Default: the name of the client's address. Others answer where their manifests let this page embed them. */
  readonly name?: string | undefined;
}
/** @throws RelaymintError INVALID_ARGUMENT without an address: outside a page, or in one that has none of http. */
declare function createClient(options?: ClientOptions): Client;
/**
* Where the client's visitors find a path of any name: at `https://news.web3` in full mode, else beside the client's own address, below
* localhost or a gateway's domain.
* @param path begins with a slash. Default `/`.
* @throws RelaymintError NAME_INVALID.
*/
declare function addressOf(client: Client, name: string, path?: string): string;
//#endregion
export { addressOf as a, Options as i, ClientOptions as n, createClient as o, NameOptions as r, Client as t };
//# sourceMappingURL=client.d.ts.map
// elements.d.ts

import { n as RelaymintError, r as isRelaymintError, t as ErrorCode } from "./errors.js";
import { t as Client } from "./client.js";

//#region sdk/elements/define.d.ts
interface ElementsOptions {
  /** Which gateway they ask. Default: one of the page's own address. */
  readonly client?: Client;
}
/**
* Makes the elements known to the page. Those that are known already stay as they are; on a server, where there is no page, nothing happens.
* @throws RelaymintError INVALID_ARGUMENT where the page has no address of http, and no client is given.
*/
declare function defineElements(options?: ElementsOptions): void;
//#endregion
export { type ElementsOptions, type ErrorCode, RelaymintError, defineElements, isRelaymintError };
//# sourceMappingURL=elements.d.ts.map
// errors.d.ts

//#region core/errors.d.ts
/**
* Every error that Relaymint raises on purpose carries one of these stable codes, so that scripts and other nodes
* can act on it without reading prose. A code is never renamed or reused.
*/
type ErrorCode = "INVALID_ARGUMENT" | "INVALID_CONFIG" | "UNSAFE_CONFIG" | "INVALID_ENCODING" | "LIMIT_EXCEEDED" | "FILE_EXISTS" | "FILE_IN_USE" | "FILE_NOT_FOUND" | "KEY_FILE_UNSAFE" | "STORAGE_FAILED" | "STORAGE_FULL" | "ADDRESS_UNSUPPORTED" | "ADDRESS_IN_USE" | "CONNECTION_REFUSED" | "CONNECTION_LOST" | "POLICY_REFUSED" | "TIMEOUT" | "ABORTED" | "CLOSED" | "PEER_IDENTITY_MISMATCH" | "PROTOCOL_VIOLATION" | "FRAME_TOO_LONG" | "FRAME_RATE_EXCEEDED" | "VERSION_UNSUPPORTED" | "NO_TRANSPORT" | "PROGRAM_MISSING" | "TOR_NOT_RUNNING" | "TOR_NOT_TRUSTED" | "TOR_CONTROL_FAILED" | "TOR_BOOTSTRAP_FAILED" | "TOR_CIRCUIT_FAILED" | "ONION_UNREACHABLE" | "SOCKS_FAILED" | "I2P_NOT_RUNNING" | "I2P_FAILED" | "I2P_UNREACHABLE" | "CIRCUIT_REFUSED" | "CIRCUIT_DESTROYED" | "CIRCUIT_TAMPERED" | "STREAM_REFUSED" | "STREAM_RESET" | "NO_ROUTE" | "METER_DISAGREEMENT" | "WINDOW_EXHAUSTED" | "PRICE_TOO_LOW" | "GRANT_EXCEEDED" | "ALLOWANCE_EXHAUSTED" | "PRICE_TOO_HIGH" | "BUDGET_EXHAUSTED" | "BUDGET_STOPPED" | "RECEIPT_INVALID" | "RECEIPT_NOT_NEWER" | "CHANNEL_UNKNOWN" | "CHANNEL_CLOSING" | "DEPOSIT_EXHAUSTED" | "INSUFFICIENT_FUNDS" | "LEDGER_UNREACHABLE" | "LEDGER_REJECTED" | "PROGRAM_ERROR" | "PAYMENT_INVALID" | "WALLET_REFUSED" | "NAME_INVALID" | "NAME_TAKEN" | "NAME_UNKNOWN" | "NAME_EXPIRED" | "CONTENT_NOT_FOUND" | "CONTENT_CORRUPT" | "CONTENT_REFUSED" | "MANIFEST_INVALID" | "ENTRY_INVALID" | "ENTRY_STALE" | "PROFILE_INVALID" | "PROFILE_STALE" | "NOT_CACHED" | "NOT_ACCEPTABLE" | "REDIRECTS_INVALID" | "EMBEDDING_REFUSED" | "HEADERS_INVALID" | "SIGN_IN_REFUSED" | "INTERNAL";
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
export { RelaymintError as n, isRelaymintError as r, ErrorCode as t };
//# sourceMappingURL=errors.d.ts.map
// index.d.ts

import { n as RelaymintError, r as isRelaymintError, t as ErrorCode } from "./errors.js";
import { a as addressOf, i as Options, n as ClientOptions, o as createClient, r as NameOptions, t as Client } from "./client.js";
import { n as formatCredits, r as parseCredits, t as Amount } from "./units.js";
import { n as SiteManifest, r as readManifest, t as LicenceTerms } from "./terms.js";

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
//#region sdk/feeds.d.ts
/** What anybody wrote: draw it with `textContent`. */
interface Post {
  readonly author: {
    /** `alice.sso` */readonly name: string; /** Who is paid for it, where it is shown. */
    readonly owner?: string;
    readonly splits?: readonly {
      readonly account: string;
      readonly bps: number;
    }[];
    readonly royaltyBps?: number;
  };
  /** With the author's name, which post it is. */
  readonly sequence: number;
  /** Milliseconds since 1970, by the author's clock. */
  readonly created: number;
  /** When it was said as it is now. */
  readonly edited?: number;
  readonly revision: number;
  readonly answers?: {
    readonly author: string;
    readonly sequence: number;
  };
  /** `hidden` and `removed` ones have no text. */
  readonly state: "shown" | "hidden" | "removed";
  readonly mediaType?: string;
  readonly text?: string;
}
/** `start`: all is told anew, forget what was told before. `post`: it is new, or changed. `gone`: its author's name is another's now. */
type PostEvent = {
  readonly kind: "start";
} | {
  readonly kind: "post";
  readonly post: Post;
} | {
  readonly kind: "gone";
  readonly author: string;
  readonly sequence: number;
};
/** What is true until it expires: where the ferry is. */
interface Update {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly expires: number;
  readonly mediaType?: string;
  readonly text?: string;
  /** Where it is no text. */
  readonly base64?: string;
}
/**
* The posts of a thread, in their order.
* @param path of the page that they are about
* @throws RelaymintError: what the gateway says; CONNECTION_LOST; PROTOCOL_VIOLATION; ABORTED.
*/
declare function readPosts(client: Client, path: string, options?: NameOptions): Promise<readonly Post[]>;
/**
* What the name says now; undefined where it says nothing, or no more.
* @throws as `readPosts`.
*/
declare function readUpdate(client: Client, options?: NameOptions): Promise<Update | undefined>;
/**
* The posts of a thread, and each change, until the loop is left or a signal ends. A connection that is lost is made again.
* @throws as `readPosts`; what was read once is asked again, unless the gateway refuses.
*/
declare function watchPosts(client: Client, path: string, options?: NameOptions): AsyncGenerator<PostEvent>;
/**
* What the name says, as it says it; undefined when that counts no more. Ends and fails as `watchPosts`.
*/
declare function watchUpdates(client: Client, options?: NameOptions): AsyncGenerator<Update | undefined>;
//#endregion
export { type Amount, type Client, type ClientOptions, type ErrorCode, type LicenceTerms, type NameOptions, type Options, type ParsedName, type Post, type PostEvent, RelaymintError, type SiteManifest, TLDS, type Tld, type Update, addressOf, createClient, formatCredits, inlineName, isName, isRelaymintError, nameOfHost, opensInBrowsers, parseCredits, parseName, parseNewName, readManifest, readPosts, readUpdate, siteUrl, uninlineName, watchPosts, watchUpdates };
//# sourceMappingURL=index.d.ts.map
// media.d.ts

import { n as RelaymintError, r as isRelaymintError, t as ErrorCode } from "./errors.js";
import { i as Options, t as Client } from "./client.js";
import { n as SiteManifest } from "./terms.js";

//#region sdk/media/ownership.d.ts
/** As a gateway verified it: signed by who has the name. Its words are anybody's: draw them with `textContent`. */
interface Ownership {
  /** The name that the address belongs to: `dawn.image`. */
  readonly name: string;
  /** Wallet address. */
  readonly owner: string;
  readonly creator: string;
  readonly title: string | undefined;
  readonly copyright: string | undefined;
  /** Without it nothing is permitted beyond looking at it. */
  readonly licence: SiteManifest["licence"];
  /** Credits per MiB that the owner asks hosts to sell it for, as decimals. */
  readonly price: string | undefined;
  /** The owner's share of what hosts earn with it, parts of 10,000. */
  readonly royaltyBps: number;
  /** What of that goes to the name whose page shows it, parts of 10,000. */
  readonly referrerBps: number;
  /** Who gets the royalty. */
  readonly splits: SiteManifest["splits"];
  /** Whose pages may show it: `none`, `anybody`, or names. */
  readonly embedding: SiteManifest["embedding"];
}
/**
* Whose it is what an address leads to; undefined where the name's owner says nothing.
* @param url of anything at the client's gateway, such as the `src` of an image; a path is one of the client's own name
* @throws RelaymintError INVALID_ARGUMENT for an address elsewhere, and as `readManifest`.
*/
declare function ownership(client: Client, url: string | URL, options?: Options): Promise<Ownership | undefined>;
//#endregion
export { type ErrorCode, type Ownership, RelaymintError, isRelaymintError, ownership };
//# sourceMappingURL=media.d.ts.map
// posts.d.ts

import { n as RelaymintError, r as isRelaymintError, t as ErrorCode } from "./errors.js";
import { i as Options, t as Client } from "./client.js";

//#region sdk/posts/permit.d.ts
interface AskToPost extends Options {
  /** The visitor's profile: `alice.sso`. */
  readonly author: string;
  /** `http://localhost:8404`. Default: the one that the gateway tells. */
  readonly issuer?: string | URL;
  /** Where the visitor comes back to: one of the manifest's `signIn.redirects`, at this page's origin. Default: this page. */
  readonly back?: string | URL;
}
/** As whom this page may post, and until when. */
interface Posting {
  readonly author: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}
/**
* Leaves the page for the issuer. Call `finishAsking` in the page that the visitor comes back to.
* @throws RelaymintError INVALID_ARGUMENT (also: the gateway tells no issuer), VERSION_UNSUPPORTED (this browser signs nothing by Ed25519), STORAGE_FAILED.
*/
declare function askToPost(client: Client, {
  author,
  issuer,
  back,
  signal
}: AskToPost): Promise<never>;
/**
* Takes what the issuer sent, and takes it out of the page's address. undefined: this page was not come to from there.
* @throws RelaymintError SIGN_IN_REFUSED (the visitor said no, or it is for another key), STORAGE_FAILED.
*/
declare function finishAsking(client: Client): Promise<Posting | undefined>;
/** undefined: nobody allowed it here, or it is over. @throws RelaymintError STORAGE_FAILED. */
declare function postingAs(client: Client): Promise<Posting | undefined>;
/** Forgets the key: nobody can post with it any more. @throws RelaymintError STORAGE_FAILED. */
declare function endPosting(client: Client): Promise<void>;
//#endregion
//#region sdk/posts/write.d.ts
/** Which post it is. */
interface PostRef {
  /** `alice.sso` */
  readonly author: string;
  readonly sequence: number;
}
interface WriteOptions extends Options {
  /** The text is Markdown. Default: plain text. */
  readonly markdown?: boolean;
  /** The post that it answers. */
  readonly answers?: PostRef;
}
/**
* Writes a post in the thread about `path`. It is there for others when this resolves.
* @throws RelaymintError SIGN_IN_REFUSED (nobody allowed it), ENTRY_INVALID, CONTENT_REFUSED (the site takes none), LIMIT_EXCEEDED,
* NO_ROUTE, CONNECTION_LOST, ABORTED.
*/
declare function writePost(client: Client, path: string, text: string, options?: WriteOptions): Promise<PostRef>;
/** Says a post of the same author in other words. @throws as `writePost`. */
declare function editPost(client: Client, path: string, sequence: number, text: string, options?: Omit<WriteOptions, "answers">): Promise<PostRef>;
/** Takes a post of the same author back. @throws as `writePost`. */
declare function removePost(client: Client, path: string, sequence: number, options?: Options): Promise<PostRef>;
//#endregion
export { type AskToPost, type ErrorCode, type PostRef, type Posting, RelaymintError, type WriteOptions, askToPost, editPost, endPosting, finishAsking, isRelaymintError, postingAs, removePost, writePost };
//# sourceMappingURL=posts.d.ts.map
// site.d.ts

import { n as RelaymintError, r as isRelaymintError, t as ErrorCode } from "./errors.js";
import { i as Options, t as Client } from "./client.js";
import { n as formatCredits, t as Amount } from "./units.js";

//#region sdk/site/name.d.ts
interface NameStatus {
  readonly name: string;
  /** `grace`: it has expired, and its owner may still renew it. `expired`: anybody may register it. */
  readonly status: "held" | "grace" | "expired";
  /** Wallet address. */
  readonly owner: string;
  /** Wallet that may publish for the owner. */
  readonly manager: string;
  /** UNIX seconds. */
  readonly registered: number;
  /** UNIX seconds; undefined: never. */
  readonly expires: number | undefined;
  /** CID of the content; undefined where there is none. */
  readonly root: string | undefined;
  /** CID of the manifest; undefined where there is none. */
  readonly manifest: string | undefined;
  /** Parts of 10,000. */
  readonly royaltyBps: number;
  /** Parts of 10,000 of the royalty. */
  readonly referrerBps: number;
}
interface Share {
  /** Wallet address. */
  readonly account: string;
  /** Parts of 10,000. */
  readonly bps: number;
  /** Divided, and not paid out yet: base units. */
  readonly owed: Amount;
}
/** In base units of credit (`formatCredits` writes them). What was served lately is not there yet: hosts settle when it is worth a fee. */
interface Revenue {
  /** All that the name ever earned. */
  readonly earned: Amount;
  /** What of it was not divided among the shares yet. */
  readonly undivided: Amount;
  readonly shares: readonly Share[];
}
/**
* Who has the name, until when, and what it points to.
* @throws RelaymintError NAME_UNKNOWN (nobody has it), NAME_INVALID, LIMIT_EXCEEDED, LEDGER_UNREACHABLE; CONNECTION_LOST; ABORTED.
*/
declare function status(client: Client, name: string, options?: Options): Promise<NameStatus>;
/**
* What the ledger says that the name earned.
* @throws as `status`.
*/
declare function revenue(client: Client, name: string, options?: Options): Promise<Revenue>;
//#endregion
export { type Amount, type ErrorCode, type NameStatus, RelaymintError, type Revenue, type Share, formatCredits, isRelaymintError, revenue, status };
//# sourceMappingURL=site.d.ts.map
// sso.d.ts

import { n as RelaymintError, r as isRelaymintError, t as ErrorCode } from "./errors.js";
import { i as Options, t as Client } from "./client.js";

//#region sdk/sso/session.d.ts
/** What the issuer says of a person: what was asked for, and allowed. */
interface Claims {
  readonly preferred_username?: string;
  readonly name?: string;
  /** The name of an image. */
  readonly picture?: string;
  readonly website?: string;
  readonly updated_at?: number;
  readonly wallet_address?: string;
  readonly wallet_did?: string;
  readonly posts_author?: string;
  readonly posts_payout?: string;
  readonly [claim: string]: unknown;
}
interface Session {
  /** A number for this person that no other site gets. */
  readonly subject: string;
  readonly claims: Claims;
  readonly issuer: string;
  /** UNIX milliseconds: for how long the issuer's word counts. */
  readonly expires: number;
  /** For the issuer's userinfo. */
  readonly accessToken?: string;
}
/** Who is signed in in this tab. undefined: nobody, or it is over; also where there is no page. */
declare function session(client: Client): Session | undefined;
//#endregion
//#region sdk/sso/flow.d.ts
/** What a site may ask to know, besides that it is the same person as before. */
type Scope = "profile" | "wallet" | "posts";
interface SignInOptions extends Options {
  /** Default: nothing more than who it is to this site. */
  readonly scope?: readonly Scope[];
  /** Default: the one that the gateway tells. */
  readonly issuer?: string | URL;
  /** Where on this site the visitor goes on then: `completeSignIn` gives it back. Default: the page that they are at. */
  readonly returnTo?: string;
}
interface SignOutOptions extends Options {
  /** A path of `signIn.signedOut` in the manifest. Default: the first, if there is one. */
  readonly returnTo?: string;
}
interface Completed extends Session {
  /** An address of this site. */
  readonly returnTo: string;
}
/**
* Goes to the issuer, with the whole page. The visitor comes back to the first path of `signIn.redirects` in the site's manifest, whose page
* calls `completeSignIn`.
* @throws RelaymintError INVALID_ARGUMENT, SIGN_IN_REFUSED, CONNECTION_LOST, ABORTED; what the gateway says.
*/
declare function signIn(client: Client, options?: SignInOptions): Promise<never>;
/**
* In the page to which the issuer sends people back: who it is. What the issuer sent goes out of the page's address.
* @param url default: the page's
* @throws RelaymintError SIGN_IN_REFUSED: the visitor did not allow it, it was answered before, or it is not the answer to what this tab asked;
* CONNECTION_LOST, PROTOCOL_VIOLATION, ABORTED.
*/
declare function completeSignIn(client: Client, url?: string | URL, options?: Options): Promise<Completed>;
/** Forgets who is signed in here, then goes to the issuer, where the person may sign out too. Does nothing where nobody is signed in. */
declare function signOut(client: Client, options?: SignOutOptions): Promise<void>;
//#endregion
//#region sdk/sso/profile.d.ts
/** As its owner signed it and the gateway verified it. All of it is public, and text of theirs. */
interface Profile {
  readonly name: string;
  readonly displayName: string;
  readonly about?: string;
  /** The name of an image. */
  readonly avatar?: string;
  readonly links: readonly {
    readonly label: string;
    readonly to: string;
  }[];
  /** Wallet addresses. */
  readonly owner: string;
  readonly payout: string;
  readonly wallets: readonly string[];
  readonly messagingKey?: string;
  /** When this owner's tenure began, UNIX seconds: with the name it says who it is. */
  readonly tenure: number;
  readonly sequence: number;
}
/**
* The profile of a name; undefined where it has none.
* @throws RelaymintError NAME_INVALID, LIMIT_EXCEEDED and whatever else the gateway says; CONNECTION_LOST; ABORTED.
*/
declare function profile(client: Client, name: string, options?: Options): Promise<Profile | undefined>;
//#endregion
export { type Claims, type Completed, type ErrorCode, type Profile, RelaymintError, type Scope, type Session, type SignInOptions, type SignOutOptions, completeSignIn, isRelaymintError, profile, session, signIn, signOut };
//# sourceMappingURL=sso.d.ts.map
// terms.d.ts

import { r as NameOptions, t as Client } from "./client.js";

//#region sdk/terms.d.ts
interface LicenceTerms {
  readonly usage: readonly string[];
  readonly user: readonly string[];
  readonly geo: readonly string[];
}
/** As a gateway verified it: signed by who has the name. */
interface SiteManifest {
  readonly version: 1;
  readonly name: string;
  /** `site`, `image`, `video`, `map` or `route`. */
  readonly kind: string;
  readonly mediaType: string;
  /** CID of the content that it is about. */
  readonly root: string;
  /** Wallet address. */
  readonly owner: string;
  readonly creator: string;
  readonly title?: string;
  readonly description?: string;
  readonly copyright?: string;
  /** In the words of RSL 1.0. Without it nothing is permitted beyond looking at it. */
  readonly licence?: {
    readonly permits: LicenceTerms;
    readonly prohibits: LicenceTerms;
    readonly payment: string;
    readonly url?: string;
  };
  /** Credits per MiB that the owner asks hosts to sell it for. */
  readonly price?: string;
  /** Parts of 10,000. */
  readonly royaltyBps: number;
  readonly referrerBps: number;
  readonly splits: readonly {
    readonly account: string;
    readonly bps: number;
  }[];
  /** Whose pages may show it: `none`, `anybody`, or names. */
  readonly embedding: string | readonly string[];
  /** `none` or `anybody`. */
  readonly comments: string;
  /** Paths to which the site's visitors come back from an issuer, signed in and signed out. Without it nobody signs in to it. */
  readonly signIn?: {
    readonly redirects: readonly string[];
    readonly signedOut: readonly string[];
  };
  /** UNIX seconds. */
  readonly created: number;
  /** CID of the manifest, and the owner's signature in hex. */
  readonly cid: string;
  readonly signature: string;
}
/**
* The manifest of a name; undefined where it has none.
* @throws RelaymintError NAME_UNKNOWN, EMBEDDING_REFUSED and whatever else the gateway says; CONNECTION_LOST; ABORTED.
*/
declare function readManifest(client: Client, options?: NameOptions): Promise<SiteManifest | undefined>;
//#endregion
export { SiteManifest as n, readManifest as r, LicenceTerms as t };
//# sourceMappingURL=terms.d.ts.map
// testing.d.ts

//#region core/errors.d.ts
/**
* Every error that Relaymint raises on purpose carries one of these stable codes, so that scripts and other nodes
* can act on it without reading prose. A code is never renamed or reused.
*/
type ErrorCode = "INVALID_ARGUMENT" | "INVALID_CONFIG" | "UNSAFE_CONFIG" | "INVALID_ENCODING" | "LIMIT_EXCEEDED" | "FILE_EXISTS" | "FILE_IN_USE" | "FILE_NOT_FOUND" | "KEY_FILE_UNSAFE" | "STORAGE_FAILED" | "STORAGE_FULL" | "ADDRESS_UNSUPPORTED" | "ADDRESS_IN_USE" | "CONNECTION_REFUSED" | "CONNECTION_LOST" | "POLICY_REFUSED" | "TIMEOUT" | "ABORTED" | "CLOSED" | "PEER_IDENTITY_MISMATCH" | "PROTOCOL_VIOLATION" | "FRAME_TOO_LONG" | "FRAME_RATE_EXCEEDED" | "VERSION_UNSUPPORTED" | "NO_TRANSPORT" | "PROGRAM_MISSING" | "TOR_NOT_RUNNING" | "TOR_NOT_TRUSTED" | "TOR_CONTROL_FAILED" | "TOR_BOOTSTRAP_FAILED" | "TOR_CIRCUIT_FAILED" | "ONION_UNREACHABLE" | "SOCKS_FAILED" | "I2P_NOT_RUNNING" | "I2P_FAILED" | "I2P_UNREACHABLE" | "CIRCUIT_REFUSED" | "CIRCUIT_DESTROYED" | "CIRCUIT_TAMPERED" | "STREAM_REFUSED" | "STREAM_RESET" | "NO_ROUTE" | "METER_DISAGREEMENT" | "WINDOW_EXHAUSTED" | "PRICE_TOO_LOW" | "GRANT_EXCEEDED" | "ALLOWANCE_EXHAUSTED" | "PRICE_TOO_HIGH" | "BUDGET_EXHAUSTED" | "BUDGET_STOPPED" | "RECEIPT_INVALID" | "RECEIPT_NOT_NEWER" | "CHANNEL_UNKNOWN" | "CHANNEL_CLOSING" | "DEPOSIT_EXHAUSTED" | "INSUFFICIENT_FUNDS" | "LEDGER_UNREACHABLE" | "LEDGER_REJECTED" | "PROGRAM_ERROR" | "PAYMENT_INVALID" | "WALLET_REFUSED" | "NAME_INVALID" | "NAME_TAKEN" | "NAME_UNKNOWN" | "NAME_EXPIRED" | "CONTENT_NOT_FOUND" | "CONTENT_CORRUPT" | "CONTENT_REFUSED" | "MANIFEST_INVALID" | "ENTRY_INVALID" | "ENTRY_STALE" | "PROFILE_INVALID" | "PROFILE_STALE" | "NOT_CACHED" | "NOT_ACCEPTABLE" | "REDIRECTS_INVALID" | "EMBEDDING_REFUSED" | "HEADERS_INVALID" | "SIGN_IN_REFUSED" | "INTERNAL";
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
//#region app/testing/client.d.ts
/** What the functions of `relaymint/sdk` take as their client. */
interface TestClient {
  readonly origin: string;
  readonly name: string | undefined;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
}
//#endregion
//#region app/testing/testing.d.ts
interface TestnetOptions {
  /** 1 to 3, which is the default: how many a visitor's circuit passes. */
  readonly relays?: number;
}
interface PublishOptions {
  /** `demo.web3` */
  readonly name: string;
  /** What a manifest file says: whose it is, and what others may do. Names under `.image`, `.video` and `.map` need one. */
  readonly manifest?: object;
}
interface Published {
  readonly name: string;
  /** CID of the content. */
  readonly root: string;
  readonly files: number;
  /** Where browsers on this machine find it. */
  readonly url: string;
}
interface Testnet extends AsyncDisposable {
  /** Where browsers on this machine find the gateway itself. */
  readonly gateway: string;
  /** For the functions of the SDK, which are told about which name. */
  readonly client: TestClient;
  /** The same as in a page of that name. */
  clientOf(name: string): TestClient;
  /** Where browsers on this machine find a path of a name. */
  addressOf(name: string, path?: string): string;
  /**
  * Publishes a folder, or files by their paths. A name that was published before shows what is published now.
  * @throws RelaymintError NAME_INVALID, INVALID_ARGUMENT (the manifest), CONTENT_REFUSED, ...
  */
  publish(site: string | Readonly<Record<string, string | Uint8Array>>, options: PublishOptions): Promise<Published>;
  /** Moves the clock of all of it forward. */
  advance(seconds: number): Promise<void>;
}
/**
* Starts one: nothing of it leaves the process but HTTP on 127.0.0.1, and nothing of it is left when it is disposed of.
* @throws RelaymintError INVALID_ARGUMENT
*/
declare function createTestnet(options?: TestnetOptions): Promise<Testnet>;
//#endregion
export { type ErrorCode, type PublishOptions, type Published, RelaymintError, type TestClient, type Testnet, type TestnetOptions, createTestnet, isRelaymintError };
// units.d.ts

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
export { formatCredits as n, parseCredits as r, Amount as t };
//# sourceMappingURL=units.d.ts.map
// wallet.d.ts

import { n as RelaymintError, r as isRelaymintError, t as ErrorCode } from "./errors.js";

//#region sdk/wallet/standard.d.ts
/** The Wallet Standard and Sign-In-With-Solana, as far as signing in needs them. */
/** As a wallet registers itself: its word, and nobody else's. */
interface StandardWallet {
  readonly version: string;
  readonly name: string;
  readonly icon: string;
  readonly chains: readonly string[];
  readonly features: Readonly<Record<string, unknown>>;
  readonly accounts: readonly StandardAccount[];
}
interface StandardAccount {
  /** Base58. */
  readonly address: string;
  readonly publicKey: Uint8Array;
  readonly chains: readonly string[];
  readonly features: readonly string[];
  readonly label?: string;
}
/** A wallet that can sign in. */
interface Wallet {
  /** To be shown as text: at most 64 characters, none of which hides or turns others. */
  readonly name: string;
  /** A `data:` image for `<img src>`; undefined where the wallet's is something else, which would be fetched or run. */
  readonly icon: string | undefined;
  /** Whether one click is enough to sign in. Else the wallet is connected first, and may need a second one. */
  readonly signsIn: boolean;
  readonly standard: StandardWallet;
}
/** What is to be signed. Times are ISO 8601, `domain` is the page's host with its port. */
interface SignInInput {
  readonly domain?: string | undefined;
  readonly address?: string | undefined;
  readonly statement?: string | undefined;
  readonly uri?: string | undefined;
  readonly version?: string | undefined;
  /** `mainnet`, `devnet`, `testnet`, `localnet`, or one of these after `solana:`. */
  readonly chainId?: string | undefined;
  /** At least 8 letters and digits. */
  readonly nonce?: string | undefined;
  readonly issuedAt?: string | undefined;
  readonly expirationTime?: string | undefined;
  readonly notBefore?: string | undefined;
  readonly requestId?: string | undefined;
  readonly resources?: readonly string[] | undefined;
}
/** As a wallet's feature `solana:signIn` gives it. */
interface SignInOutput {
  readonly account: StandardAccount;
  readonly signedMessage: Uint8Array;
  readonly signature: Uint8Array;
  readonly signatureType?: "ed25519";
}
//#endregion
//#region sdk/wallet/registry.d.ts
type Listener = (wallets: readonly Wallet[]) => void;
/** The wallets that are here now and can sign in, in the order in which they came. */
declare function wallets(): readonly Wallet[];
/**
* Calls `listener` with the wallets that are here, at once and whenever one comes or goes.
* @returns what ends that
*/
declare function onWallets(listener: Listener): () => void;
//#endregion
//#region sdk/wallet/sign-in.d.ts
interface ConnectOptions {
  /** Only what the visitor allowed before: no window opens. Default false. */
  readonly silent?: boolean;
  /** What the wallet shows stays open: pages cannot close it. */
  readonly signal?: AbortSignal;
}
interface SignInOptions {
  /**
  * What a wallet is to sign that cannot sign in by itself: a text, or what makes it of the address, such as `signInText`. Without it
  * such wallets are refused.
  */
  readonly text?: string | ((address: string) => string);
  /** `signMessage`: also with a wallet that can sign in, for accounts of hardware that cannot. */
  readonly by?: "signIn" | "signMessage";
  readonly signal?: AbortSignal;
}
/** What an issuer verifies: the signature over the bytes that it makes itself, by the key of the address. */
interface SignedIn {
  readonly needsGesture?: undefined;
  /** Base58. */
  readonly address: string;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  /** What the wallet says that it signed. */
  readonly signedMessage: Uint8Array;
}
/** The wallet is connected, and the click used up: show a second button whose click calls `signIn` again. */
interface NeedsGesture {
  readonly needsGesture: true;
  /** Of the account that will sign. */
  readonly address: string;
}
/**
* Asks for the wallet's accounts.
* @returns their addresses
* @throws RelaymintError WALLET_REFUSED, ABORTED; PROTOCOL_VIOLATION for what is no account.
*/
declare function connect(wallet: Wallet, options?: ConnectOptions): Promise<readonly string[]>;
/**
* Call it in the handler of a click.
* @throws RelaymintError WALLET_REFUSED, ABORTED; INVALID_ARGUMENT where a text is needed and none is given; PROTOCOL_VIOLATION for an answer
* that is none.
*/
declare function signIn(wallet: Wallet, input: SignInInput, options?: SignInOptions): Promise<SignedIn | NeedsGesture>;
/** The text that a wallet shows and signs for this input (Sign-In-With-Solana), for an address. */
declare function signInText(input: SignInInput, address: string): string;
//#endregion
export { type ConnectOptions, type ErrorCode, type NeedsGesture, RelaymintError, type SignInInput, type SignInOptions, type SignInOutput, type SignedIn, type StandardAccount, type StandardWallet, type Wallet, connect, isRelaymintError, onWallets, signIn, signInText, wallets };
//# sourceMappingURL=wallet.d.ts.map
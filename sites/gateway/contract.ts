/** Requests that a gateway gets for content, and the handlers that answer them. */
import type { Request, Response } from 'express';
import type { CID } from 'multiformats/cid';
import type { Tld } from '../../core/name.ts';
import type { BlockReader, SiteContent } from '../blocks/contract.ts';
import type { NameState } from '../manifest/contract.ts';

/** One visitor's request. */
export interface ContentAsked {
  readonly request: Request;
  readonly response: Response;
  /** Ends when the visitor leaves or the gateway stops. */
  readonly signal: AbortSignal;
}

/** A page of another name that embeds something. */
export interface Embedder {
  readonly name: string;
  /** As browsers write it in the Origin header. */
  readonly origin: string;
}

/** One visitor's request for one path of a name. */
export interface Asked extends ContentAsked {
  readonly name: string;
  /** Who asks, as far as an address tells. */
  readonly client: string;
  /** The page of another name that embeds it. Absent: the visitor, or its own page, asks. */
  readonly embedder?: Embedder | undefined;
  /** A page that is no name's here embeds it, or hides which one it is: somebody paid for that. */
  readonly isForeign?: boolean;
  /** The same blocks, fetched only as fast as the visitor takes the answer. */
  readonly paced: (blocks: BlockReader) => BlockReader;
  /** What follows takes long and little: others get the turn. */
  readonly endTurn: () => void;
}

/** Answers for names that are not shown as a site. */
export interface NameHandler {
  /** The ending of the names it answers for. */
  readonly tld: Tld;
  /** Only this path. Default: any path. */
  readonly path?: string;
  /** Only visitors that prefer this media type to a page (Accept). Default: everybody. */
  readonly type?: string;
  /** Called when its turn has come. @throws RelaymintError before anything was sent (it is told) or after (the connection is cut). */
  readonly answer: (asked: Asked) => Promise<void>;
}

/** Content by its address alone, without a name. */
export interface RootSource {
  /** @throws RelaymintError CONTENT_NOT_FOUND, ABORTED, ... */
  open(root: CID, options: { readonly signal: AbortSignal }): Promise<SiteContent>;
}

/** A name, and what it points to. */
export interface SiteAddress {
  readonly name: string;
  readonly root: CID;
  /** What the ledger says of it, by which its manifest is judged. undefined: no ledger has it, and nobody says anything of it (a preview). */
  readonly record: NameState | undefined;
}

/**
 * Posts that a page says, signed by who says it: `POST /.well-known/relaymint/posts` with the entry's bytes, of the name's own pages alone. It
 * costs whoever visits, out of the site's budget, and a page may say only so much.
 */
import type { Request } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { MAX_ENTRY_BYTES, PAGE_POSTS_AT_ONCE, PAGE_POST_REST_MILLIS } from '../../core/limits.ts';
import { readUpTo } from '../../platform/disk/bounded-read.ts';
import { decodeEntry, type EntryKind, type SignedEntry } from '../feed/index.ts';
import type { SignedManifest } from '../manifest/contract.ts';
import { Allowance } from './allowance.ts';
import type { Asked } from './contract.ts';
import { messageFor } from './failure.ts';
import { POSTS_PATH } from './feed-answers.ts';

const TYPE = 'application/vnd.ipld.dag-cbor';
/** What no owner of the name itself has to say. */
const SAYABLE: readonly EntryKind[] = ['post', 'edit', 'remove'];
/** Here it is the page's fault, and not that of hosts. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  ENTRY_INVALID: 400,
  ENTRY_STALE: 409,
  CONTENT_REFUSED: 403,
  LIMIT_EXCEEDED: 429,
};

/** Behind it. */
export interface PostTaker {
  /**
   * Checks who signed it, and resolves with how many hosts keep it.
   * @throws RelaymintError ENTRY_INVALID, ENTRY_STALE, CONTENT_REFUSED, LIMIT_EXCEEDED, NO_ROUTE, BUDGET_EXHAUSTED, BUDGET_STOPPED, ABORTED.
   */
  take(signed: SignedEntry, signal: AbortSignal): Promise<number>;
}

export function isPosting({ method, path }: Pick<Request, 'method' | 'path'>): boolean {
  return method === 'POST' && path === POSTS_PATH;
}

export class PostAnswers {
  readonly #taker: PostTaker;
  readonly #said: Allowance;

  constructor(taker: PostTaker, now?: () => number) {
    this.#taker = taker;
    this.#said = new Allowance({
      what: 'posts',
      atOnce: PAGE_POSTS_AT_ONCE,
      restMillis: PAGE_POST_REST_MILLIS,
      now,
    });
  }

  /** To a page of the name. @param signed undefined: the name has no manifest, and so lets nobody post. */
  async answer({ request, response, name, client, signal }: Asked, signed: SignedManifest | undefined): Promise<void> {
    response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
    try {
      if (signed?.manifest.comments !== 'anybody') throw refused(`${name} takes no posts.`);
      if (request.headers['content-type'] !== TYPE) throw invalid(`A post is sent as ${TYPE}.`);
      const isTooLong = Number(request.headers['content-length'] ?? 0) > MAX_ENTRY_BYTES;
      const encoded = isTooLong ? undefined : await readUpTo(request, MAX_ENTRY_BYTES);
      if (encoded === undefined) throw invalid(`A post has at most ${MAX_ENTRY_BYTES} bytes.`);
      const post = decodeEntry(encoded);
      const { author, sequence, kind } = post.entry;
      if (post.entry.name !== name) throw invalid(`This is a post of ${post.entry.name}, and not of ${name}.`);
      if (!SAYABLE.includes(kind) || author === name) throw invalid('A page says posts, and nothing for the owner.');
      if (!this.#said.take(`${client} ${name}`, response)) throw tooMany();
      const hosts = await this.#taker.take(post, signal);
      response.status(201).json({ author, sequence, hosts });
    } catch (error) {
      if (signal.aborted || response.headersSent || !(error instanceof RelaymintError)) throw error;
      const { status, text, retrySeconds } = messageFor(error);
      if (retrySeconds !== undefined) response.set('Retry-After', String(retrySeconds));
      response.status(STATUS[error.code] ?? status).json({ error: { code: error.code, message: text } });
    }
  }
}

function refused(message: string): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', message, { remedy: 'Say it where it is welcome.' });
}

function invalid(message: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', message, { remedy: 'Send what relaymint/sdk/posts makes.' });
}

function tooMany(): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', 'This page says too much at once.', { remedy: 'Wait a few seconds.' });
}

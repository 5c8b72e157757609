/**
 * Whole answers for pages of names that are asked for all the time: what was sent is kept, and sent again to the same request for as
 * long as the name's record is the same: what was verified by it (its manifest, who has it) still holds then. Nothing else is looked at.
 */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import { equalBytes } from '../../core/codec.ts';
import { MAX_KEPT_ANSWERS_BYTES, MAX_KEPT_ANSWER_BYTES } from '../../core/limits.ts';
import type { NameState } from '../manifest/index.ts';
import type { SiteAddress } from './contract.ts';
import { isForeignSubresource } from './initiator.ts';

/** The record of a name, without asking anybody; undefined when the ledger has to be asked. */
export type KnownRecord = (name: string) => NameState | undefined;

/** Headers that ask for less than the whole, that the answer may depend on, or that only some visitors send. */
const SPECIAL: readonly (keyof IncomingHttpHeaders)[] = [
  'authorization',
  'cache-control',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'origin',
  'range',
  'upgrade',
];
/** Longer addresses and headers are nobody's usual ones, characters in all. */
const MAX_KEY = 2048;

/** What an answer takes besides, bytes: the objects that hold it. */
const KEPT_BESIDE = 1024;

interface Kept {
  readonly record: NameState;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

export interface KeptAnswersOptions {
  /** Of each answer that is sent again: its name and its length. */
  readonly told?: ((name: string, bytes: number) => void) | undefined;
  /** Of a public gateway: what it shows below its domain is kept, and nothing else. */
  readonly domain?: string | undefined;
}

export class KeptAnswers {
  readonly #recordOf: KnownRecord;
  readonly #told: (name: string, bytes: number) => void;
  readonly #domain: string | undefined;
  readonly #answers = new LRUCache<string, Kept>({
    maxSize: MAX_KEPT_ANSWERS_BYTES,
    sizeCalculation: ({ headers, body }, key) => key.length + headBytes(headers) + body.length + KEPT_BESIDE,
  });

  constructor(recordOf: KnownRecord, { told = () => undefined, domain }: KeptAnswersOptions = {}) {
    this.#recordOf = recordOf;
    this.#told = told;
    this.#domain = domain;
  }

  /** @returns whether it was answered. */
  send(request: IncomingMessage, response: ServerResponse): boolean {
    const key = this.#keyOf(request);
    const kept = key === undefined ? undefined : this.#answers.get(key);
    if (kept === undefined || key === undefined) return false;
    const record = this.#recordOf(kept.record.name);
    if (record === undefined) return false;
    if (!isSame(record, kept.record)) {
      this.#answers.delete(key);
      return false;
    }
    response.writeHead(200, kept.headers);
    response.end(kept.body);
    this.#told(record.name, kept.body.length);
    return true;
  }

  /** Listens to what is sent from now on. @returns what keeps it once it was sent, if it is worth it. */
  record(request: IncomingMessage, response: ServerResponse, { record }: SiteAddress): () => void {
    const key = this.#keyOf(request);
    if (key === undefined || record === undefined) return () => undefined;
    const sent = bodyOf(response);
    return () => {
      const body = sent();
      if (body === undefined || response.statusCode !== 200 || !response.writableEnded) return;
      const headers = { ...response.getHeaders(), 'content-length': body.length };
      this.#answers.set(key, { record, headers, body });
    };
  }

  /** All that an answer depends on; undefined for a request that is not answered from here. */
  #keyOf({ method, url = '', headers, socket }: IncomingMessage): string | undefined {
    if (method !== 'GET' || SPECIAL.some((header) => headers[header] !== undefined)) return undefined;
    const isPublic = this.#domain !== undefined;
    if (isForeignSubresource(headers, isPublic)) return undefined;
    // Under names of this machine strangers see nothing.
    if (this.#domain !== undefined && !isBelow(headers.host ?? '', this.#domain)) return undefined;
    // What is not said is not the same as any word.
    const scheme = 'encrypted' in socket ? 'https' : 'http';
    const key = [scheme, headers.host, url, headers.accept, headers['accept-encoding']]
      .map((part) => part ?? '\0')
      .join('\n');
    return key.length > MAX_KEY ? undefined : key;
  }
}

function isBelow(host: string, domain: string): boolean {
  return host.toLowerCase().replace(/:\d+$/, '').endsWith(`.${domain}`);
}

/** `seq` rises with every change. A ledger node that lies about it cannot at least show other content, or another manifest. */
function isSame(one: NameState, other: NameState): boolean {
  return (
    one === other ||
    (one.seq === other.seq && equalBytes(one.root, other.root) && equalBytes(one.manifest, other.manifest))
  );
}

/** A site may have long heads (`_headers`), and so has an answer of one byte. */
function headBytes(headers: OutgoingHttpHeaders): number {
  let length = 0;
  for (const [name, value] of Object.entries(headers)) length += name.length + String(value).length;
  return length;
}

/** What is written to a response; undefined if it is more than is kept. */
function bodyOf(response: ServerResponse): () => Buffer | undefined {
  let pieces: Buffer[] | undefined = [];
  let length = 0;
  const hear = (chunk: unknown, encoding: unknown): void => {
    if (pieces === undefined || chunk === undefined || chunk === null || typeof chunk === 'function') return;
    const piece =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8')
        : Buffer.from(chunk as Uint8Array);
    length += piece.length;
    if (length > MAX_KEPT_ANSWER_BYTES) pieces = undefined;
    else pieces.push(piece);
  };
  for (const how of ['write', 'end'] as const) {
    const original: unknown = response[how];
    if (typeof original !== 'function') throw new TypeError(`a response that cannot ${how}`);
    Object.assign(response, {
      [how](...given: unknown[]): unknown {
        hear(given[0], given[1]);
        return Reflect.apply(original, response, given);
      },
    });
  }
  return () => pieces && Buffer.concat(pieces);
}

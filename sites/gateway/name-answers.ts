/**
 * What the ledger says of a name, as JSON: `/.relaymint/name/NAME` on every origin of a name, and on the gateway's own for programs. It is public, so
 * that any page may read what it was sent; but each look-up is a question to the ledger, and a page is answered only so many.
 */
import type { Request } from 'express';
import { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { NAME_CACHE_MILLIS, PROFILES_AT_ONCE_PER_PAGE, PROFILE_REST_MILLIS } from '../../core/limits.ts';
import { parseName } from '../../core/name.ts';
import { orAborted } from '../../core/abort.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { Allowance } from './allowance.ts';
import type { Asked } from './contract.ts';

const PLACE = '/.relaymint/name/';

/** A few seconds fresh; undefined: nobody has the name. @throws what the ledger throws. */
export type RecordLookup = (name: string) => Promise<NameRecord | undefined>;

export function isNameFactsPath({ path }: Pick<Request, 'path'>): boolean {
  return path.startsWith(PLACE);
}

/** Of the address; as it was written, and not yet looked at. */
export function nameOfFactsPath({ path }: Pick<Request, 'path'>): string {
  return path.slice(PLACE.length);
}

export class NameAnswers {
  readonly #record: RecordLookup;
  /** By who asks, and in whose page. */
  readonly #asked: Allowance;

  constructor(record: RecordLookup, now?: () => number) {
    this.#record = record;
    this.#asked = new Allowance({
      what: 'names',
      atOnce: PROFILES_AT_ONCE_PER_PAGE,
      restMillis: PROFILE_REST_MILLIS,
      now,
    });
  }

  /** @param page the name whose page asks; undefined: a program does. @throws RelaymintError NAME_INVALID, NAME_UNKNOWN, LIMIT_EXCEEDED, and the ledger's. */
  async answer({ request, response, client, signal }: Asked, page: string | undefined): Promise<void> {
    response.set({
      'Access-Control-Allow-Origin': '*',
      'Cross-Origin-Resource-Policy': 'cross-origin',
      'X-Content-Type-Options': 'nosniff',
    });
    if (!this.#asked.take(`${client} ${page ?? ''}`, response)) throw tooMany();
    const { name } = parseName(nameOfFactsPath(request));
    const record = await orAborted(this.#record(name), signal, `Looking up ${name}`);
    if (record === undefined) {
      throw new RelaymintError('NAME_UNKNOWN', `Nobody has registered ${name}.`, { remedy: 'Check the spelling.' });
    }
    response.set('Cache-Control', `private, max-age=${NAME_CACHE_MILLIS / 1000}`).json(recordJson(record));
  }
}

/** Amounts are base units of credit, as decimals; times UNIX seconds. */
function recordJson(record: NameRecord): object {
  return {
    name: record.name,
    status: record.status,
    owner: record.owner,
    manager: record.manager,
    registered: Number(record.registeredAt),
    expires: record.expiresAt === undefined ? null : Number(record.expiresAt),
    sequence: String(record.seq),
    root: cidOf(record.root),
    manifest: cidOf(record.manifest),
    royaltyBps: record.royaltyBps,
    referrerBps: record.referrerBps,
    earned: String(record.lifetime),
    undivided: String(record.accrued),
    splits: record.splits.map(({ account, bps, owed }) => ({ account, bps, owed: String(owed) })),
  };
}

/** Whoever has the name may have written anything there. */
function cidOf(bytes: Uint8Array): string | null {
  try {
    return CID.decode(bytes).toString();
  } catch {
    return null;
  }
}

function tooMany(): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', 'This page asks for too many names.', {
    remedy: 'Ask again in a minute, for fewer.',
  });
}

/**
 * An entry's bytes: dag-cbor in its only encoding.
 *
 *   { body: { version, kind, name, topic, author, sequence, created, ... }, signature: 64 bytes }
 *
 * Signed is "relaymint:entry:v1" and the encoding of the body, in which a permit stands where a page's key signs. Times are milliseconds; what is
 * not said is not there.
 */
import { isUtf8 } from 'node:buffer';
import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { concatBytes, equalBytes, utf8 } from '../../core/codec.ts';
import { RelaymintError } from '../../core/errors.ts';
import {
  ENTRY_AHEAD_MILLIS,
  MAX_ENTRY_BYTES,
  MAX_ENTRY_CONTENT_BYTES,
  MAX_TOPIC_BYTES,
  MAX_UPDATE_LIFE_MILLIS,
} from '../../core/limits.ts';
import { ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import { isName, parseName } from '../../core/name.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import { SIGNATURE_BYTES, isSignedBy } from '../../ledger/receipt/index.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { cborDepth, type PublisherKey } from '../blocks/index.ts';
import { isPermitted, permitFields, wrongWithTerms, type Permit } from '../permit/index.ts';
import { LIVE_TOPIC, type Entry, type EntryId, type EntryKind, type SignedEntry } from './contract.ts';

const VERSION = 1;
const DOMAIN = 'relaymint:entry:v1';
/** entry, body, target or permit. */
const MAX_DEPTH = 3;
const MAX_TYPE = 127;

const REMEDY = 'Make it anew with "relaymint route" or "relaymint post".';

/** Kinds by what has to be there. */
const SAYING: readonly EntryKind[] = ['update', 'post', 'edit'];
const ABOUT: readonly EntryKind[] = ['edit', 'remove', 'hide', 'show'];
const OWNERS: readonly EntryKind[] = ['update', 'hide', 'show'];
/** What a page may say in an author's name, if it is permitted to. */
const PERMITTED: readonly EntryKind[] = ['post', 'edit', 'remove'];
/** What a browser draws as text: nothing that runs. */
const POST_TYPES: readonly string[] = ['text/plain', 'text/markdown'];

const nameField: z.ZodType<string> = z
  .string()
  .refine((text) => isName(text) && parseName(text).name === text, 'is not a name');
const numberField: z.ZodType<number> = z.int().positive();
const timeField: z.ZodType<UnixMillis> = z.int().nonnegative().transform(unixMillis);
const target: z.ZodType<EntryId> = z.strictObject({ author: nameField, sequence: numberField });

const bodySchema: z.ZodType<Entry> = z.strictObject({
  version: z.literal(VERSION),
  kind: z.enum(['update', 'post', 'edit', 'remove', 'hide', 'show']),
  name: nameField,
  topic: z.string().refine(isTopic, 'is no path, such as /news/today'),
  author: nameField,
  sequence: numberField,
  created: timeField,
  expires: timeField.optional(),
  mediaType: z
    .string()
    .max(MAX_TYPE)
    .regex(/^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/, 'is no media type')
    .optional(),
  content: z
    .instanceof(Uint8Array)
    .refine((bytes) => bytes.length > 0 && bytes.length <= MAX_ENTRY_CONTENT_BYTES, {
      message: `has not 1 to ${MAX_ENTRY_CONTENT_BYTES} bytes`,
    })
    .optional(),
  target: target.optional(),
  permit: permitFields.optional(),
});

const entrySchema: z.ZodType<{ readonly body: Entry; readonly signature: Uint8Array }> = z.strictObject({
  body: bodySchema,
  signature: z
    .instanceof(Uint8Array)
    .refine((bytes) => bytes.length === SIGNATURE_BYTES, `has not ${SIGNATURE_BYTES} bytes`),
});

/** The topic of updates, or an absolute path in its plain form. */
export function isTopic(text: string): boolean {
  if (text === LIVE_TOPIC) return true;
  if (utf8(text).length > MAX_TOPIC_BYTES || text.normalize('NFC') !== text) return false;
  if (!/^\/[^\p{Cc}\p{Cs}\p{Cf}\p{Z}?#\\]*$/u.test(text)) return false;
  const parts = text.slice(1).split('/');
  return parts.every((part, index) => part !== '.' && part !== '..' && (part !== '' || index === parts.length - 1));
}

/** `why` is the end of a sentence about it. */
export function entryInvalid(why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('ENTRY_INVALID', `The entry ${why}.`, { remedy: REMEDY, cause });
}

export function entryStale(why: string): RelaymintError {
  return new RelaymintError('ENTRY_STALE', `The entry ${why}.`, {
    remedy: 'Ask for what is newest, and go on from there.',
  });
}

/** By a key of the owner or manager of the author's name, or by the one that `entry.permit` is for. @throws RelaymintError ENTRY_INVALID: something in it is not as it has to be. */
export async function signEntry(entry: Omit<Entry, 'version'>, key: PublisherKey): Promise<SignedEntry> {
  const body = wireOf({ ...entry, version: VERSION });
  const signature = await key.sign(messageOf(body));
  // Read as others do: nothing is signed that they would refuse.
  return decodeEntry(dagCbor.encode({ body, signature }));
}

/** What it says; whether it may say so is `checkEntry`'s. @throws RelaymintError ENTRY_INVALID. */
export function decodeEntry(encoded: Uint8Array): SignedEntry {
  if (encoded.length > MAX_ENTRY_BYTES)
    throw entryInvalid(`has ${encoded.length} bytes, and at most ${MAX_ENTRY_BYTES} are allowed`);
  const depth = cborDepth(encoded);
  if (depth === undefined || depth > MAX_DEPTH) throw entryInvalid('is malformed');
  let said: unknown;
  try {
    said = dagCbor.decode(encoded);
  } catch (cause) {
    throw entryInvalid('is malformed', cause);
  }
  const { data, error } = entrySchema.safeParse(said);
  if (error !== undefined) {
    const [issue] = error.issues;
    throw entryInvalid(`does not say what it has to: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { body: entry, signature } = data;
  const wrong = wrongTogether(entry);
  if (wrong !== undefined) throw entryInvalid(wrong);
  if (!equalBytes(dagCbor.encode({ body: wireOf(entry), signature }), encoded))
    throw entryInvalid('is not in its only encoding');
  return { entry, signature, encoded };
}

/** What does not fit together; undefined if all does. */
function wrongTogether(entry: Entry): string | undefined {
  const { kind, name, topic, author, sequence, created, expires, mediaType, content, permit } = entry;
  const isSaying = SAYING.includes(kind);
  if ((content !== undefined) !== isSaying || (mediaType !== undefined) !== isSaying)
    return isSaying ? `is of the kind "${kind}" and says nothing` : `is of the kind "${kind}" and says something`;
  if ((kind === 'update') !== (topic === LIVE_TOPIC)) return `is of the kind "${kind}" and about the topic "${topic}"`;
  if ((kind === 'update') !== (expires !== undefined))
    return `is of the kind "${kind}": updates expire, and nothing else does`;
  if (expires !== undefined && (expires <= created || expires - created > MAX_UPDATE_LIFE_MILLIS))
    return 'expires at no time that it may';
  // Whoever gets the name is not kept from saying more by a number that no time reaches.
  if (sequence > created) return 'has a number that is greater than the time at which it was made';
  if (kind !== 'update' && mediaType !== undefined && !POST_TYPES.includes(mediaType))
    return `is a post of the type ${mediaType}`;
  if (kind !== 'update' && content !== undefined && !isUtf8(content)) return 'is a post that is no text';
  if (OWNERS.includes(kind) && author !== name) return `is of the kind "${kind}", which only ${name} may say`;
  if (author !== name && parseName(author).tld !== 'sso')
    return `is from ${author}, which is no profile: posts are from .sso names`;
  if (ABOUT.includes(kind) && entry.target === undefined) return `is of the kind "${kind}" and about no post`;
  if (kind === 'update' && entry.target !== undefined) return 'is an update about something else';
  if ((kind === 'edit' || kind === 'remove') && entry.target?.author !== author)
    return "is about another author's post";
  return permit === undefined ? undefined : wrongWithPermit(entry, permit);
}

function wrongWithPermit({ kind, name, author, created }: Entry, permit: Permit): string | undefined {
  if (!PERMITTED.includes(kind)) return `is of the kind "${kind}", which no page may say`;
  const wrong = wrongWithTerms({ ...permit, name, author });
  if (wrong !== undefined) return `has a permit that cannot be: ${wrong}`;
  if (created < permit.since || created > permit.until) return 'was made when its permit did not count';
  return undefined;
}

/**
 * Whether it may say what it says: signed by who has or manages its author's name now, made since that name is held, and not in the future.
 * @param record of the author's name. @throws RelaymintError ENTRY_INVALID, ENTRY_STALE (an update whose time is over).
 */
export function checkEntry(signed: SignedEntry, record: NameRecord | undefined, now: number): void {
  const { author, created, permit } = signed.entry;
  if (record === undefined || record.status === 'expired')
    throw entryInvalid(`is from ${author}, and nobody has that name`);
  if (!isSignedByEither(signed, record.owner, record.manager))
    throw entryInvalid(`is signed neither by the owner of ${author} nor by its manager`);
  // Who has a name again does not get back what was said, or permitted, in it before others had it.
  if (BigInt(permit?.since ?? created) < record.registeredAt * 1000n - BigInt(ENTRY_AHEAD_MILLIS))
    throw entryInvalid(`is from before ${author} was registered`);
  checkTimes(signed.entry, now);
}

/** What needs no record. @throws RelaymintError ENTRY_INVALID, ENTRY_STALE (an update whose time is over). */
export function checkTimes({ created, expires }: Entry, now: number): void {
  if (created > now + ENTRY_AHEAD_MILLIS) throw entryInvalid('was made in the future');
  if (expires !== undefined && expires <= now) throw entryStale('is an update whose time is over');
}

/**
 * Before it is taken in: the time at which it says that it was made is its maker's word. What was taken while the permit counted stays.
 * @throws RelaymintError ENTRY_STALE.
 */
export function requirePermitCounts({ permit }: Entry, now: number): void {
  if (permit !== undefined && now > permit.until + ENTRY_AHEAD_MILLIS)
    throw entryStale('is by a page whose permit is over');
}

/** By whom an entry was last checked, and what came of it: the same ones are told, and shown, again and again. */
const verdicts = new WeakMap<SignedEntry, { readonly by: string; readonly isSigned: boolean }>();

function isSignedByEither(signed: SignedEntry, owner: LedgerAddress, manager: LedgerAddress): boolean {
  const by = `${owner} ${manager}`;
  const known = verdicts.get(signed);
  if (known?.by === by) return known.isSigned;
  const isSigned = isSignedFor(signed, [owner, manager]);
  verdicts.set(signed, { by, isSigned });
  return isSigned;
}

function isSignedFor({ entry, signature }: SignedEntry, wallets: readonly LedgerAddress[]): boolean {
  const message = messageOf(wireOf(entry));
  const { name, author, permit } = entry;
  if (permit === undefined) return wallets.some((wallet) => isSignedBy(wallet, message, signature));
  if (!isSignedBy(ledgerAddress(permit.key), message, signature)) return false;
  return wallets.some((wallet) => isPermitted({ ...permit, name, author }, wallet));
}

function messageOf(body: object): Uint8Array {
  return concatBytes(utf8(DOMAIN), dagCbor.encode(body));
}

/** Without what is not said. */
function wireOf(entry: Entry): object {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}

/**
 * What an issuer alone knows, in one file of its own (0600): the keys that it signs tokens with, and the secrets of its subjects and cookies.
 * Signing keys have their time: a new one is published a while before it signsAndVerifies, and an old one for as long as what it signed is good.
 */
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import { createSigningJwk, signsAndVerifies, type PrivateJwk } from '../../platform/keys/jwk.ts';
import { createSecret, readSecret, type SecretFile } from '../../platform/keys/secret-file.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { utf8 } from '../../core/codec.ts';

const MAX_FILE_BYTES = 262_144;
const SECRET_BYTES = 32;
const HOUR = 3_600_000;
/** How long a key signs. */
export const SIGNS_MILLIS: number = 90 * 24 * HOUR;
/** How long a key is published before it signs: sites keep a copy of the keys for about that long. */
export const AHEAD_MILLIS: number = 24 * HOUR;
/** How long it is published after: longer than any token that it signed is good. */
export const AFTER_MILLIS: number = 48 * HOUR;

interface DatedKey {
  readonly jwk: PrivateJwk;
  /** When it begins to sign. */
  readonly from: UnixMillis;
}

export interface IssuerSecrets {
  /** For pairwise subjects: without it nobody can join a person's subjects. It never changes. */
  readonly subjects: Uint8Array;
  /** By which cookies are signed. */
  readonly cookies: string;
  /** For RS256 and EdDSA; those that sign come first. */
  readonly keys: readonly PrivateJwk[];
  /** When `keys` is to be read again: one of them begins or ceases then. */
  readonly until: UnixMillis;
}

const keySchema: z.ZodType<DatedKey> = z.strictObject({
  jwk: z
    .record(z.string(), z.string())
    .and(z.object({ kid: z.string() }))
    .refine(signsAndVerifies),
  from: z.int().transform(unixMillis),
});
const secretSchema = z.base64url().length(Math.ceil((SECRET_BYTES * 4) / 3));
const fileSchema = z.strictObject({
  version: z.literal(1),
  issuer: z.string(),
  subjects: secretSchema,
  cookies: secretSchema,
  keys: z.array(keySchema).min(2),
});
type SecretsFile = z.infer<typeof fileSchema>;

export interface SecretsPlace {
  readonly directory: string;
  readonly issuer: URL;
  readonly clock: Clock;
  /** They were read before. Default: they are made where there are none. */
  readonly mustExist?: true;
}

/**
 * Makes them where there are none, and makes the next keys in time. Each issuer has its own, so that no token of one is good for another.
 * @throws RelaymintError INVALID_ENCODING (damaged), FILE_NOT_FOUND (`mustExist`), KEY_FILE_UNSAFE (others may read it), STORAGE_FAILED, STORAGE_FULL.
 */
export async function openSecrets(place: SecretsPlace): Promise<IssuerSecrets> {
  const now = place.clock.now();
  let file = await readFile(place);
  if (file === undefined) {
    // An issuer that runs must not become another one because its folder is away.
    if (place.mustExist === true) throw notThere(place);
    await create(place, now);
    file = await readFile(place);
    if (file === undefined) throw new TypeError('it was there a moment ago');
  }
  const keys = turned(file.keys, now);
  if (keys !== file.keys) {
    file = { ...file, keys: [...keys] };
    await replaceFile(secretAt(place).path, utf8(JSON.stringify(file)));
  }
  return {
    subjects: Buffer.from(file.subjects, 'base64url'),
    cookies: file.cookies,
    keys: inOrder(keys, now).map(({ jwk }) => jwk),
    until: nextTurn(keys, now),
  };
}

/** Those to keep, and new ones where they are due; the same array when nothing changes. */
function turned(keys: readonly DatedKey[], now: UnixMillis): readonly DatedKey[] {
  const newest = Math.max(...keys.map(({ from }) => from));
  const made =
    newest + SIGNS_MILLIS - AHEAD_MILLIS <= now
      ? freshKeys(unixMillis(Math.max(now + AHEAD_MILLIS, newest + SIGNS_MILLIS)))
      : [];
  const all = [...keys, ...made];
  const kept = all.filter((key) => !isOver(key, all, now));
  return made.length === 0 && kept.length === keys.length ? keys : kept;
}

/** A newer one has signed for so long that nothing that this one signed is good any more. */
function isOver({ from }: DatedKey, all: readonly DatedKey[], now: UnixMillis): boolean {
  return all.some((other) => other.from > from && other.from + AFTER_MILLIS <= now);
}

/** Newest of those that sign, then older ones, then those that do not sign yet. */
function inOrder(keys: readonly DatedKey[], now: UnixMillis): readonly DatedKey[] {
  const begun = keys.filter(({ from }) => from <= now).toSorted((a, b) => b.from - a.from);
  return [...begun, ...keys.filter(({ from }) => from > now)];
}

function nextTurn(keys: readonly DatedKey[], now: UnixMillis): UnixMillis {
  const turns = keys.flatMap(({ from }) => [from, from + AFTER_MILLIS, from + SIGNS_MILLIS - AHEAD_MILLIS]);
  return unixMillis(Math.min(...turns.filter((at) => at > now)));
}

function notThere(place: SecretsPlace): RelaymintError {
  const { path: file, what } = secretAt(place);
  return new RelaymintError('FILE_NOT_FOUND', `The ${what} are no longer at ${file}.`, {
    remedy: 'Put the file back. Until then the issuer goes on with what it has read.',
  });
}

async function create(place: SecretsPlace, now: UnixMillis): Promise<void> {
  const file: SecretsFile = {
    version: 1,
    issuer: place.issuer.href,
    subjects: randomBytes(SECRET_BYTES).toString('base64url'),
    cookies: randomBytes(SECRET_BYTES).toString('base64url'),
    keys: [...freshKeys(now)],
  };
  try {
    await createSecret(secretAt(place), JSON.stringify(file));
  } catch (error) {
    // Another process was faster.
    if (!isRelaymintError(error, 'FILE_EXISTS')) throw error;
  }
}

/** One for RS256, which every client knows, and one for EdDSA. */
function freshKeys(from: UnixMillis): readonly DatedKey[] {
  return [
    { from, jwk: createSigningJwk('RS256') },
    { from, jwk: createSigningJwk('EdDSA') },
  ];
}

async function readFile(place: SecretsPlace): Promise<SecretsFile | undefined> {
  const secret = secretAt(place);
  const content = await readSecret(secret, MAX_FILE_BYTES);
  if (content === undefined) return undefined;
  try {
    const file = fileSchema.parse(JSON.parse(content.toString('utf8')));
    if (file.issuer === place.issuer.href) return file;
  } catch {
    // Said below; what the parser says may quote the file.
  } finally {
    content.fill(0);
  }
  throw new RelaymintError('INVALID_ENCODING', `${secret.path} does not hold the ${secret.what}.`, {
    remedy: 'Put back a copy of it. With a new one every site would take its visitors for strangers.',
  });
}

/** In names of files: an issuer's own. */
export function issuerKey(issuer: URL): string {
  return createHash('sha256').update(issuer.href).digest('hex').slice(0, 16);
}

function secretAt({ directory, issuer }: SecretsPlace): SecretFile {
  return { path: path.join(directory, `sso-${issuerKey(issuer)}.json`), what: "issuer's secrets", makesFolder: true };
}

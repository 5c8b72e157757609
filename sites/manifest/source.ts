/** The file from which a publisher's manifest is made: JSON, as people write it. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { parseShare } from '../../core/grammar.ts';
import { ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import { parseCredits, pricePerMiB, type BasisPoints, type PricePerMiB } from '../../core/units.ts';
import { readUpTo } from '../../platform/disk/bounded-read.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { hasErrno } from '../../platform/errno.ts';
import type { ContentKind, Licence, LicenceTerms, Manifest } from './contract.ts';
import {
  commentsField,
  copyrightField,
  creatorField,
  descriptionField,
  embeddingField,
  firstIssue,
  geoField,
  kindField,
  kindOfName,
  mediaTypeField,
  paymentField,
  signInField,
  titleField,
  urlField,
  usageField,
  userField,
  wrongTogether,
  wrongWithSplits,
} from './fields.ts';

/** What a publisher says of content; the name, its owner and the root are added when it is published. */
export type ManifestTerms = Pick<
  Manifest,
  | 'kind'
  | 'mediaType'
  | 'creator'
  | 'title'
  | 'description'
  | 'copyright'
  | 'licence'
  | 'price'
  | 'embedding'
  | 'comments'
  | 'signIn'
> &
  /** undefined: as the record has it. */
  { readonly [K in 'royaltyBps' | 'referrerBps' | 'splits']: Manifest[K] | undefined };

/** More than any manifest needs. */
const MAX_FILE_BYTES = 64 * 1024;
/** Of what a parser of JSON says, letters. */
const MAX_WHY = 200;
/** A field whose name begins so is for people: it explains, or waits to be used. */
const NOTE = '//';
/** How the file of a folder is named that is meant without being given. */
const BESIDE = '.manifest.json';
/** What a manifest says where its file does not; pictures and films are of many types. */
const USUAL_TYPE: Readonly<Record<ContentKind, string | undefined>> = {
  site: 'text/html',
  image: undefined,
  video: undefined,
  map: 'application/vnd.pmtiles',
  route: 'text/html',
};

/** A text of a grammar of the command line. */
function written<T>(read: (text: string) => T): z.ZodType<T> {
  return z.string().transform((text, context) => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof RelaymintError) && !(error instanceof RangeError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

const share: z.ZodType<BasisPoints> = written(parseShare);
const price: z.ZodType<PricePerMiB> = written((text) => pricePerMiB(parseCredits(text)));
const account: z.ZodType<LedgerAddress> = written((text) => ledgerAddress(text));

const NOTHING: LicenceTerms = { usage: [], user: [], geo: [] };
const terms: z.ZodType<LicenceTerms> = z
  .strictObject({ usage: usageField.optional(), user: userField.optional(), geo: geoField.optional() })
  .transform(({ usage = [], user = [], geo = [] }) => ({ usage, user, geo }));
const licence: z.ZodType<Licence> = z
  .strictObject({
    permits: terms.optional(),
    prohibits: terms.optional(),
    payment: paymentField,
    url: urlField.optional(),
  })
  .transform(({ permits = NOTHING, prohibits = NOTHING, ...rest }) => ({ permits, prohibits, ...rest }));

const fileSchema = z.strictObject({
  kind: kindField.optional(),
  mediaType: mediaTypeField.optional(),
  creator: creatorField,
  title: titleField.optional(),
  description: descriptionField.optional(),
  copyright: copyrightField.optional(),
  licence: licence.optional(),
  price: price.optional(),
  royalty: share.optional(),
  referrer: share.optional(),
  splits: z
    .array(z.strictObject({ account, share }).transform(({ share: bps, ...rest }) => ({ ...rest, bps })))
    .optional(),
  embedding: embeddingField.optional(),
  comments: commentsField.optional(),
  signIn: signInField.optional(),
});

/** What each field has to be: said to who wrote something else. */
const EXPECTED: Readonly<Record<string, string>> = {
  kind: '"kind" is "site", "image", "video", "map" or "route".',
  mediaType: '"mediaType" is the type of the original, such as "image/png", "video/webm" or "text/html".',
  creator: '"creator" says who made it, in a line of at most 200 characters.',
  title: '"title" is a line of at most 200 characters.',
  description: '"description" is a text of at most 800 characters.',
  copyright: '"copyright" is a line of at most 300 characters.',
  licence:
    '"licence" is, for example, {"permits": {"usage": ["search"]}, "prohibits": {"usage": ["ai-train"]}, "payment": "attribution"}.',
  price: '"price" is credits per MiB in quotes, such as "0.02".',
  royalty: '"royalty" is a share in quotes, such as "20%".',
  referrer: '"referrer" is a share in quotes, such as "10%".',
  splits:
    '"splits" is a list of 1 to 8 wallets, whose shares are 100% together: [{"account": "WALLET", "share": "60%"}, ...].',
  embedding: '"embedding" is "none", "anybody", or a list of names such as ["news.web3"].',
  comments: '"comments" is "none" or "anybody".',
  signIn:
    '"signIn" has the paths to which people come back, signed in and signed out: {"redirects": ["/signed-in.html"], "signedOut": ["/"]}.',
};

/** Where the manifest of a folder is looked for: beside it, under its name, so that it is no file of the site. */
export function manifestBeside(folder: string): string {
  const beside = path.resolve(folder) + BESIDE;
  return path.isAbsolute(folder) ? beside : path.relative('', beside);
}

/** The same, if there is a file; for those that sign nothing. */
export async function manifestFound(folder: string): Promise<string | undefined> {
  const beside = manifestBeside(folder);
  return (await stat(beside).catch(() => undefined))?.isFile() === true ? beside : undefined;
}

/** @throws RelaymintError FILE_NOT_FOUND, STORAGE_FAILED, INVALID_ARGUMENT (it names the file, the field, and what is expected). */
export async function readManifestFile(file: string, name: string): Promise<ManifestTerms> {
  let content: Buffer | undefined;
  try {
    content = await readUpTo(createReadStream(file), MAX_FILE_BYTES);
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT')) throw diskError(cause, `Reading ${file}`);
    throw new RelaymintError('FILE_NOT_FOUND', `There is no file ${file}.`, {
      remedy: 'Give the file in which the manifest is written.',
      cause,
    });
  }
  if (content === undefined) throw tooLong(file);
  return parseManifestFile(content.toString(), { file, name });
}

/** `file`: for messages. @throws RelaymintError INVALID_ARGUMENT (it names the file, the field, and what is expected). */
export function parseManifestFile(
  text: string,
  { file, name }: { readonly file: string; readonly name: string },
): ManifestTerms {
  if (text.length > MAX_FILE_BYTES) throw tooLong(file);
  let said: unknown;
  try {
    said = JSON.parse(text, withoutNotes);
  } catch (cause) {
    throw notJson(file, cause);
  }
  const { data, error } = fileSchema.safeParse(said);
  if (error !== undefined) throw wrongField(file, said, error);
  const { royalty: royaltyBps, referrer: referrerBps, splits, ...rest } = data;
  const kind = rest.kind ?? kindOfName(name) ?? 'site';
  const mediaType = rest.mediaType ?? USUAL_TYPE[kind];
  if (mediaType === undefined)
    throw wrong(
      file,
      `mediaType: say what it is, for example ${kind}/${kind === 'image' ? 'png' : 'mp4'}`,
      'mediaType',
    );
  const together = wrongTogether({ name, kind, mediaType });
  if (together !== undefined) throw wrong(file, `${together.field}: ${together.why}`, together.field);
  const ofSplits = splits === undefined ? undefined : wrongWithSplits(splits);
  if (ofSplits !== undefined) throw wrong(file, `splits: ${ofSplits}`, 'splits');
  const embedding = rest.embedding ?? (['image', 'video', 'map'].includes(kind) ? 'anybody' : 'none');
  return { ...rest, kind, mediaType, royaltyBps, referrerBps, splits, embedding, comments: rest.comments ?? 'none' };
}

function withoutNotes(key: string, value: unknown): unknown {
  return key.startsWith(NOTE) ? undefined : value;
}

/** By the first thing that is wrong. */
function wrongField(file: string, said: unknown, error: z.ZodError): RelaymintError {
  const [issue] = error.issues;
  const at = issue?.path.map(String) ?? [];
  const [field] = at;
  if (issue?.code === 'unrecognized_keys') {
    const unknown = [...at, issue.keys[0] ?? ''].join('.');
    return wrong(file, `${unknown}: there is no such field`, field);
  }
  const isMissing = at.length > 0 && valueAt(said, at) === undefined;
  return wrong(file, isMissing ? `${at.join('.')}: it is missing` : firstIssue(error), field, error);
}

function valueAt(said: unknown, at: readonly string[]): unknown {
  return at.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    said,
  );
}

function notJson(file: string, cause: unknown): RelaymintError {
  const why = messageOf(cause).split('\n')[0]?.slice(0, MAX_WHY) ?? '';
  return new RelaymintError('INVALID_ARGUMENT', `${file}: it is not JSON: ${why.replace(/\.$/, '')}.`, {
    remedy: 'Names and texts stand in double quotes, with a comma after each field but the last.',
    cause,
  });
}

/** `field`: of the file, that is wrong. undefined: the file is. */
function tooLong(file: string): RelaymintError {
  return wrong(file, `it is longer than ${MAX_FILE_BYTES / 1024} KiB`, undefined);
}

function wrong(file: string, what: string, field: string | undefined, cause?: unknown): RelaymintError {
  const expected =
    (field === undefined ? undefined : EXPECTED[field]) ?? `The fields are ${Object.keys(EXPECTED).join(', ')}.`;
  return new RelaymintError('INVALID_ARGUMENT', `${file}: ${what.replace(/\.$/, '')}.`, {
    remedy: `${expected} docs/sites.md has all fields, and an example.`,
    cause,
  });
}

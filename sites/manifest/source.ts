/** The file from which a publisher's manifest is made: JSON, as people write it. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { RelaymintError } from '../../core/errors.ts';
import { parseShare } from '../../core/grammar.ts';
import { ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import { parseCredits, pricePerMiB, type BasisPoints, type PricePerMiB } from '../../core/units.ts';
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
> &
  /** undefined: as the record has it. */
  { readonly [K in 'royaltyBps' | 'referrerBps' | 'splits']: Manifest[K] | undefined };

/** More than any manifest needs. */
const MAX_FILE_BYTES = 64 * 1024;
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
});

/** @throws RelaymintError FILE_NOT_FOUND, STORAGE_FAILED, INVALID_ARGUMENT (it names the field). */
export async function readManifestFile(file: string, name: string): Promise<ManifestTerms> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT')) throw diskError(cause, `Reading ${file}`);
    throw new RelaymintError('FILE_NOT_FOUND', `There is no file ${file}.`, {
      remedy: 'Give the file in which the manifest is written.',
      cause,
    });
  }
  return parseManifestFile(text, { file, name });
}

/** `file`: for messages. @throws RelaymintError INVALID_ARGUMENT (it names the field). */
export function parseManifestFile(
  text: string,
  { file, name }: { readonly file: string; readonly name: string },
): ManifestTerms {
  if (text.length > MAX_FILE_BYTES) throw wrong(file, `it is longer than ${MAX_FILE_BYTES / 1024} KiB`);
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch (cause) {
    throw wrong(file, 'it is not JSON', cause);
  }
  const { data, error } = fileSchema.safeParse(said);
  if (error !== undefined) throw wrong(file, firstIssue(error));
  const { royalty: royaltyBps, referrer: referrerBps, splits, ...rest } = data;
  const kind = rest.kind ?? kindOfName(name) ?? 'site';
  const mediaType = rest.mediaType ?? USUAL_TYPE[kind];
  if (mediaType === undefined)
    throw wrong(file, `mediaType: say what it is, for example ${kind}/${kind === 'image' ? 'png' : 'mp4'}`);
  const together = wrongTogether({ name, kind, mediaType });
  if (together !== undefined) throw wrong(file, `${together.field}: ${together.why}`);
  const ofSplits = splits === undefined ? undefined : wrongWithSplits(splits);
  if (ofSplits !== undefined) throw wrong(file, `splits: ${ofSplits}`);
  const embedding = rest.embedding ?? (['image', 'video', 'map'].includes(kind) ? 'anybody' : 'none');
  return { ...rest, kind, mediaType, royaltyBps, referrerBps, splits, embedding, comments: rest.comments ?? 'none' };
}

function wrong(file: string, what: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `${file}: ${what}.`, {
    remedy: 'docs/sites.md has the fields of a manifest and an example.',
    cause,
  });
}

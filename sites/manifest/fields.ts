/** The fields of a manifest, each with its bounds: the same for what a publisher writes and for what stands in a block. */
import { z } from 'zod';
import { ALL_BPS } from '../../core/units.ts';
import { isName, parseName, type Tld } from '../../core/name.ts';
import type { ContentKind, LicencePayment, LicenceUsage, LicenceUser, SignInPlaces } from './contract.ts';

const MAX_SPLITS = 8;
const MAX_EMBEDDERS = 16;
const MAX_COUNTRIES = 32;
const MAX_PLACES = 8;
const MAX_PLACE = 128;
const MAX_URL = 500;
const MAX_TYPE = 127;

const KINDS: readonly ContentKind[] = ['site', 'image', 'video', 'map', 'route'];
const USAGES: readonly LicenceUsage[] = ['all', 'ai-all', 'ai-train', 'ai-input', 'ai-index', 'search'];
const USERS: readonly LicenceUser[] = ['commercial', 'non-commercial', 'education', 'government', 'personal'];
const PAYMENTS: readonly LicencePayment[] = [
  'purchase',
  'subscription',
  'training',
  'crawl',
  'use',
  'contribution',
  'attribution',
  'free',
];

/** One line. */
function line(max: number): z.ZodType<string> {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'has a character that is none of text');
}

/** Lines. */
function lines(max: number): z.ZodType<string> {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(/^(?:[^\p{Cc}\p{Cs}]|\n)+$/u, 'has a character that is none of text');
}

/** Each once. */
function some<T extends string>(one: z.ZodType<T>, max: number): z.ZodType<readonly T[]> {
  return z
    .array(one)
    .max(max)
    .refine((all) => new Set(all).size === all.length, 'says something twice');
}

export const kindField: z.ZodType<ContentKind> = z.enum(KINDS);
export const mediaTypeField: z.ZodType<string> = z
  .string()
  .max(MAX_TYPE)
  .regex(/^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/, 'is no media type, such as image/png');
export const creatorField: z.ZodType<string> = line(200);
export const titleField: z.ZodType<string> = line(200);
export const descriptionField: z.ZodType<string> = lines(800);
export const copyrightField: z.ZodType<string> = line(300);
/** A name as it is written in a record. */
export const nameField: z.ZodType<string> = z
  .string()
  .refine((text) => isName(text) && parseName(text).name === text, 'is not a name, such as news.web3');
export const embeddingField: z.ZodType<'none' | 'anybody' | readonly string[]> = z.union(
  [z.enum(['none', 'anybody']), some(nameField, MAX_EMBEDDERS).refine((names) => names.length > 0)],
  { error: `is neither "none" nor "anybody" nor a list of 1 to ${MAX_EMBEDDERS} names` },
);
export const commentsField: z.ZodType<'none' | 'anybody'> = z.enum(['none', 'anybody']);
/** A path as every browser and URL parser leaves it. */
const pathField: z.ZodType<string> = z
  .string()
  .max(MAX_PLACE)
  .refine((text) => {
    const url = URL.canParse(text, 'http://site') ? new URL(text, 'http://site') : undefined;
    return text.startsWith('/') && url !== undefined && url.host === 'site' && url.pathname + url.search === text;
  }, 'is no path, such as /signed-in.html');
export const signInField: z.ZodType<SignInPlaces> = z.strictObject({
  redirects: some(pathField, MAX_PLACES).refine((paths) => paths.length > 0, 'is empty'),
  signedOut: some(pathField, MAX_PLACES),
});
export const usageField: z.ZodType<readonly LicenceUsage[]> = some(z.enum(USAGES), USAGES.length);
export const userField: z.ZodType<readonly LicenceUser[]> = some(z.enum(USERS), USERS.length);
export const geoField: z.ZodType<readonly string[]> = some(
  z.string().regex(/^[A-Z]{2}$/, 'is not a country of two capital letters'),
  MAX_COUNTRIES,
);
export const paymentField: z.ZodType<LicencePayment> = z.enum(PAYMENTS);
export const urlField: z.ZodType<string> = z
  .string()
  .max(MAX_URL)
  .regex(/^https?:\/\/[\x21-\x7e]+$/, 'is not an address that begins with https://')
  .refine((text) => URL.canParse(text), 'is not an address that begins with https://');

interface Sharing {
  readonly account: string;
  readonly bps: number;
}

/** What is wrong with splits; undefined if nothing is. */
export function wrongWithSplits(splits: readonly Sharing[]): string | undefined {
  if (splits.length === 0 || splits.length > MAX_SPLITS) return `has ${splits.length} shares, not 1 to ${MAX_SPLITS}`;
  if (splits.some(({ bps }) => bps === 0)) return 'has a share of nothing';
  if (new Set(splits.map(({ account }) => account)).size < splits.length) return 'names a wallet twice';
  const sum = splits.reduce((all, { bps }) => all + bps, 0);
  return sum === ALL_BPS ? undefined : `adds up to ${sum / 100}%, not to 100%`;
}

const KIND_OF_ENDING: Partial<Record<Tld, ContentKind>> = {
  image: 'image',
  video: 'video',
  map: 'map',
  route: 'route',
};

/** The kind that all names of that ending have; undefined where it may be any. */
export function kindOfName(name: string): ContentKind | undefined {
  return KIND_OF_ENDING[parseName(name).tld];
}

/** Images, videos and maps are somebody's work, made to be shown by others: without a manifest they are not shown. */
export function needsManifest(name: string): boolean {
  const { tld } = parseName(name);
  return tld === 'image' || tld === 'video' || tld === 'map';
}

/** What does not fit together; undefined if all does. */
export function wrongTogether(what: {
  readonly name: string;
  readonly kind: ContentKind;
  readonly mediaType: string;
}): { readonly field: 'kind' | 'mediaType'; readonly why: string } | undefined {
  const { name, kind, mediaType } = what;
  const ofName = kindOfName(name);
  if (ofName !== undefined && kind !== ofName)
    return { field: 'kind', why: `is "${kind}", and ${name} needs "${ofName}"` };
  const isMedia = kind === 'image' || kind === 'video';
  if (isMedia && !mediaType.startsWith(`${kind}/`)) {
    return { field: 'mediaType', why: `is ${mediaType}, and the kind is "${kind}"` };
  }
  return undefined;
}

/** The first thing that a schema found, as a sentence without its end: `splits.0.share: ...`. */
export function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'it is malformed';
  const at = issue.path.map(String).join('.');
  return at === '' ? issue.message : `${at}: ${issue.message}`;
}

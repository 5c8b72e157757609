/** The fields of a profile, each with its bounds: the same for what its owner writes and for what stands in a block. */
import { diffieHellman, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { KEY_BYTES, ledgerAddress, type LedgerAddress } from '../../core/ids.ts';
import { isName, parseName } from '../../core/name.ts';
import { unixSeconds, type UnixSeconds } from '../../core/units.ts';
import { SIGNATURE_BYTES } from '../../ledger/receipt/index.ts';
import { X25519 } from '../../platform/keys/der.ts';
import type { ProfileLink } from './contract.ts';
import { wrongWithText } from './text.ts';

export const MAX_DISPLAY_NAME = 64;
export const MAX_ABOUT = 1_000;
export const MAX_LINKS = 8;
export const MAX_LINK_LABEL = 40;
const MAX_ADDRESS = 300;
/** Besides the owner. */
export const MAX_WALLETS = 8;

/** `why` is the end of a sentence about the value; undefined: nothing is wrong with it. */
function sound<T>(type: z.ZodType<T>, why: (value: T) => string | undefined): z.ZodType<T> {
  return type.superRefine((value, context) => {
    const message = why(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

function bytesOf(length: number): z.ZodType<Uint8Array> {
  return sound(z.instanceof(Uint8Array), (bytes) => (bytes.length === length ? undefined : `has not ${length} bytes`));
}

function nameEnding(tld: string): z.ZodType<string> {
  return sound(z.string(), (text) =>
    isWritten(text) && parseName(text).tld === tld ? undefined : `is not a name that ends in .${tld}`,
  );
}

/** As it is written in a record. */
function isWritten(text: string): boolean {
  return isName(text) && parseName(text).name === text;
}

export const profileNameField: z.ZodType<string> = nameEnding('sso');
export const avatarField: z.ZodType<string> = nameEnding('image');
export const walletField: z.ZodType<LedgerAddress> = bytesOf(KEY_BYTES).transform((bytes) => ledgerAddress(bytes));
export const signatureField: z.ZodType<Uint8Array> = bytesOf(SIGNATURE_BYTES);
export const tenureField: z.ZodType<UnixSeconds> = z.int().nonnegative().transform(unixSeconds);
export const createdField: z.ZodType<UnixSeconds> = z.int().nonnegative().transform(unixSeconds);
export const displayNameField: z.ZodType<string> = sound(z.string(), (text) =>
  wrongWithText(text, { max: MAX_DISPLAY_NAME, lines: false }),
);
export const aboutField: z.ZodType<string> = sound(z.string(), (text) =>
  wrongWithText(text, { max: MAX_ABOUT, lines: true }),
);
export const messagingKeyField: z.ZodType<Uint8Array> = sound(bytesOf(KEY_BYTES), (bytes) =>
  hasSecrets(bytes) ? undefined : 'is a key with which everybody shares the same secret',
);
export const linksField: z.ZodType<readonly ProfileLink[]> = z
  .array(
    z.strictObject({
      label: sound(z.string(), (text) => wrongWithText(text, { max: MAX_LINK_LABEL, lines: false })),
      to: sound(z.string(), (text) =>
        isWritten(text) || isAddress(text) ? undefined : 'is neither a name nor an address that begins with https://',
      ),
    }),
  )
  .max(MAX_LINKS);

/** With nobody in front of the host: `https://bank.example@evil.example/` reads as another one. */
const ADDRESS = /^https?:\/\/[^/?#\\@]+(?:[/?#][\x21-\x7e]*)?$/;

function isAddress(text: string): boolean {
  return text.length <= MAX_ADDRESS && /^[\x21-\x7e]+$/.test(text) && ADDRESS.test(text) && URL.canParse(text);
}

/** Any private key finds them out. */
const PROBE: KeyObject = X25519.privateKey(new Uint8Array(KEY_BYTES).fill(9));

/** False for the few public keys of small order. */
function hasSecrets(publicKey: Uint8Array): boolean {
  try {
    return diffieHellman({ privateKey: PROBE, publicKey: X25519.publicKey(publicKey) }).some((byte) => byte !== 0);
  } catch {
    return false;
  }
}

/** The first thing that a schema found, as a sentence without its end: `body.links.0.to: ...`. */
export function firstIssue({ issues: [issue] }: z.ZodError): string {
  const at = issue?.path.map(String).join('.') ?? '';
  return `${at === '' ? '' : `${at}: `}${issue?.message ?? 'it is malformed'}`;
}

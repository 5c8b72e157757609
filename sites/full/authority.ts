/** The certificate authority of full mode, in one file of this machine: its key, which is never shown, and its certificate. */
import { X509Certificate, type KeyObject } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { AUTHORITY_MILLIS, LEAF_CERTIFICATE_MILLIS } from '../../core/limits.ts';
import type { Clock } from '../../core/ports.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import { hasErrno } from '../../platform/errno.ts';
import { createP256, p256In, p256Secret } from '../../platform/keys/p256.ts';
import { pem } from '../../platform/keys/pem.ts';
import { createSecret, readSecret, type SecretFile } from '../../platform/keys/secret-file.ts';
import { authorityCertificate, isAuthorityCertificate, leafCertificate } from './certificate.ts';

const FILE = 'ca.pem';
/** A key and a certificate have 1.3 KB. */
const MAX_FILE_BYTES = 16_384;
/** Clocks that were set back meanwhile do not make it a thing of the future. */
const HOUR = 3_600_000;

export interface AuthorityPlace {
  readonly directory: string;
  readonly clock: Clock;
}

export interface Authority {
  /** Which holds its key. */
  readonly file: string;
  /** PEM, for browsers to trust. */
  readonly certificate: string;
  /** As browsers call it. */
  readonly title: string;
  /** SHA-256 of it, as browsers show it. */
  readonly fingerprint: string;
  readonly until: UnixMillis;
  /** DER of a certificate for that host and key, and until when it is good. */
  issue(host: string, spki: Buffer): { readonly certificate: Buffer; readonly until: UnixMillis };
}

/**
 * undefined if there is none.
 * @throws RelaymintError INVALID_ENCODING (damaged), KEY_FILE_UNSAFE (others may read it), INVALID_CONFIG (its time is over), STORAGE_FAILED.
 */
export async function readAuthority({ directory, clock }: AuthorityPlace): Promise<Authority | undefined> {
  const secret = secretIn(directory);
  const content = await readSecret(secret, MAX_FILE_BYTES);
  if (content === undefined) return undefined;
  try {
    return parsed(secret.path, content, clock);
  } finally {
    content.fill(0);
  }
}

/** Makes one where there is none; what is there and damaged is not replaced: browsers trust it. @throws as `readAuthority`. */
export async function openAuthority(place: AuthorityPlace): Promise<Authority> {
  const found = await readAuthority(place);
  if (found !== undefined) return found;
  try {
    await create(place);
  } catch (error) {
    // Another process was faster.
    if (!isRelaymintError(error, 'FILE_EXISTS')) throw error;
  }
  const made = await readAuthority(place);
  if (made === undefined) throw new TypeError('it was there a moment ago');
  return made;
}

/** Whatever state it is in. @returns false if there was none. */
export async function removeAuthority(directory: string): Promise<boolean> {
  const { path: file } = secretIn(directory);
  try {
    await rm(file);
    return true;
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return false;
    throw new RelaymintError('STORAGE_FAILED', `${file} cannot be removed (${messageOf(cause)}).`, {
      remedy: 'Check the permissions of its folder.',
      cause,
    });
  }
}

async function create({ directory, clock }: AuthorityPlace): Promise<void> {
  const key = createP256();
  const now = clock.now();
  const lifetime = { from: unixMillis(now - HOUR), until: unixMillis(now + AUTHORITY_MILLIS) };
  const der = p256Secret(key);
  const text = pem('PRIVATE KEY', der);
  const content = Buffer.concat([text, pem('CERTIFICATE', authorityCertificate(key, lifetime))]);
  try {
    await createSecret({ ...secretIn(directory), makesFolder: true }, content);
  } finally {
    for (const buffer of [der, text, content]) buffer.fill(0);
  }
}

function secretIn(directory: string): SecretFile {
  return { path: path.join(directory, FILE), what: 'certificate authority' };
}

function parsed(file: string, content: Buffer, clock: Clock): Authority {
  const key = p256In(content);
  const certificate = certificateIn(content);
  if (key === undefined || certificate === undefined || !isOwnKind(certificate, key)) {
    throw new RelaymintError('INVALID_ENCODING', `${file} is no certificate authority of full mode, or is damaged.`, {
      remedy: 'Bring it back from a copy; or "relaymint ca remove", and have browsers trust the one that is made then.',
    });
  }
  const until = unixMillis(Date.parse(certificate.validTo));
  if (until <= clock.now()) {
    throw new RelaymintError(
      'INVALID_CONFIG',
      `The certificate authority ${file} was good until ${certificate.validTo}.`,
      {
        remedy: 'Run "relaymint ca remove", and have browsers trust the one that is made then.',
      },
    );
  }
  return {
    file,
    certificate: certificate.toString(),
    title: certificate.subject.replace(/^CN=/, ''),
    fingerprint: certificate.fingerprint256,
    until,
    issue: (host, spki) => {
      const now = clock.now();
      const lifetime = {
        from: unixMillis(now - HOUR),
        until: unixMillis(Math.min(now + LEAF_CERTIFICATE_MILLIS, until)),
      };
      return { certificate: leafCertificate(key, host, spki, lifetime), until: lifetime.until };
    },
  };
}

function certificateIn(content: Buffer): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(content);
    return certificate.verify(certificate.publicKey) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Exactly such a one as is made here, of that key: whatever else it said (authorities below it, other uses of keys, more names) browsers would
 * believe, and people were told of none.
 */
function isOwnKind({ raw }: X509Certificate, key: KeyObject): boolean {
  try {
    return isAuthorityCertificate(raw, key);
  } catch {
    return false;
  }
}

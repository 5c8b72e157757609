/** Onion services that a torrc makes (`HiddenServiceDir`, `HiddenServicePort`): tor holds the key, we listen where it leads. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError } from '../../../core/errors.ts';
import { hasErrno } from '../../../platform/errno.ts';
import type { Endpoint } from '../endpoint.ts';
import { readOnion } from './address.ts';

export interface TorrcService {
  /** The port that visitors ask for: the first word of HiddenServicePort. */
  readonly port: number;
  /** The folder that HiddenServiceDir names. */
  readonly hiddenServiceDir: string;
  /** Where tor hands visitors over: the second word of HiddenServicePort. */
  readonly local: Endpoint;
}

/**
 * The service's 56 characters, as tor wrote them into the file `hostname`.
 * @throws RelaymintError FILE_NOT_FOUND while tor has not made the service yet, STORAGE_FAILED when the file may not be read,
 *   INVALID_CONFIG if it is not an address.
 */
export async function onionOfTorrcService({ hiddenServiceDir }: TorrcService): Promise<string> {
  const file = path.join(hiddenServiceDir, 'hostname');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw unreadable(file, cause as NodeJS.ErrnoException);
  }
  try {
    return readOnion(text.trim()).onion;
  } catch (cause) {
    throw new RelaymintError('INVALID_CONFIG', `${file} holds no onion address.`, {
      remedy: 'Name the folder that HiddenServiceDir names in the torrc.',
      cause,
    });
  }
}

function unreadable(file: string, cause: NodeJS.ErrnoException): RelaymintError {
  if (hasErrno(cause, 'ENOENT')) {
    return new RelaymintError('FILE_NOT_FOUND', `The onion service is not yet ready: there is no ${file}.`, {
      remedy: 'Tor writes it when it starts with HiddenServiceDir in its torrc: start or reload tor, then try again.',
      cause,
    });
  }
  return new RelaymintError('STORAGE_FAILED', `${file} cannot be read (${cause.code ?? cause.message}).`, {
    remedy: 'The folder belongs to tor: run as its user, or let tor create the service over its control port instead.',
    cause,
  });
}

/** The control commands about onion services (control-spec: ADD_ONION, DEL_ONION, ONION_CLIENT_AUTH_ADD). */
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import { formatEndpoint, type Endpoint } from '../endpoint.ts';
import type { TorControl } from './control.ts';
import { clientKeyText, type OnionKey } from './key.ts';

export interface OnionServiceOptions {
  /** Public client keys (x25519, 32 bytes each). With any, only their holders can read how to reach the service. */
  readonly clients?: readonly Uint8Array[];
  /** Streams that one visitor's circuit may have open at once; one more ends it with all of them. Default: any number. */
  readonly maxStreams?: number;
  /** Visitors work before they are let in while too many come, where this tor can ask for that. Default: false. */
  readonly proofOfWork?: boolean;
}

/** A client key of ours for somebody's private service. */
export interface OnionAccess {
  /** The service: 56 characters. */
  readonly onion: string;
  /** x25519, 32 bytes. A secret. */
  readonly privateKey: Uint8Array;
}

/** An onion service as we want it, whether tor is there or not. */
export interface Service {
  readonly key: OnionKey;
  readonly options: OnionServiceOptions;
  /** By port of the service. */
  readonly targets: Map<number, Endpoint>;
}

/** What DEL_ONION is answered with about a service that tor does not have. */
const UNKNOWN_SERVICE = 552;
/** What a tor before 0.4.9 answers ADD_ONION with, which has no proof of work there. */
const UNKNOWN_WORDS: readonly unknown[] = [512, 513];

/** @throws RelaymintError CONNECTION_REFUSED (tor serves it already), and as `TorControl.command`. */
export async function addOnion(control: TorControl, service: Service, signal: AbortSignal): Promise<void> {
  const { key, options } = service;
  const { proofOfWork = false } = options;
  try {
    await control.command(addCommand(service, proofOfWork), { signal });
  } catch (error) {
    if (!isRelaymintError(error, 'TOR_CONTROL_FAILED')) throw error;
    if (/collision/i.test(error.message)) {
      throw taken(key.onion, 'tor serves it already, perhaps for another program', error);
    }
    if (!proofOfWork || !UNKNOWN_WORDS.includes(error.details['reply'])) throw error;
    await addOnion(control, { ...service, options: { ...options, proofOfWork: false } }, signal);
  }
}

function addCommand({ key, options, targets }: Service, proofOfWork: boolean): string {
  const { clients = [], maxStreams } = options;
  const flags = [
    'DiscardPK',
    ...(clients.length > 0 ? ['V3Auth'] : []),
    ...(maxStreams === undefined ? [] : ['MaxStreamsCloseCircuit']),
  ];
  return [
    'ADD_ONION',
    `ED25519-V3:${base64(key.expanded)}`,
    `Flags=${flags.join(',')}`,
    ...(maxStreams === undefined ? [] : [`MaxStreams=${maxStreams}`]),
    ...(proofOfWork ? ['PoWDefensesEnabled=1'] : []),
    ...[...targets].map(([port, target]) => `Port=${port},${formatEndpoint(target)}`),
    ...clients.map((client) => `ClientAuthV3=${clientKeyText(client)}`),
  ].join(' ');
}

/** One that tor does not have is down already. @throws as `TorControl.command`. */
export async function deleteOnion(control: TorControl, onion: string, signal: AbortSignal): Promise<void> {
  try {
    await control.command(`DEL_ONION ${onion}`, { signal });
  } catch (error) {
    const unknown = isRelaymintError(error, 'TOR_CONTROL_FAILED') && error.details['reply'] === UNKNOWN_SERVICE;
    if (!unknown) throw error;
  }
}

/** @throws as `TorControl.command`. */
export async function tellAccess(
  control: TorControl,
  { onion, privateKey }: OnionAccess,
  signal: AbortSignal,
): Promise<void> {
  await control.command(`ONION_CLIENT_AUTH_ADD ${onion} x25519:${base64(privateKey)}`, { signal });
}

export function taken(onion: string, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('CONNECTION_REFUSED', `Cannot serve ${onion}.onion: ${why}.`, {
    remedy: 'Stop the program that serves it, or use another key.',
    cause,
  });
}

/** True for what ADD_ONION can name: it takes no quotes, and ends a word at a space. */
export function isTarget(endpoint: Endpoint): boolean {
  return endpoint.kind === 'tcp' || /^(?:(?![",])[\x21-\x7e])+$/.test(endpoint.path);
}

/** Of the bytes where they are: a copy of a secret would be wiped by nobody. */
function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

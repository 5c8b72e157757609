/** What a visitor asks of its host's statements, and how it checks them. */
import { isRelaymintError, violation, type RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress, NodeId } from '../../core/ids.ts';
import type { Clock } from '../../core/ports.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { hourOf, readStatement, type SignedStatement } from '../statement/index.ts';
import type { ContentWanted } from './protocol.ts';

/** Whose statements a host has to sign: what its offer says. */
export interface HostTerms {
  readonly host: NodeId;
  readonly wallet: LedgerAddress;
  readonly price: PricePerMiB;
}

/** What a host is to state, and who is told. */
export interface Statements extends HostTerms, ContentWanted {
  readonly clock: Clock;
  readonly onStated: (statement: SignedStatement) => void;
  /** It stated nothing, or something else than what came; the stream is none the worse. */
  readonly onFault: (error: RelaymintError) => void;
}

/** Hours that clocks of honest ends may seem to be apart: their clocks differ by minutes, at the turn of an hour. */
const HOURS_APART = 1;

/** What the visitor knows of a stream. */
export interface Came {
  readonly nonce: Uint8Array;
  readonly bytes: number;
  /** The hour in which it began. */
  readonly since: number;
}

/** @throws RelaymintError PROTOCOL_VIOLATION when it is not what an honest host states of what came. */
export function checkStated(encoded: Uint8Array, expected: Statements, came: Came): SignedStatement {
  const stated = read(encoded);
  const wrong = wrongIn(stated, expected, came);
  if (wrong !== undefined)
    throw violation(`The host signed a false statement: ${wrong}.`, 'Other hosts are preferred.');
  return stated;
}

function wrongIn(stated: SignedStatement, expected: Statements, came: Came): string | undefined {
  if (stated.host !== expected.host) return 'it is of another host';
  if (stated.wallet !== expected.wallet) return 'it names a wallet that is not in its offer';
  if (stated.price !== expected.price) return `it states the price ${stated.price} and offered ${expected.price}`;
  if (stated.name !== expected.name || stated.referrer !== expected.referrer) return 'it is of other content';
  if (!Buffer.from(came.nonce).equals(stated.nonce)) return 'it is of another stream';
  if (stated.bytes !== came.bytes) return `it states ${stated.bytes} bytes, and ${came.bytes} came`;
  // Otherwise it could put off for ever the time at which it has to have declared them, or have them passed over as old.
  const isTimely =
    Math.abs(stated.until - hourOf(expected.clock.now())) <= HOURS_APART &&
    Math.abs(stated.from - came.since) <= HOURS_APART;
  return isTimely ? undefined : 'it is of another time';
}

function read(encoded: Uint8Array): SignedStatement {
  try {
    return readStatement(encoded);
  } catch (error) {
    if (!isRelaymintError(error, 'INVALID_ENCODING', 'NAME_INVALID')) throw error;
    throw violation(error.message, 'Other hosts are preferred.', error);
  }
}

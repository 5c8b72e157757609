/**
 * The bytes of the `statements` service, version 1, by which a gateway hands statements to an owner's inbox. Little-endian.
 *
 *   params            version u8
 *   gateway batch     count u8 (1 .. 16) | that many times: length u16, statement
 *   inbox   answer    for each, in their order: u8, 0 it is kept, 1 it proves nothing to this owner, 2 come again; then the stream ends
 */
import type { Duplex } from 'node:stream';
import { Reader, Writer } from '../../core/codec.ts';
import { RelaymintError, isRelaymintError, violation } from '../../core/errors.ts';
import { MAX_BATCHES_AT_ONCE, MAX_STATEMENTS_IN_BATCH, MAX_STATEMENT_BYTES } from '../../core/limits.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import type { PaidStream, ServiceHandler } from '../blocks/index.ts';
import { ByteReader, IdleTimer, Padding, writeAll } from '../wire/index.ts';
import { LATER, REFUSED, TAKEN, type Inbox, type Verdict } from './inbox.ts';
import type { SignedStatement } from './statement.ts';

/** Name of the service in offers and BEGIN cells. */
export const STATEMENTS_SERVICE = 'statements';
const VERSION = 1;
/** How long either end waits for the other, milliseconds. */
const BATCH_WAIT_MILLIS = 30_000;

/** What a stream to an inbox begins with. */
export function encodeBatchParams(): Uint8Array {
  return Uint8Array.of(VERSION);
}

/** The inbox's side. A batch that is cut off, too long or malformed ends its stream, and nothing of it is kept. */
export function createStatementsService(inbox: Inbox, log: Log = silentLog): ServiceHandler {
  let open = 0;
  return (stream, params) => {
    stream.on('error', (error) => log.debug({ err: error }, 'A batch of statements ended early.'));
    if (open >= MAX_BATCHES_AT_ONCE) {
      stream.destroy(
        new RelaymintError('LIMIT_EXCEEDED', 'This inbox reads too many batches.', { remedy: 'Come again.' }),
      );
      return;
    }
    open += 1;
    receive(inbox, stream, params)
      .catch((error: unknown) => {
        if (!isRelaymintError(error)) log.error({ err: error }, 'Taking statements failed; the stream was reset.');
        stream.destroy(error instanceof Error ? error : new Error(String(error)));
      })
      .finally(() => {
        open -= 1;
      });
  };
}

async function receive(inbox: Inbox, stream: Duplex, params: Uint8Array): Promise<void> {
  const version = new Reader(params, 'parameters of a batch of statements');
  if (version.u8() !== VERSION) {
    throw new RelaymintError('VERSION_UNSUPPORTED', 'This version of the statements protocol is unknown.', {
      remedy: 'Use the same release of Relaymint on both ends.',
    });
  }
  version.end();
  const idle = new IdleTimer(stream, BATCH_WAIT_MILLIS, 'gateway');
  const reader = new ByteReader(stream, () => idle.touch());
  const count = (await reader.take(1))[0] ?? 0;
  if (count === 0 || count > MAX_STATEMENTS_IN_BATCH) throw amiss(`a batch of ${count} statements`);
  const batch: Uint8Array[] = [];
  for (let taken = 0; taken < count; taken += 1) {
    const length = new Reader(await reader.take(2), 'length of a statement').u16();
    if (length > MAX_STATEMENT_BYTES) throw amiss(`a statement of ${length} bytes`);
    batch.push(Uint8Array.from(await reader.take(length)));
  }
  await writeAll(stream, Uint8Array.from(await inbox.take(batch)));
  stream.end();
}

/**
 * The gateway's side, on a stream that was opened with `encodeBatchParams`. Takes over the stream.
 * @param statements 1 .. MAX_STATEMENTS_IN_BATCH
 * @throws RelaymintError STREAM_RESET, PROTOCOL_VIOLATION, TIMEOUT: nothing is known of any of them.
 */
export async function sendStatements(
  stream: PaidStream,
  statements: readonly SignedStatement[],
): Promise<readonly Verdict[]> {
  stream.on('error', () => undefined);
  const padding = new Padding(stream);
  try {
    const idle = new IdleTimer(stream, BATCH_WAIT_MILLIS, 'inbox');
    const batch = new Writer(1 + statements.length * (2 + MAX_STATEMENT_BYTES)).u8(statements.length);
    for (const { encoded } of statements) batch.bytes16(encoded);
    await writeAll(stream, batch.finish());
    const came = (): void => {
      padding.check();
      idle.touch();
    };
    const answer = await new ByteReader(stream, came).take(statements.length);
    return Array.from(answer, verdictOf);
  } finally {
    stream.destroy();
  }
}

function verdictOf(value: number): Verdict {
  if (value === TAKEN || value === REFUSED || value === LATER) return value;
  throw amiss(`the unknown verdict ${value}`);
}

function amiss(what: string): RelaymintError {
  return violation(`The other end of a batch of statements sent ${what}.`, 'Use the same release on both ends.');
}

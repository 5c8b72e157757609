/** Server-sent events as they are in a body (HTML standard), also where there is no EventSource, which cannot be asked for headers or errors. */
import { abortError, onAbort } from '../core/abort.ts';
import { RelaymintError, violation } from '../core/errors.ts';

export interface ServerEvent {
  /** `retry` for the milliseconds to wait before asking again. */
  readonly type: string;
  readonly data: string;
}

/** No gateway sends a line as long: an entry has at most 12 KiB. */
const MAX_PENDING_CHARACTERS = 262_144;

/**
 * Leaving the loop, or the end of the signal, closes the connection.
 * @throws RelaymintError CONNECTION_LOST when it breaks, ABORTED, PROTOCOL_VIOLATION.
 */
export async function* eventsIn(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const close = (): void => void reader.cancel().catch(() => {});
  const tie = onAbort(signal, close);
  const decoder = new TextDecoder();
  let pending = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) throw abortError(signal, 'Reading events');
      if (done) return;
      const blocks = (pending + decoder.decode(value, { stream: true })).split('\n\n');
      pending = blocks.pop() ?? '';
      if (pending.length > MAX_PENDING_CHARACTERS) throw violation('The gateway sent an event that does not end.');
      for (const block of blocks) yield* eventsOf(block);
    }
  } catch (error) {
    if (signal.aborted) throw abortError(signal, 'Reading events');
    if (error instanceof RelaymintError) throw error;
    throw new RelaymintError('CONNECTION_LOST', 'The gateway went away.', { cause: error });
  } finally {
    tie[Symbol.dispose]();
    close();
  }
}

function eventsOf(block: string): ServerEvent[] {
  let type = 'message';
  const data: string[] = [];
  const events: ServerEvent[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const field = line.slice(0, colon);
    const value = line.slice(colon + 1).trimStart();
    if (field === 'event') type = value;
    else if (field === 'data') data.push(value);
    else if (field === 'retry' && /^\d+$/.test(value)) events.push({ type: field, data: value });
  }
  if (data.length > 0) events.push({ type, data: data.join('\n') });
  return events;
}

/** What a host says of itself reaches the terminals of those who asked it: as text, and never as commands to the terminal. */
import { afterEach, describe, expect, it } from 'vitest';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { errorText } from '../../cli/output.ts';
import { printable } from '../../core/printable.ts';
import { decodeEnd, encodeEnd, endError } from '../../node/circuit/reason.ts';
import { encodeRefusal } from '../../sites/feed/protocol.ts';
import { encodePublishAnswer, readPublishAnswer } from '../../sites/publish/protocol.ts';
import { EntryWriter, FeedReader } from '../../sites/feed/index.ts';
import { ByteReader } from '../../sites/wire/index.ts';
import { Cleanup, socketPair } from './kit.ts';
import { FORUM, Town } from './feed/kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
afterEach(() => cleanup.run());

/** It clears the screen, sets the title, begins a line that looks like ours, turns the direction, and says C1's own escape. */
const HOSTILE = 'no\u001b[2J\u001b]0;title\u0007\r\nrelaymint: done\u202egnp.exe\u009b2J';
const SHOWN = 'no?[2J?]0;title???relaymint: done?gnp.exe?2J';

/** The far end says that, whatever it is asked. */
async function toldBy(bytes: Uint8Array): Promise<Awaited<ReturnType<typeof socketPair>>[0]> {
  const [near, far] = await socketPair(cleanup);
  far.on('error', () => undefined);
  far.once('data', () => far.write(bytes));
  return near;
}

async function messageOf(failing: Promise<unknown>): Promise<string> {
  const error = await failing.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  return isRelaymintError(error) ? error.message : '';
}

describe('what a hostile host says', () => {
  it.each(['CONTENT_REFUSED', 'ENTRY_INVALID', 'LIMIT_EXCEEDED', 'A\u001b[2J'])(
    'is text where it refuses an entry with %j, and to tell some',
    async (code) => {
      const town = new Town(cleanup);
      const refusal = encodeRefusal({ code, message: HOSTILE });
      using writer = new EntryWriter(await toldBy(refusal));
      const entry = await town.entry({ author: FORUM }, 'hello');
      expect(await messageOf(writer.bring(entry, { signal }))).toContain(SHOWN);
      using reader = new FeedReader(await toldBy(refusal));
      const asked = reader.page({ topic: '', from: 'newest', waits: false }, { signal });
      const message = await messageOf(asked);
      expect(message).toContain(SHOWN);
      expect(printable(message)).toBe(message);
    },
  );

  it('is text where it refuses to take a site', async () => {
    const near = await toldBy(encodePublishAnswer({ kind: 'refused', code: 'CONTENT_REFUSED', message: HOSTILE }));
    near.write('question');
    expect(await readPublishAnswer(new ByteReader(near))).toMatchObject({ message: SHOWN });
  });

  it('is text where it ends a stream', () => {
    const { reason, text } = decodeEnd(encodeEnd(2, HOSTILE));
    expect(endError(reason, text, true).message).toContain(SHOWN);
  });

  it('is text on the terminal, wherever it came from', () => {
    const error = new RelaymintError('NO_ROUTE', HOSTILE);
    expect(errorText(error)).toBe('no?[2J?]0;title??\nrelaymint: done?gnp.exe?2J [NO_ROUTE]');
  });
});

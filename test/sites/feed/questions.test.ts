/** What entries make a host ask the ledger, whoever brings how many of them. */
import { afterEach, describe, expect, it } from 'vitest';
import { ENTRY_QUESTIONS_AT_ONCE, ENTRY_QUESTION_REST_MILLIS } from '../../../core/limits.ts';
import { EntryWriter, encodeWriteParams, type SignedEntry } from '../../../sites/feed/index.ts';
import { Cleanup, wallet } from '../kit.ts';
import { FORUM, Town, type FeedHost } from './kit.ts';

const cleanup = new Cleanup();
const { signal } = new AbortController();
afterEach(() => cleanup.run());

type Outcome = string;

/** What the host says of it: its code, or that it took it. */
async function outcomeOf(writer: EntryWriter, signed: SignedEntry): Promise<Outcome> {
  try {
    await writer.bring(signed, { signal });
    return 'taken';
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
}

async function writerTo(host: FeedHost, service: 'post' | 'update' = 'post'): Promise<EntryWriter> {
  return new EntryWriter(await host.route.openStream(service, encodeWriteParams()));
}

/** As many as strangers may cause: each in the name of another, which nobody has. */
async function exhaust(town: Town, host: FeedHost): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let at = 0; at < 2 * ENTRY_QUESTIONS_AT_ONCE; at += 4) {
    // One that is mistaken too often is left.
    using writer = await writerTo(host);
    for (let one = at; one < at + 4; one += 1)
      outcomes.push(await outcomeOf(writer, await town.entry({ author: `nobody-${one}.sso` }, 'spam')));
  }
  return outcomes;
}

describe('what a host asks the ledger', () => {
  it('is bounded, however many names strangers bring, and they hear that they may come again', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const began = performance.now();
    town.ledger.questions = 0;
    const outcomes = await exhaust(town, host);
    const most = ENTRY_QUESTIONS_AT_ONCE + (performance.now() - began) / ENTRY_QUESTION_REST_MILLIS + 1;
    expect(town.ledger.questions).toBeLessThan(most);
    expect(outcomes[0]).toBe('ENTRY_INVALID');
    expect(outcomes).toContain('LIMIT_EXCEEDED');
  });

  it('is so also of forgeries in the name of one whom it knows', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    await host.bring(await town.entry({ author: 'alice.sso' }, 'good morning'));
    town.ledger.questions = 0;
    using writer = await writerTo(host);
    for (let count = 0; count < 8; count += 1)
      expect(await outcomeOf(writer, await town.entry({ author: 'alice.sso' }, 'forged', 9))).toBe('ENTRY_INVALID');
    expect(town.ledger.questions).toBe(0);
  });

  it('keeps nobody waiting whom it knows, while strangers ask all that they may', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    await host.bring(await town.entry({ author: 'alice.sso' }, 'good morning'));
    await host.bring(
      await town.entry({ author: FORUM, kind: 'update', topic: '', expires: later(town) }, 'now'),
      'update',
    );
    town.clock.advance(60_000);
    await exhaust(town, host);
    await host.bring(await town.entry({ author: 'alice.sso' }, 'good evening'));
    await host.bring(
      await town.entry({ author: FORUM, kind: 'update', topic: '', expires: later(town) }, 'then'),
      'update',
    );
    expect((await host.told()).map(({ entry }) => entry.kind)).toEqual(['post', 'post']);
  });

  it('lets who is to come again do so on the same stream, as often as it pays', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    await exhaust(town, host);
    using writer = await writerTo(host);
    const outcomes = new Map<Outcome, number>();
    for (let count = 0; count < 300; count += 1) {
      const outcome = await outcomeOf(writer, await town.entry({ author: 'bob.sso' }, `try ${count}`));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].toSorted()).toEqual(expect.arrayContaining(['LIMIT_EXCEEDED']));
    expect(outcomes.has('STREAM_RESET')).toBe(false);
  });

  it('is one question for all that one brings within seconds, and for all who bring it at once', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const entries = await Promise.all([1, 2, 3, 4].map((at) => town.entry({ author: 'alice.sso' }, `word ${at}`)));
    town.ledger.questions = 0;
    // Each on a stream of its own.
    await Promise.allSettled(entries.map((signed) => host.bring(signed)));
    await host.bring(await town.entry({ author: 'alice.sso' }, 'the last word'));
    // Of the author, and of the name in which it is said.
    expect(town.ledger.questions).toBe(2);
  });

  it('is nothing for what is there already, what came too late, and what is of another time', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    const early = await town.entry({ author: 'alice.sso' }, 'never brought');
    const [first, second] = [
      await town.entry({ author: 'alice.sso' }, 'one'),
      await town.entry({ author: 'alice.sso' }, 'two'),
    ];
    for (const signed of [first, second]) await host.bring(signed);
    town.clock.advance(60_000);
    const ahead = await town.entry({ author: 'bob.sso', created: later(town) }, 'tomorrow');
    town.ledger.questions = 0;
    using writer = await writerTo(host);
    const outcomes: Outcome[] = [];
    for (const signed of [first, second, early, ahead]) outcomes.push(await outcomeOf(writer, signed));
    expect(outcomes).toEqual(['taken', 'taken', 'ENTRY_STALE', 'ENTRY_INVALID']);
    expect(town.ledger.questions).toBe(0);
  });

  it('is asked again for who bought a name: who had it before is heard no more', async () => {
    const town = new Town(cleanup);
    const host = await town.host();
    await host.bring(await town.entry({ author: 'alice.sso' }, 'the first alice'));
    town.ledger.register('alice.sso', new Uint8Array(), wallet(8).address);
    town.clock.advance(2_000);
    using writer = await writerTo(host);
    expect(await outcomeOf(writer, await town.entry({ author: 'alice.sso' }, 'of the second', 8))).toBe('taken');
    expect(await outcomeOf(writer, await town.entry({ author: 'alice.sso' }, 'of the first', 2))).toBe('ENTRY_INVALID');
  });
});

function later(town: Town): ReturnType<Town['clock']['now']> {
  return (town.clock.now() + 600_000) as ReturnType<Town['clock']['now']>;
}

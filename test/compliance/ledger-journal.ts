/** What the embedded ledger's journal must do, whether or not it outlives the process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../core/codec.ts';
import type { Change, Journal } from '../../ledger/solana/embedded/journal.ts';
import { closed } from './traits.ts';

export interface JournalSetup {
  /** A new one. */
  readonly setup: () => Promise<Journal>;
  /** The one in the same place, once that before it was closed. */
  readonly reopen: () => Promise<Journal>;
  readonly teardown: () => Promise<void>;
  /** What was put is there after a reopen; else nothing is. */
  readonly keeps: boolean;
}

const MIB = 1024 * 1024;
/** More than a function takes arguments. */
const MANY = 200_000;

const set = (key: string, text: string): Change => ({ key, value: utf8(text) });
const remove = (key: string): Change => ({ key, value: undefined });

export function ledgerJournalCompliance(name: string, { setup, reopen, teardown, keeps }: JournalSetup): void {
  describe(`a journal of the embedded ledger: ${name}`, () => {
    let journal: Journal;
    beforeEach(async () => {
      journal = await setup();
    });
    afterEach(async () => {
      await journal.close();
      await teardown();
    });

    const read = async (from: Journal): Promise<(readonly [string, Uint8Array])[]> => {
      const entries: (readonly [string, Uint8Array])[] = [];
      for await (const entry of from.load()) entries.push(entry);
      return entries;
    };
    const again = async (): Promise<(readonly [string, string])[]> => {
      await journal.close();
      journal = await reopen();
      return (await read(journal)).map(([key, value]) => [key, Buffer.from(value).toString()]);
    };
    /** As it is there after a reopen. */
    const kept = <T>(entries: readonly T[]): readonly T[] => (keeps ? entries : []);

    it('holds nothing at first, and has nothing to wait for', async () => {
      expect(await read(journal)).toEqual([]);
      await journal.settled();
      expect(await again()).toEqual([]);
    });

    it('gives what was put in key order, the newest of each key, without what was removed', async () => {
      journal.put([set('c', '1'), set('a', '1'), set('é', '1'), set('b', '1')]);
      await journal.settled();
      journal.put([set('a', '2'), remove('b'), remove('never there')]);
      journal.put([remove('c'), set('a', '3')]);
      journal.put([set('c', '2')]);
      await journal.settled();
      const entries = [
        ['a', '3'],
        ['c', '2'],
        ['é', '1'],
      ];
      expect(await again()).toEqual(kept(entries));
    });

    it('settles for everybody who waits, whatever was put meanwhile', async () => {
      const waiting: Promise<void>[] = [];
      for (let round = 0; round < 50; round += 1) {
        journal.put([set(`key ${String(round).padStart(2, '0')}`, String(round))]);
        waiting.push(journal.settled());
        if (round % 10 === 0) await journal.settled();
      }
      await Promise.all(waiting);
      expect(await again()).toHaveLength(keeps ? 50 : 0);
    });

    it('waits at its close for what was put and nobody waited for', async () => {
      journal.put([set('a', '1')]);
      // The write of that begins: what comes now waits behind it.
      await Promise.resolve();
      await Promise.resolve();
      journal.put([set('a', '2'), set('b', '1')]);
      const entries = [
        ['a', '2'],
        ['b', '1'],
      ];
      expect(await again()).toEqual(kept(entries));
    });

    it('goes on after a reopen, as often as that happens', async () => {
      for (const round of ['1', '2', '3']) {
        journal.put([set('last', round), set(`in ${round}`, '')]);
        await again();
      }
      journal.put([remove('in 2')]);
      const entries = [
        ['in 1', ''],
        ['in 3', ''],
        ['last', '3'],
      ];
      expect(await again()).toEqual(kept(entries));
    });

    it('takes nothing, empty values, big ones, and as many at once as there are', async () => {
      journal.put([]);
      await journal.settled();
      journal.put([set('empty', ''), { key: 'big', value: new Uint8Array(4 * MIB).fill(7) }]);
      journal.put(Array.from({ length: MANY }, (_none, index) => set(`many ${index % 1000}`, String(index))));
      await journal.settled();
      const entries = await again();
      expect(entries).toHaveLength(keeps ? 1002 : 0);
      expect(entries.filter(([key]) => key === 'many 999' || key === 'empty')).toEqual(
        kept([
          ['empty', ''],
          ['many 999', String(MANY - 1)],
        ]),
      );
    });

    closed(
      () => journal,
      (it) => it.close(),
      { load: read, put: (it) => it.put([set('a', '1')]) },
    );

    it('is settled once it is closed, and what came after that is not there', async () => {
      journal.put([set('a', '1')]);
      const closing = journal.close();
      expect(() => journal.put([set('a', '2')])).toThrow(expect.objectContaining({ code: 'CLOSED' }));
      await closing;
      await journal.settled();
      expect(await again()).toEqual(kept([['a', '1']]));
    });
  });
}

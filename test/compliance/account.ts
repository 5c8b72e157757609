/** What an account does once it is over, at either end, that of the payer and that of the payee, however it came to its end. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { amount } from '../../core/units.ts';
import type { AccountBook, EarningAccount, SpendingAccount } from '../../ledger/accounting/index.ts';
import { closed } from './traits.ts';

type Account = SpendingAccount | EarningAccount;

export interface AccountUnderTest<A extends Account> {
  readonly account: A;
  readonly book: AccountBook;
  /** Frames pass on the newest account of the channel, both ways, and are not paid yet. */
  readonly carry: () => void;
  /** Opens the account that follows, for another link. */
  readonly next: () => A;
}

export interface AccountSetup<A extends Account> {
  readonly setup: () => Promise<AccountUnderTest<A>>;
  readonly teardown: () => Promise<void>;
  /** What may come to be owed on it from now on, in whatever unit. */
  readonly room: (account: A) => bigint;
  /** Calls that fail when it is over. */
  readonly failing: Readonly<Record<string, (account: A) => unknown>>;
  /** All others that could change something. */
  readonly others: Readonly<Record<string, (account: A) => unknown>>;
}

export function accountCompliance<A extends Account>(
  name: string,
  { setup, teardown, room, failing, others }: AccountSetup<A>,
): void {
  describe(`an account that is over: ${name}`, () => {
    let tested: AccountUnderTest<A>;
    beforeEach(async () => {
      tested = await setup();
      tested.carry();
    });
    afterEach(teardown);

    it('was open before', () => {
      const { account } = tested;
      expect([account.closed, account.unsigned > 0n, room(account) > 0n]).toEqual([false, true, true]);
    });

    describe.each<readonly [string, (it: AccountUnderTest<A>) => unknown]>([
      ['by itself', ({ account }) => account.close()],
      ['by the one that follows it', ({ next }) => next()],
      ['with its book', ({ book }) => book.close()],
      ['with its channel', ({ book, account }) => book.forget(account.channel)],
    ])('%s', (_how, end) => {
      it('says so: nothing is due on it, and nothing may be', async () => {
        await end(tested);
        const { account } = tested;
        expect([account.closed, account.unsigned, room(account)]).toEqual([true, 0n, 0n]);
      });

      it('has the figures that it had, whatever it is told', async () => {
        const { account } = tested;
        const before = account.counts();
        await end(tested);
        expect(account.counts()).toEqual(before);
        for (const call of Object.values(others)) call(account);
        expect([account.counts(), account.unsigned, room(account)]).toEqual([before, 0n, 0n]);
      });

      it('wakes nobody, whatever it is told and the ledger shows', async () => {
        const { account, book } = tested;
        await end(tested);
        const woken: string[] = [];
        account.onRoom = () => void woken.push('room');
        if ('onOpen' in account) account.onOpen = () => void woken.push('open');
        for (const call of Object.values(others)) call(account);
        book.update({ ...account.channel, deposit: amount(account.channel.deposit + 1n) });
        expect(woken).toEqual([]);
      });

      it('is closed again without harm', async () => {
        const { account } = tested;
        await end(tested);
        const before = account.counts();
        account.close();
        expect([account.closed, account.counts()]).toEqual([true, before]);
      });
    });

    closed(
      () => tested.account,
      (account) => account.close(),
      failing,
    );

    it('leaves the one that follows it alone, whatever it is told', () => {
      const { account, next, carry } = tested;
      const following = next();
      carry();
      const before = [following.counts(), following.unsigned, room(following)];
      for (const call of Object.values(others)) call(account);
      expect([following.counts(), following.unsigned, room(following)]).toEqual(before);
    });
  });
}

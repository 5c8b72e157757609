/** The real wallet, with a fault at a step of our choice. */
import { RelaymintError } from '../../../core/errors.ts';
import type { LedgerWallet, PreparedTransaction, SubmissionStatus } from '../../../ledger/contract.ts';

export const STEPS = [
  'before prepare',
  'after prepare',
  'before submit',
  'after submit',
  'before confirm',
  'after confirm',
] as const;
export type Step = (typeof STEPS)[number];

/** The process stops here: nothing of ours may catch this and go on. */
export class Crash extends Error {}

/** `at` is told of each step and may throw, or never return. */
export function withFaults(wallet: LedgerWallet, at: (step: Step) => void | Promise<void>): LedgerWallet {
  const faulty: Pick<LedgerWallet, 'prepareSettle' | 'prepareWithdraw' | 'submit' | 'confirm'> = {
    async prepareSettle(...settlement): Promise<PreparedTransaction> {
      await at('before prepare');
      const prepared = await wallet.prepareSettle(...settlement);
      await at('after prepare');
      return prepared;
    },
    async prepareWithdraw(earned): Promise<PreparedTransaction> {
      await at('before prepare');
      const prepared = await wallet.prepareWithdraw(earned);
      await at('after prepare');
      return prepared;
    },
    async submit(transaction): Promise<void> {
      await at('before submit');
      await wallet.submit(transaction);
      await at('after submit');
    },
    async confirm(transaction, signal): Promise<SubmissionStatus> {
      await at('before confirm');
      const status = await wallet.confirm(transaction, signal);
      await at('after confirm');
      return status;
    },
  };
  return new Proxy(wallet, {
    get(target, property): unknown {
      if (property in faulty) return Reflect.get(faulty, property);
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export function unreachable(): RelaymintError {
  return new RelaymintError('LEDGER_UNREACHABLE', 'The ledger does not answer.');
}

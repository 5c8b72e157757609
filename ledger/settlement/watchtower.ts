/**
 * Answers close requests for payees that are away. It holds their newest receipts and a key that pays fees: receipts
 * say where their value goes, so it can be robbed of a few lamports and of nothing else.
 *
 * It keeps no records. The till itself says what is still to be settled, and settling a receipt twice changes nothing: a
 * watchtower that dies anywhere looks again at its next start and does what is left.
 */
import { assertNotAborted, elapsed } from '../../core/abort.ts';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { ChannelId, LedgerAddress } from '../../core/ids.ts';
import { silentLog } from '../../core/ports.ts';
import type { Log } from '../../core/ports.ts';
import type { Amount, Lamports } from '../../core/units.ts';
import type { ChannelState, LedgerReader, LedgerWallet } from '../contract.ts';
import { receiptMessage, receiptSignature, verifyReceipt } from '../receipt/index.ts';
import type { SignedReceipt } from '../receipt/index.ts';
import { Patience } from './patience.ts';
import { increaseOf, planBatches, refitBatch, splitBatch } from './plan.ts';
import type { Batch, Candidate, Fit } from './plan.ts';
import { pollWithin } from './poll.ts';
import { readReceiptFile } from './receipt-file.ts';
import type { FiledReceipt, ReceiptFile } from './receipt-file.ts';
import { isRefusal } from './refusal.ts';
import { costOf, isWorthSending, mostBid } from './worth.ts';
import type { Worth } from './worth.ts';

export interface WatchtowerOptions {
  /** Pays the fees; owns none of the tills. */
  readonly wallet: Pick<
    LedgerWallet,
    'prepareSettle' | 'receiptsThatFit' | 'learnTransactionSize' | 'settleFees' | 'submit' | 'confirm'
  >;
  readonly reader: Pick<LedgerReader, 'till' | 'bank'>;
  /** Receipts of another program are refused. */
  readonly program: LedgerAddress;
  /** Receipt files, of one payee or several; read again at each check. */
  readonly files: readonly string[];
  /** Between two looks, milliseconds; a quarter of the challenge period at most. Default 10,000. */
  readonly pollMillis?: number;
  /** First pause after the ledger could not be reached, milliseconds; doubles each time. Default 500. */
  readonly retryMillis?: number;
  /** Called with each transaction that is on chain for good. */
  readonly onAnswer?: (answer: Answer) => void;
  readonly log?: Log;
}

/** One transaction that settled receipts of closing channels. */
export interface Answer {
  readonly payee: LedgerAddress;
  readonly channels: readonly ChannelId[];
  /** What it moved to the payee's till, base units. */
  readonly amount: Amount;
  readonly signature: string;
  readonly feeLamports: Lamports;
}

/** What one look at all tills found and did. */
export interface Look {
  readonly payees: number;
  readonly receipts: number;
  readonly answers: readonly Answer[];
  /** What could not be done; the next look tries again. */
  readonly failures: readonly RelaymintError[];
}

export interface Watchtower {
  /**
   * Reads the files and every payee's till, and settles for each channel that is about to close with less than its receipt
   * says. @throws RelaymintError as `decodeReceiptFile`, FILE_NOT_FOUND, INVALID_CONFIG for receipts of another program, ABORTED.
   */
  look(signal: AbortSignal): Promise<Look>;
  /** Looks again and again until the signal; what fails is logged. A file that turned bad is used as it last was. */
  run(signal: AbortSignal): Promise<void>;
}

const POLL_MILLIS = 10_000;
const RETRY_MILLIS = 500;
/** Attempts within one look. */
const ATTEMPTS = 6;

export function createWatchtower(options: WatchtowerOptions): Watchtower {
  return new Tower(options);
}

class Tower implements Watchtower {
  readonly #options: WatchtowerOptions;
  readonly #log: Log;
  readonly #patience: Patience;
  /** The last sound content of each file. */
  readonly #known = new Map<string, ReceiptFile>();
  /** Channels that hold less than an answer costs, and of which that was said. */
  readonly #left = new Set<ChannelId>();

  constructor(options: WatchtowerOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#patience = new Patience({ retryMillis: options.retryMillis ?? RETRY_MILLIS, attempts: ATTEMPTS });
  }

  async look(signal: AbortSignal): Promise<Look> {
    assertNotAborted(signal, 'A look at the tills');
    for (const file of this.#options.files) this.#known.set(file, await this.#read(file));
    return this.#answerAll(signal);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#refresh();
      let pollMillis = this.#options.pollMillis ?? POLL_MILLIS;
      try {
        const { failures } = await this.#answerAll(signal);
        for (const failure of failures) this.#log.warn({ err: failure }, 'a till could not be watched');
        const { challengeSeconds } = await this.#options.reader.bank();
        pollMillis = pollWithin(pollMillis, challengeSeconds);
      } catch (error) {
        if (!signal.aborted) this.#log.warn({ err: error }, 'the watchtower could not check the tills; it tries again');
      }
      await elapsed(pollMillis, signal);
    }
  }

  async #refresh(): Promise<void> {
    for (const file of this.#options.files) {
      try {
        this.#known.set(file, await this.#read(file));
      } catch (error) {
        const used = this.#known.has(file)
          ? 'its last good content is used'
          : 'it protects nobody until it is repaired';
        this.#log.warn({ file, err: error }, `a receipt file cannot be used; ${used}`);
      }
    }
  }

  async #read(file: string): Promise<ReceiptFile> {
    const read = await readReceiptFile(file);
    if (read.program === this.#options.program) return read;
    throw new RelaymintError('INVALID_CONFIG', `${file} holds receipts of program ${read.program}.`, {
      remedy: `This watchtower settles those of ${this.#options.program}: check --program and --ledger.`,
    });
  }

  async #answerAll(signal: AbortSignal): Promise<Look> {
    const payees = byPayee(this.#known.values());
    const answers: Answer[] = [];
    const failures: RelaymintError[] = [];
    let receipts = 0;
    const work = Array.from(payees, async ([payee, held]) => {
      receipts += held.size;
      try {
        const refusals = await this.#answerFor(payee, held, signal, (answer) => answers.push(answer));
        failures.push(...refusals);
      } catch (error) {
        if (!isRelaymintError(error) || signal.aborted) throw error;
        failures.push(error);
      }
    });
    await Promise.all(work);
    return { payees: payees.size, receipts, answers, failures };
  }

  /** Resolves with what the ledger refused; @throws what keeps the payee's other receipts from being settled too. */
  async #answerFor(
    payee: LedgerAddress,
    held: ReadonlyMap<ChannelId, readonly FiledReceipt[]>,
    stop: AbortSignal,
    done: (answer: Answer) => void,
  ): Promise<readonly RelaymintError[]> {
    const till = await this.#patience.retried(stop, () => this.#options.reader.till(payee));
    const closing = (till?.channels ?? []).filter(({ closeAt }) => closeAt !== undefined);
    const candidates = closing.flatMap((channel): Candidate[] => {
      const receipt = this.#best(channel, held.get(channel.id) ?? []);
      return receipt === undefined ? [] : [{ channel, receipt }];
    });
    if (candidates.length === 0) return [];
    const { wallet } = this.#options;
    const fit: Fit = (receipts, shares) => wallet.receiptsThatFit(receipts, shares);
    await this.#patience.retried(stop, () => wallet.learnTransactionSize());
    const worth = await this.#worth(stop);
    const refusals: RelaymintError[] = [];
    const isAnswered = (batch: Batch): boolean => this.#answers(payee, batch, worth);
    const todo = planBatches(candidates, [], fit).filter(isAnswered).toReversed();
    for (let batch = todo.pop(); batch !== undefined; batch = todo.pop()) {
      try {
        done(await this.#settle(payee, batch, worth, stop));
      } catch (error) {
        // The ledger may take shorter transactions only, since a moment ago.
        const fitting =
          isRefusal(error) || isRelaymintError(error, 'LIMIT_EXCEEDED') ? refitBatch(batch, fit) : undefined;
        if (fitting !== undefined) todo.push(...fitting.filter(isAnswered));
        else if (!isRefusal(error)) throw error;
        // One receipt that the program refuses must not keep the others.
        else if (batch.candidates.length > 1) todo.push(...splitBatch(batch).filter(isAnswered));
        else refusals.push(error);
      }
    }
    return refusals;
  }

  async #worth(stop: AbortSignal): Promise<Worth> {
    const { reader, wallet } = this.#options;
    const fees = await this.#patience.retried(stop, () => wallet.settleFees());
    const { unitsPerLamport } = await this.#patience.retried(stop, () => reader.bank());
    return { ...fees, unitsPerLamport, maxFeeShareBps: 0n };
  }

  /** Is the answer worth its cost? Of what is not, that is said once; it is looked at again at every look. */
  #answers(payee: LedgerAddress, batch: Batch, worth: Worth): boolean {
    const news = batch.candidates.filter(({ channel }) => !this.#left.has(channel.id));
    if (isWorthSending(batch, () => 'closing', worth)) {
      for (const { channel } of batch.candidates) this.#left.delete(channel.id);
      return true;
    }
    if (news.length > 0) {
      for (const { channel } of news) this.#left.add(channel.id);
      const held = batch.candidates.reduce((sum, candidate) => sum + increaseOf(candidate), 0n);
      const costs = costOf(batch, worth) * worth.unitsPerLamport;
      this.#log.warn(
        { payee, channels: news.map(({ channel }) => channel.id), held: String(held), costs: String(costs) },
        'closing channels are worth less than settling them costs, and are left until that changes',
      );
    }
    return false;
  }

  /** Of the copies of a channel's receipt that are good for it, the one that moves most: copies are of different age, and any may be forged. */
  #best(channel: ChannelState, filed: readonly FiledReceipt[]): SignedReceipt | undefined {
    const due = filed.filter(({ receipt }) => receipt.amount > channel.settled);
    const sound = due.filter(
      ({ delegate, receipt }) =>
        receipt.amount <= channel.deposit && delegate === channel.delegate && verifyReceipt(receipt, delegate),
    );
    if (sound.length < due.length)
      this.#log.warn({ channel: channel.id, payee: channel.payee }, 'a receipt in a file is not valid for its channel');
    return sound.map(({ receipt }) => receipt).reduce<SignedReceipt | undefined>(greater, undefined);
  }

  async #settle(payee: LedgerAddress, batch: Batch, worth: Worth, stop: AbortSignal): Promise<Answer> {
    const { wallet } = this.#options;
    const items = batch.candidates.map(({ channel, receipt }) => ({
      slot: channel.slot,
      delegate: channel.delegate,
      message: receiptMessage(receipt),
      signature: receiptSignature(receipt),
    }));
    const most = mostBid(batch, worth.unitsPerLamport);
    for (let attempt = 0; ; attempt += 1) {
      const transaction = await this.#patience.retried(stop, () => wallet.prepareSettle(items, [], payee, most));
      // Sending it again is harmless, so whether a lost answer meant yes or no does not matter.
      await this.#patience.retried(stop, () => wallet.submit(transaction));
      const status = await this.#patience.retried(stop, () => wallet.confirm(transaction, stop));
      if (status.state === 'failed') {
        throw new RelaymintError('LEDGER_REJECTED', `The ledger refused to settle for ${payee}: ${status.reason}`);
      }
      if (status.state === 'confirmed') {
        const { signature, feeLamports } = status.result;
        const channels = batch.candidates.map(({ channel }) => channel.id);
        const answer = { payee, channels, amount: batch.increase, signature, feeLamports };
        this.#log.info({ payee, signature, receipts: channels.length }, 'answered a close request');
        this.#options.onAnswer?.(answer);
        return answer;
      }
      const late = new RelaymintError(
        'TIMEOUT',
        'The answer to a close request expires before the ledger accepts it.',
        {
          remedy: 'It is tried again at the next check.',
        },
      );
      await this.#patience.pause(stop, attempt, late);
    }
  }
}

/** What all files hold of each channel, by payee. What it is worth shows beside the channel on chain. */
function byPayee(
  files: Iterable<ReceiptFile>,
): ReadonlyMap<LedgerAddress, ReadonlyMap<ChannelId, readonly FiledReceipt[]>> {
  const payees = new Map<LedgerAddress, Map<ChannelId, FiledReceipt[]>>();
  for (const { payee, receipts } of files) {
    const held = payees.get(payee) ?? new Map<ChannelId, FiledReceipt[]>();
    payees.set(payee, held);
    for (const filed of receipts) {
      const copies = held.get(filed.receipt.channel);
      if (copies === undefined) held.set(filed.receipt.channel, [filed]);
      else copies.push(filed);
    }
  }
  return payees;
}

function greater(best: SignedReceipt | undefined, receipt: SignedReceipt): SignedReceipt {
  return best === undefined || receipt.amount > best.amount ? receipt : best;
}

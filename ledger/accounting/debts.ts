/** What wallets owe us: what they left unpaid, and what was burned on chain for their circuits. */
import { channelId, ledgerAddress, type ChannelId, type LedgerAddress } from '../../core/ids.ts';
import { amount, type Amount } from '../../core/units.ts';
import type { Change } from '../books/index.ts';
import type { ChannelState } from '../contract.ts';
import { decodeOpenedFor, decodeWide, encodeOpenedFor, type OpenedFor } from './entry.ts';
import { KEY } from './keys.ts';
import { WalletFigures } from './wallets.ts';

/** Tells which wallets have no channel to us: one of those gives way when there is no room for another. */
export type Absent = () => (wallet: LedgerAddress) => boolean;

/** Counts at once. What its methods return is to be written. */
export class Debts {
  /** What wallets left unpaid, base units. */
  readonly #arrears = new WalletFigures(KEY.arrears);
  /** What was burned on chain for circuits of wallets, base units. */
  readonly #advances = new WalletFigures(KEY.advance);
  /** Channels of ours that were opened for circuits of a wallet. */
  readonly #opened = new Map<ChannelId, OpenedFor>();
  readonly #absent: Absent;

  constructor(absent: Absent) {
    this.#absent = absent;
  }

  /** Takes a record from disk; others are left alone. @throws RelaymintError INVALID_ENCODING. */
  load(key: string, name: string, value: Uint8Array): void {
    if (key.startsWith(KEY.arrears)) this.#arrears.set(ledgerAddress(name), decodeWide(value));
    else if (key.startsWith(KEY.advance)) this.#advances.set(ledgerAddress(name), decodeWide(value));
    else if (key.startsWith(KEY.opened)) this.#opened.set(channelId(name), decodeOpenedFor(value));
  }

  arrearsOf(wallet: LedgerAddress): bigint {
    return this.#arrears.get(wallet);
  }

  advancedTo(wallet: LedgerAddress): bigint {
    return this.#advances.get(wallet);
  }

  /** It left this much more unpaid. */
  addArrears(wallet: LedgerAddress, more: bigint): Change[] {
    return this.#arrears.add(wallet, more, this.#absent);
  }

  /** It paid this much of what it had left unpaid. */
  makeGood(wallet: LedgerAddress, paid: bigint): Change {
    return this.#arrears.set(wallet, this.arrearsOf(wallet) - paid);
  }

  /** This much is burned for its circuits. */
  advance(wallet: LedgerAddress, units: Amount): Change[] {
    return this.#advances.add(wallet, units, this.#absent);
  }

  /** This much of it was not burned after all, or was earned with its circuits. */
  recoup(wallet: LedgerAddress, units: Amount): Change {
    return this.#advances.set(wallet, this.advancedTo(wallet) - units);
  }

  /** It lost this much of an opening payment to us: first its arrears become less, then what was advanced for it. */
  forfeit(wallet: LedgerAddress, kept: Amount): Change[] {
    const [arrears, advanced] = [this.arrearsOf(wallet), this.advancedTo(wallet)];
    const changes: Change[] = [];
    if (arrears > 0n) changes.push(this.#arrears.set(wallet, arrears - kept));
    if (advanced > 0n && kept > arrears) changes.push(this.#advances.set(wallet, advanced - (kept - arrears)));
    return changes;
  }

  /** A channel of ours was opened for its circuits, for which `units` were advanced. */
  openedFor(id: ChannelId, wallet: LedgerAddress, units: Amount): Change {
    const opened = { wallet, units };
    this.#opened.set(id, opened);
    return [KEY.opened + id, encodeOpenedFor(opened)];
  }

  /**
   * The payee of a channel returned this much of what we staked; the rest may follow. All of it makes good what was advanced for the
   * channel, the fee too: see ADR 29.
   */
  comesBack({ id, opening }: ChannelState, returned: bigint): Change[] {
    const opened = this.#opened.get(id);
    if (opened === undefined) return [];
    const { wallet, units } = opened;
    const good = opening === 0n || returned > units ? units : amount(returned);
    const left = amount(units - good);
    return [this.recoup(wallet, good), left > 0n ? this.openedFor(id, wallet, left) : this.drop(id)];
  }

  /** The channel is over, or forgotten: nothing comes back from it any more. */
  drop(id: ChannelId): Change {
    this.#opened.delete(id);
    return [KEY.opened + id, undefined];
  }
}

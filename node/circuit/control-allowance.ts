/**
 * How many control cells the payer of a circuit takes. Each is a cell that it pays for, whatever is in it: an honest end sends what it was
 * asked for, and a few besides; one that is paid for cells could go on for ever.
 */
import { CONTROL_ALLOWANCE, CONTROL_ALLOWANCE_MILLIS } from '../../core/limits.ts';
import { CellType } from './cell.ts';
import { overdrawn } from './credit.ts';

/**
 * Cells that may come because we sent one of these: answers, credit for data, and a ping to measure it. A stream that we took pays for the
 * BEGIN that asked for it; its first CONNECTED and its end are not counted (`Mux`).
 */
const ASKED_FOR: Readonly<Record<CellType, number>> = {
  [CellType.EXTEND]: 1,
  [CellType.EXTENDED]: 0,
  [CellType.BEGIN]: 0,
  [CellType.CONNECTED]: 1,
  [CellType.DATA]: 2,
  [CellType.END]: 0,
  [CellType.WINDOW]: 0,
  [CellType.PING]: 1,
  [CellType.PONG]: 0,
  [CellType.DATAGRAM]: 2,
  [CellType.DATAGRAM_WINDOW]: 0,
  [CellType.JOIN]: 1,
  [CellType.JOINED]: 0,
};

export class ControlAllowance {
  #left: number = CONTROL_ALLOWANCE;
  #at: number = performance.now();

  /** We sent a cell. */
  sent(type: CellType): void {
    this.#left = Math.min(CONTROL_ALLOWANCE, this.#left + ASKED_FOR[type]);
  }

  /** A control cell came. @throws RelaymintError PROTOCOL_VIOLATION when nothing asked for it, or for those before it. */
  came(): void {
    this.#left -= 1;
    if (this.#left >= 0) return;
    const more = Math.floor((performance.now() - this.#at) / CONTROL_ALLOWANCE_MILLIS);
    if (more <= 0) throw overdrawn('sends cells that nothing asked for');
    this.#at += more * CONTROL_ALLOWANCE_MILLIS;
    this.#left += Math.min(CONTROL_ALLOWANCE, more);
  }
}

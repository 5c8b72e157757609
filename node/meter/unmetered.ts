/** Metering that counts and charges nothing: for benchmarks to compare with, and for nodes among friends. */
import type { UpVerdict } from '../../ledger/accounting/index.ts';
import type { LinkMeter, Metering } from './contract.ts';
import { freeSponsor, UNLIMITED } from './sponsor.ts';
import type { Sponsor } from './sponsor.ts';

class UnmeteredLink implements LinkMeter {
  onOpen: () => void = () => {};
  onRoom: () => void = () => {};
  readonly mayOwe: bigint = UNLIMITED;
  readonly sponsor: Sponsor = freeSponsor;

  openSpending(): Promise<void> {
    return Promise.resolve();
  }

  sendUp(): void {}

  canAfford(): boolean {
    return true;
  }

  canCarry(): boolean {
    return true;
  }

  receivedDown(): void {}

  receivedUp(): UpVerdict {
    return 'forward';
  }

  canSendDown(): boolean {
    return true;
  }

  sentDown(): void {}

  attribute(): void {}

  rest(): void {}

  payEarly(): void {
    // Nothing is owed.
  }

  flush(): void {}

  counts(): { readonly spending: undefined; readonly earning: undefined } {
    return { spending: undefined, earning: undefined };
  }
}

/** Both ends of a link must use it: a metered peer cuts off one that presents no channel. */
export function unmetered(): Metering {
  return {
    attach: () => new UnmeteredLink(),
    flush() {},
    expect() {},
    walletOf: () => undefined,
    kept: 0n,
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

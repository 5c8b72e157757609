/** Metering that counts and charges nothing: for benchmarks to compare with, and for nodes among friends. */
import { assertNotAborted } from '../../core/abort.ts';
import type { UpVerdict } from '../../ledger/accounting/index.ts';
import { linkClosed, type Link } from '../link/contract.ts';
import type { LinkMeter, Metering } from './contract.ts';
import { freeSponsor, UNLIMITED } from './sponsor.ts';
import type { Sponsor } from './sponsor.ts';

class UnmeteredLink implements LinkMeter {
  onOpen: () => void = () => {};
  onRoom: () => void = () => {};
  readonly sponsor: Sponsor = freeSponsor;
  #closed = false;

  async openSpending(_sponsor?: Sponsor, signal?: AbortSignal): Promise<void> {
    this.#ensureOpen();
    assertNotAborted(signal, 'Opening a channel');
  }

  sendUp(): void {
    this.#ensureOpen();
  }

  get mayOwe(): bigint {
    return this.#closed ? 0n : UNLIMITED;
  }

  canAfford(): boolean {
    return true;
  }

  canCarry(): boolean {
    return true;
  }

  receivedDown(): void {
    this.#ensureOpen();
  }

  receivedUp(): UpVerdict {
    return this.#closed ? 'cut' : 'forward';
  }

  canSendDown(): boolean {
    return !this.#closed;
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

  close(): void {
    this.#closed = true;
  }

  #ensureOpen(): void {
    if (this.#closed) throw linkClosed();
  }
}

class Unmetered implements Metering {
  readonly kept = 0n;

  content(): readonly [] {
    return [];
  }
  readonly #meters = new Set<UnmeteredLink>();
  #closed = false;

  attach(link: Link): LinkMeter {
    const meter = new UnmeteredLink();
    if (this.#closed) {
      meter.close();
      return meter;
    }
    this.#meters.add(meter);
    void link.closed.then(() => this.#detach(meter));
    return meter;
  }

  #detach(meter: UnmeteredLink): void {
    meter.close();
    this.#meters.delete(meter);
  }

  flush(): void {}

  expect(): void {}

  walletOf(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const meter of this.#meters) meter.close();
    this.#meters.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Both ends of a link must use it: a metered peer cuts off one that presents no channel. */
export function unmetered(): Metering {
  return new Unmetered();
}

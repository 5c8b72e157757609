/** The payer's side of a link's start: our channel is presented, and the peer answers with its terms. */
import { RelaymintError, sentAmiss } from '../../core/errors.ts';
import { CHANNEL_OPEN_MILLIS } from '../../core/limits.ts';
import type { Terms } from '../../ledger/accounting/index.ts';
import { FrameType, linkClosed } from '../link/contract.ts';
import type { Link } from '../link/contract.ts';
import { decodeAccount, encodeClaim } from './messages.ts';
import type { ChannelClaim } from './messages.ts';

interface AwaitingTerms {
  resolve(terms: Terms): void;
  reject(error: RelaymintError): void;
}

export class Presenting {
  readonly #link: Link;
  #awaiting: AwaitingTerms | undefined;
  #closed = false;

  constructor(link: Link) {
    this.#link = link;
  }

  /** One at a time. @throws RelaymintError CLOSED, TIMEOUT, and what the peer refuses it with. */
  present(claim: ChannelClaim): Promise<Terms> {
    return new Promise((resolve, reject) => {
      if (this.#closed || !this.#link.isOpen) {
        reject(linkClosed());
        return;
      }
      const timer = setTimeout(() => {
        this.#awaiting?.reject(
          new RelaymintError('TIMEOUT', `The node ${this.#link.peer} did not answer when our channel was presented.`, {
            remedy: 'Choose another node.',
          }),
        );
      }, CHANNEL_OPEN_MILLIS);
      const done = (): void => {
        clearTimeout(timer);
        this.#awaiting = undefined;
      };
      this.#awaiting = {
        resolve: (terms) => {
          done();
          resolve(terms);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      this.#link.send(FrameType.CHANNEL, 0, encodeClaim(claim));
    });
  }

  /** An ACCOUNT came. @throws RelaymintError PROTOCOL_VIOLATION. */
  onAccount(payload: Buffer): void {
    if (this.#awaiting === undefined) throw sentAmiss('an ACCOUNT that nobody asked for');
    const { terms, error } = decodeAccount(payload);
    if (terms === undefined) this.#awaiting.reject(error);
    else this.#awaiting.resolve(terms);
  }

  /** The link is gone. */
  close(): void {
    this.#closed = true;
    this.#awaiting?.reject(linkClosed());
  }
}

/**
 * Padding on a paid stream: the other end is paid for whole cells, so that one that sends nearly empty ones earns many times what it has to
 * say. Well-filled ones save up nothing for later.
 */
import { violation } from '../../core/errors.ts';
import { CONTENT_PADDING, CONTENT_PADDING_PER_ANSWER } from '../../core/limits.ts';
import type { PaidStream } from '../blocks/contract.ts';

export class Padding {
  readonly #stream: PaidStream;
  /** Beyond what honest ends send, bytes, and what it was reckoned from. */
  #padding = 0;
  #cellBytes = 0;
  #dataBytes = 0;

  constructor(stream: PaidStream) {
    this.#stream = stream;
  }

  /** An answer ends in a cell that it need not fill. */
  answered(): void {
    this.#padding -= CONTENT_PADDING_PER_ANSWER;
  }

  /** Call it whenever something came. @throws RelaymintError PROTOCOL_VIOLATION */
  check(): void {
    const { cellBytesReceived = 0, dataBytesReceived = 0 } = this.#stream;
    const [cells, data] = [cellBytesReceived - this.#cellBytes, dataBytesReceived - this.#dataBytes];
    this.#cellBytes = cellBytesReceived;
    this.#dataBytes = dataBytesReceived;
    this.#padding = Math.max(0, this.#padding) + cells - 2 * data;
    if (this.#padding <= CONTENT_PADDING) return;
    throw violation(
      `The host sent ${cellBytesReceived} bytes of cells with ${dataBytesReceived} bytes in them.`,
      'Another host is tried.',
    );
  }
}

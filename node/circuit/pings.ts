/** Pings from one end of a circuit to the other: to measure, and to see whether anybody is there. */
import { RelaymintError } from '../../core/errors.ts';
import { overdrawn } from './credit.ts';

/** Under way at once. */
const MAX_PINGS = 64;
const TOKEN_BYTES = 4;

interface Ping {
  readonly sentAt: number;
  answered(rttMillis: number): void;
  failed(error: RelaymintError): void;
}

export class Pings {
  readonly #write: (token: Buffer) => void;
  readonly #open = new Map<number, Ping>();
  #newest = 0;

  /** `write` queues a PING cell with this token, u32. */
  constructor(write: (token: Buffer) => void) {
    this.#write = write;
  }

  /** Round trip, milliseconds. @throws RelaymintError LIMIT_EXCEEDED, or why the circuit ended. */
  ask(): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.send(resolve, reject)) return;
      reject(
        new RelaymintError('LIMIT_EXCEEDED', `${MAX_PINGS} pings are under way.`, {
          remedy: 'Wait for one to be answered.',
        }),
      );
    });
  }

  /** @returns false when too many are under way: nothing is sent then. */
  send(answered: (rttMillis: number) => void, failed: (error: RelaymintError) => void = () => {}): boolean {
    if (this.#open.size >= MAX_PINGS) return false;
    this.#newest = (this.#newest + 1) >>> 0;
    const token = Buffer.allocUnsafe(TOKEN_BYTES);
    token.writeUInt32LE(this.#newest, 0);
    this.#open.set(this.#newest, { sentAt: performance.now(), answered, failed });
    this.#write(token);
    return true;
  }

  /** A PONG came. @throws RelaymintError PROTOCOL_VIOLATION when it answers nothing. */
  answer(data: Buffer): void {
    const token = data.length === TOKEN_BYTES ? data.readUInt32LE(0) : 0;
    const ping = this.#open.get(token);
    if (ping === undefined) throw overdrawn('answered a ping that was not sent');
    this.#open.delete(token);
    ping.answered(performance.now() - ping.sentAt);
  }

  failAll(error: RelaymintError): void {
    for (const ping of this.#open.values()) ping.failed(error);
    this.#open.clear();
  }
}

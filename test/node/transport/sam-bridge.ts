/** A SAM bridge as far as a client sees it: it makes keys, remembers from which of them each stream was asked for, and echoes. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../../../node/transport/index.ts';
import { readDestination } from '../../../node/transport/i2p/destination.ts';

/** Keys as a router makes them: a destination with an empty certificate, and what makes it secret. */
export function madeKey(): string {
  const key = Buffer.concat([randomBytes(384), Buffer.of(0, 0, 0), randomBytes(96)]);
  return key.toString('base64').replaceAll('+', '-').replaceAll('/', '~');
}

export interface AskedOfSam {
  /** The destination of ours, by its 52 characters. */
  readonly from: string;
  readonly to: string;
}

/** What becomes of a stream: it echoes after these words, nobody is there, or the router says nothing. */
export type Answer = { readonly first: string } | 'nobody' | 'silence';

export class SamBridge {
  readonly asked: AskedOfSam[] = [];
  readonly taken: Socket[] = [];
  readonly #sessions = new Map<string, string>();
  readonly #server: Server;

  constructor(answer: (to: string) => Answer = () => 'nobody') {
    this.#server = createServer((socket) => {
      this.taken.push(socket);
      socket.on('error', () => {}).on('end', () => socket.destroy());
      let text = '';
      const onData = (chunk: Buffer): void => {
        text += chunk.toString('latin1');
        for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
          const line = text.slice(0, end);
          text = text.slice(end + 1);
          const first = this.#answer(line, socket, answer);
          if (first === undefined) continue;
          socket.off('data', onData);
          socket.write(`STREAM STATUS RESULT=OK\n${first}${text}`);
          socket.pipe(socket);
          return;
        }
      };
      socket.on('data', onData);
    });
  }

  /** Sessions that were ever made. */
  get sessions(): number {
    return this.#sessions.size;
  }

  async start(port = 0): Promise<Endpoint & { readonly kind: 'tcp' }> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return { kind: 'tcp', host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** The router ends every session and stream. */
  lose(): void {
    for (const socket of this.taken) socket.destroy();
  }

  /** Resolves once nobody listens on the port. */
  async stop(): Promise<void> {
    this.lose();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** @returns what a stream that stands now says first. */
  #answer(line: string, socket: Socket, answer: (to: string) => Answer): string | undefined {
    const field = (name: string): string => new RegExp(` ${name}=(\\S+)`).exec(line)?.[1] ?? '';
    if (line.startsWith('HELLO')) socket.write('HELLO REPLY RESULT=OK VERSION=3.1\n');
    else if (line.startsWith('DEST')) socket.write(`DEST REPLY PUB=x PRIV=${madeKey()}\n`);
    else if (line.startsWith('SESSION CREATE')) {
      this.#sessions.set(field('ID'), readDestination(field('DESTINATION')).garlic);
      socket.write(`SESSION STATUS RESULT=OK DESTINATION=${field('DESTINATION')}\n`);
    } else if (line.startsWith('STREAM CONNECT')) {
      const to = field('DESTINATION');
      const from = this.#sessions.get(field('ID'));
      if (from === undefined) {
        socket.write('STREAM STATUS RESULT=INVALID_ID\n');
        return undefined;
      }
      this.asked.push({ from, to });
      const becomes = answer(to);
      if (becomes === 'nobody') socket.write('STREAM STATUS RESULT=CANT_REACH_PEER\n');
      else if (becomes !== 'silence') return becomes.first;
    }
    return undefined;
  }
}

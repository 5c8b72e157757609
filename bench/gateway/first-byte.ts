/** How long a visitor waits for the first byte, while nobody else asks. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';

export interface Question {
  readonly port: number;
  /** The Host header. */
  readonly host: string;
  /** Asked one after the other, each on a new connection. */
  readonly paths: readonly string[];
  readonly signal: AbortSignal;
}

/** Milliseconds from the request to the first byte of its answer, for each path. The rest of it is not waited for. @throws RelaymintError INTERNAL, ABORTED. */
export async function firstByteMillis({ port, host, paths, signal }: Question): Promise<readonly number[]> {
  const all: number[] = [];
  for (const path of paths) {
    assertNotAborted(signal, 'Measuring');
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    using _ending = onAbort(signal, () => socket.destroy(new RelaymintError('ABORTED', 'Measuring was stopped.')));
    try {
      await once(socket, 'connect');
      all.push(await ask(socket, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
    } finally {
      socket.destroy();
    }
  }
  return all;
}

async function ask(socket: Socket, request: string): Promise<number> {
  const began = performance.now();
  socket.write(request);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  const millis = performance.now() - began;
  const [line = ''] = chunk.toString('latin1').split('\r\n', 1);
  if (!line.startsWith('HTTP/1.1 200 ')) throw new RelaymintError('INTERNAL', `The answer began with ${line}.`);
  return millis;
}

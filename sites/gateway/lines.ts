/** The requests of one connection are answered one after the other, as HTTP/1.1 wants, and end with it. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_PIPELINED_REQUESTS } from '../../core/limits.ts';

interface Line {
  /** What ends each request. */
  readonly ends: Set<AbortController>;
  /** Resolves when the last of them has its answer, or the connection is gone. */
  last: Promise<void>;
}

export class Lines {
  readonly #lines = new WeakMap<Socket, Line>();

  /**
   * Resolves when those before it on its connection have their answers. `gone` is ended when the visitor leaves.
   * @throws RelaymintError LIMIT_EXCEEDED when too many wait already; the connection is cut then.
   */
  async wait(socket: Socket, response: ServerResponse, gone: AbortController): Promise<void> {
    const line = this.#lines.get(socket) ?? this.#begin(socket);
    if (line.ends.size >= MAX_PIPELINED_REQUESTS) {
      socket.destroy();
      gone.abort(new RelaymintError('ABORTED', 'The visitor asked for too much at once.'));
      throw new RelaymintError('LIMIT_EXCEEDED', 'Too many requests wait on this connection.', {
        remedy: 'Wait for the answers.',
      });
    }
    line.ends.add(gone);
    const before = line.last;
    // A response behind another one has no connection yet, and does not hear that it closed.
    line.last = new Promise((resolve) => {
      response.once('close', () => {
        line.ends.delete(gone);
        gone.abort(left());
        resolve();
      });
      onAbort(gone.signal, resolve);
    });
    await before;
  }

  #begin(socket: Socket): Line {
    const line: Line = { ends: new Set(), last: Promise.resolve() };
    this.#lines.set(socket, line);
    socket.once('close', () => {
      for (const gone of line.ends) gone.abort(left());
    });
    return line;
  }
}

function left(): RelaymintError {
  return new RelaymintError('ABORTED', 'The visitor left.');
}

/**
 * Connections through tor's SOCKS port. The name travels to tor as it is, so nothing is looked up here, and every
 * isolation text gets circuits of its own.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { SocksClient } from 'socks';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import { abortError, onAbort } from '../../../core/abort.ts';
import type { Endpoint } from '../endpoint.ts';
import { openEndpoint } from '../socket.ts';
import { socksFailed, socksReplyError, torNotRunning } from './errors.ts';

/** Opens connections through one SOCKS port. */
export interface SocksDialer {
  /**
   * A connection to `host`, a name or a number, as tor gives it: it ends both ways as soon as either side closes.
   * @throws RelaymintError TOR_NOT_RUNNING, SOCKS_FAILED, TIMEOUT, ABORTED, and what `socksReplyError` says.
   */
  connect(
    host: string,
    port: number,
    options: { readonly isolation: string; readonly signal: AbortSignal },
  ): Promise<Socket>;
}

/** Tor gives up after two minutes and says why: `socks`, which cannot know, waits a little longer. Milliseconds. */
const GIVE_UP_MILLIS = 150_000;
/** Programs on tor's control port see the user name: 32 hex digits of a hash that only this process can make. */
const USER_BYTES = 16;
/** Tor separates streams by both words; one is enough. */
const PASSWORD = 'x';
const NO_TOR = 'Check that the setting names a SOCKS port of tor.';

const VERSION = 5;
const BY_USER_NAME = 2;
const GRANTED = 0;
/** Version, reply, reserved, kind of address, and the address's first byte, which is the length of a name. */
const HEAD_BYTES = 5;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

type Step = 'method' | 'user' | 'head' | 'rest' | 'over';

/** Can the protocol carry this name or number? */
export function isCarried(host: string): boolean {
  return /^[\x21-\x7e]{1,255}$/.test(host);
}

export function createSocksDialer(endpoint: Endpoint): SocksDialer {
  const secret = randomBytes(32);
  return {
    async connect(host, port, { isolation, signal }) {
      if (!isCarried(host)) {
        throw new RelaymintError('ADDRESS_UNSUPPORTED', `"${host.slice(0, 80)}" is not a name that a proxy accepts.`, {
          remedy: 'Write it in at most 255 plain characters (punycode for others).',
        });
      }
      const userId = createHmac('sha256', secret)
        .update(isolation)
        .digest('hex')
        .slice(0, 2 * USER_BYTES);
      const socket = await openProxy(endpoint, signal);
      await negotiate(socket, endpoint, { host, port, userId, signal });
      return socket;
    },
  };
}

async function openProxy(endpoint: Endpoint, signal: AbortSignal): Promise<Socket> {
  try {
    return await openEndpoint(endpoint, signal);
  } catch (error) {
    throw isRelaymintError(error, 'CONNECTION_REFUSED') ? torNotRunning(endpoint, error) : error;
  }
}

interface Request {
  readonly host: string;
  readonly port: number;
  readonly userId: string;
  readonly signal: AbortSignal;
}

/**
 * `socks` speaks, over a stream that stands in for the socket and carries the handshake's bytes only. So the reply's code
 * is seen as it came, and what follows the handshake is still in the socket, with nobody listening.
 */
function negotiate(socket: Socket, endpoint: Endpoint, { host, port, userId, signal }: Request): Promise<void> {
  return new Promise((resolve, reject) => {
    const replies = new Replies(socket);
    let tie: Disposable | undefined = undefined;
    const letGo = (): void => {
      socket.off('readable', onReadable);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
    };
    const fail = (error: RelaymintError): void => {
      letGo();
      tie?.[Symbol.dispose]();
      replies.destroy();
      socket.destroy();
      reject(error);
    };
    const succeed = (): void => {
      tie?.[Symbol.dispose]();
      resolve();
    };
    const giveUp = (): void => fail(abortError(signal, `Connecting to ${host} port ${port} through Tor`));
    const onEnd = (): void => fail(socksFailed(endpoint, 'hung up before it answered', NO_TOR));
    const onReadable = (): void => {
      const state = replies.advance();
      if (state === true) letGo();
      else if (typeof state === 'number') fail(socksReplyError(state, host, port));
      else if (typeof state === 'string') fail(socksFailed(endpoint, state, NO_TOR));
    };
    socket.on('readable', onReadable);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    tie = onAbort(signal, giveUp);
    if (signal.aborted) return;
    const negotiated = SocksClient.createConnection({
      command: 'connect',
      // The address is not used: the connection stands already.
      proxy: { host: '127.0.0.1', port: 1, type: VERSION, userId, password: PASSWORD },
      destination: { host, port },
      existing_socket: replies,
      timeout: GIVE_UP_MILLIS,
    });
    negotiated.then(succeed, (cause: unknown) => {
      fail(socksFailed(endpoint, 'does not follow the protocol', NO_TOR, cause));
    });
  });
}

/** Hands `socks` one reply after the other, and takes no byte of the socket beyond the last. */
class Replies extends Duplex {
  readonly #socket: Socket;
  #step: Step = 'method';
  #wanted = 2;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    // The dialer reports failures, not this stream.
    this.on('error', () => {});
  }

  /** Processes what has arrived. @returns whether the handshake is over, the proxy's refusal as its code, or what is wrong in words. */
  advance(): boolean | number | string {
    while (this.#step !== 'over') {
      const reply = this.#socket.read(this.#wanted) as Buffer | null;
      if (reply === null || reply.length < this.#wanted) return false;
      const wrong = this.#check(reply);
      if (wrong !== undefined) return wrong;
      this.push(reply);
    }
    return true;
  }

  #check(reply: Buffer): number | string | undefined {
    const [first, second, , kind, length] = reply;
    switch (this.#step) {
      case 'method':
        if (first !== VERSION) return 'does not speak SOCKS 5';
        if (second !== BY_USER_NAME) return 'takes no user names, so it would not keep connections apart';
        this.#step = 'user';
        break;
      case 'user':
        if (second !== GRANTED) return 'refuses the user name';
        this.#step = 'head';
        this.#wanted = HEAD_BYTES;
        break;
      case 'head':
        if (first !== VERSION || second === undefined) return 'does not speak SOCKS 5';
        if (second !== GRANTED) return second;
        this.#step = 'rest';
        this.#wanted = restBytes(kind, length);
        if (this.#wanted === 0) return 'answers with an unknown kind of address';
        break;
      case 'rest':
      case 'over':
        this.#step = 'over';
    }
    return undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _read(): void {}
}

/** What follows the first five bytes of the reply: the rest of the address, and the port. 0 for an unknown kind. */
function restBytes(kind: number | undefined, length: number | undefined): number {
  if (kind === IPV4) return 5;
  if (kind === IPV6) return 17;
  return kind === NAME && length !== undefined ? length + 2 : 0;
}

/** Tor's control port: commands with their replies in order, and events in between (control-spec). */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { RelaymintError, isRelaymintError } from '../../../core/errors.ts';
import { abortError, deadline, orAborted } from '../../../core/abort.ts';
import { formatEndpoint, type Endpoint } from '../endpoint.ts';
import { openEndpoint } from '../socket.ts';
import { readCookie } from './cookie.ts';

/** How to prove to tor that we may command it. A cookie is read from the file that tor names. */
export type TorAuth = { readonly kind: 'cookie' } | { readonly kind: 'password'; readonly password: string };

export interface TorReply {
  /** 250 for success. */
  readonly code: number;
  /** Without codes; the lines of a data block stand alone. */
  readonly lines: readonly string[];
}

export interface TorControl extends AsyncDisposable {
  readonly version: string;
  /** @throws RelaymintError TOR_CONTROL_FAILED with tor's own words, TOR_NOT_RUNNING when it goes away, TIMEOUT, ABORTED. */
  command(line: string, options?: { readonly signal?: AbortSignal }): Promise<TorReply>;
  /** @throws as `command`. */
  getInfo(key: string, options?: { readonly signal?: AbortSignal }): Promise<string>;
  /** `listener` gets every event of that name, from its name on. The result stops that. @throws as `command`. */
  onEvent(
    name: string,
    listener: (line: string) => void,
    options?: { readonly signal?: AbortSignal },
  ): Promise<() => void>;
  /** Why the connection ended; undefined after our own `close`. Never rejects. */
  readonly closed: Promise<RelaymintError | undefined>;
  close(): Promise<void>;
}

const MAX_LINE_BYTES = 64 * 1024;
/** Of one reply or event with all its lines: more than any status of a busy tor. */
const MAX_REPLY_BYTES = 4 * 1024 * 1024;
/** No line of a reply is shorter in memory than this many bytes, whatever it says. */
const LINE_COST_BYTES = 64;
/** From the connection to the last step of authentication, milliseconds: tor answers each at once. */
const GREETING_MILLIS = 10_000;

export interface ControlOptions {
  readonly endpoint: Endpoint;
  readonly auth?: TorAuth;
  /**
   * No setting names this port, so any program may answer there. It has to prove that it knows the cookie of a
   * file of root, of ours or of tor's, and it is shown no password. That is enough to ask it, and not to trust it with a key.
   */
  readonly found?: boolean;
  readonly signal: AbortSignal;
}

/** @throws RelaymintError TOR_NOT_RUNNING, TOR_NOT_TRUSTED, TOR_CONTROL_FAILED, TIMEOUT, ABORTED. */
export async function connectControl(options: ControlOptions): Promise<TorControl> {
  const { endpoint } = options;
  using limit = deadline(GREETING_MILLIS, `Tor's control port at ${formatEndpoint(endpoint)}`, options.signal);
  const { signal } = limit;
  let socket: Socket;
  try {
    socket = await openEndpoint(endpoint, signal);
  } catch (cause) {
    if (!isRelaymintError(cause, 'CONNECTION_REFUSED')) throw cause;
    throw new RelaymintError('TOR_NOT_RUNNING', `Tor's control port at ${formatEndpoint(endpoint)} does not answer.`, {
      remedy: 'Start it with: relaymint tor start, or install it: apt-get install tor.',
      cause,
    });
  }
  const control = new ControlConnection(socket);
  try {
    await control.authenticate(options, signal);
  } catch (error) {
    await control.close();
    throw error;
  }
  return control;
}

interface Pending {
  readonly what: string;
  resolve(reply: TorReply): void;
  reject(error: RelaymintError): void;
}

class ControlConnection implements TorControl {
  version = '';
  readonly closed: Promise<RelaymintError | undefined>;
  readonly #socket: Socket;
  readonly #pending: Pending[] = [];
  readonly #listeners = new Map<string, Set<(line: string) => void>>();
  #text = '';
  #lines: string[] = [];
  /** What `#lines` take. */
  #bytes = 0;
  #inData = false;
  #ours = false;
  /** Why we gave the connection up, if that was it. */
  #wrong: RelaymintError | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onText(text));
    socket.on('end', () => socket.destroy());
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        const lost = this.#ours
          ? undefined
          : (this.#wrong ??
            new RelaymintError('TOR_NOT_RUNNING', 'Tor closed its control connection.', {
              remedy: 'Start it with: relaymint tor start.',
            }));
        for (const waiting of this.#pending.splice(0)) {
          const ours = `The control connection closed before tor answered ${waiting.what}.`;
          waiting.reject(lost ?? new RelaymintError('CLOSED', ours));
        }
        resolve(lost);
      });
    });
  }

  async authenticate({ endpoint, auth, found = false }: ControlOptions, signal: AbortSignal): Promise<void> {
    const { lines } = await this.command('PROTOCOLINFO 1', { signal });
    const all = lines.join('\n');
    this.version = /VERSION Tor="([^"]{0,100})"/.exec(all)?.[1] ?? '';
    const methods = (/METHODS=(\S+)/.exec(all)?.[1] ?? '').split(',');
    const cookie = /COOKIEFILE="((?:[^"\\\n]|\\.){0,4096})"/.exec(all)?.[1];
    if (found && (auth !== undefined || methods.includes('NULL') || cookie === undefined)) throw unproven(endpoint);
    if (auth?.kind === 'password') await this.command(`AUTHENTICATE ${quote(auth.password)}`, { signal });
    else if (methods.includes('NULL')) await this.command('AUTHENTICATE', { signal });
    else await this.#authenticateByCookie(cookie, signal);
  }

  async #authenticateByCookie(file: string | undefined, signal: AbortSignal): Promise<void> {
    if (file === undefined) throw failed('tor asks for a password', 'Give the password of its HashedControlPassword.');
    const cookie = await readCookie(unescaped(file), signal);
    let answer: Buffer;
    try {
      answer = await this.#answerTo(cookie, signal);
    } finally {
      cookie.fill(0);
    }
    await this.command(`AUTHENTICATE ${answer.toString('hex')}`, { signal });
  }

  /** What proves that we know the cookie, once tor has proved that it does. */
  async #answerTo(cookie: Buffer, signal: AbortSignal): Promise<Buffer> {
    const ours = randomBytes(32);
    const { lines } = await this.command(`AUTHCHALLENGE SAFECOOKIE ${ours.toString('hex')}`, { signal });
    const match = /SERVERHASH=([0-9A-F]{64}) SERVERNONCE=([0-9A-F]{64})/i.exec(lines.join(' '));
    const theirs = Buffer.from(match?.[2] ?? '', 'hex');
    const proof = (key: string): Buffer =>
      createHmac('sha256', key).update(cookie).update(ours).update(theirs).digest();
    const expected = proof('Tor safe cookie authentication server-to-controller hash');
    const shown = Buffer.from(match?.[1] ?? '', 'hex');
    if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) {
      throw failed('the program there does not know the cookie of tor', 'Check which program has that port.');
    }
    return proof('Tor safe cookie authentication controller-to-server hash');
  }

  async command(line: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<TorReply> {
    const word = /^\w+/.exec(line)?.[0] ?? '';
    const what = `The command ${word} to tor`;
    if (/[\r\n]/.test(line)) throw new TypeError('a control command is one line');
    if (signal?.aborted === true) throw abortError(signal, what);
    if (this.#socket.destroyed) {
      throw new RelaymintError('TOR_NOT_RUNNING', 'The control connection to tor is closed.');
    }
    const answer = new Promise<TorReply>((resolve, reject) => {
      this.#pending.push({ what: word, resolve, reject });
    });
    this.#socket.write(`${line}\r\n`);
    const reply = await orAborted(answer, signal, what);
    if (reply.code >= 200 && reply.code < 300) return reply;
    throw failed(`tor answered ${word} with ${reply.code} ${shown(reply.lines)}`, REFUSED, undefined, reply.code);
  }

  async getInfo(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<string> {
    const { lines } = await this.command(`GETINFO ${key}`, options);
    const text = lines.slice(0, lines.at(-1) === 'OK' ? -1 : undefined).join('\n');
    return text.startsWith(`${key}=`) ? text.slice(key.length + 1).replace(/^\n/, '') : text;
  }

  async onEvent(
    name: string,
    listener: (line: string) => void,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<() => void> {
    const known = this.#listeners.get(name);
    const listeners = known ?? new Set();
    listeners.add(listener);
    this.#listeners.set(name, listeners);
    if (known === undefined) await this.command(`SETEVENTS ${[...this.#listeners.keys()].join(' ')}`, options);
    return () => listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#ours = true;
    this.#socket.destroy();
    await this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #onText(text: string): void {
    const lines = (this.#text + text).split('\r\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#socket.destroyed) return;
      this.#onLine(line);
    }
    if (this.#text.length > MAX_LINE_BYTES) this.#giveUp(`sends a line longer than ${MAX_LINE_BYTES} bytes`);
  }

  /** `250-more`, `250+data follows`, `250 last`. */
  #onLine(line: string): void {
    this.#bytes += line.length + LINE_COST_BYTES;
    if (line.length > MAX_LINE_BYTES) {
      this.#giveUp(`sends a line longer than ${MAX_LINE_BYTES} bytes`);
    } else if (this.#bytes > MAX_REPLY_BYTES) {
      this.#giveUp(`sends more than ${MAX_REPLY_BYTES} bytes in one reply`);
    } else if (this.#inData) {
      if (line === '.') this.#inData = false;
      else this.#lines.push(line.startsWith('.') ? line.slice(1) : line);
    } else {
      this.#onReplyLine(line);
    }
  }

  #onReplyLine(line: string): void {
    const [, code, kind] = /^(\d{3})([-+ ])/.exec(line) ?? [];
    if (code === undefined) {
      this.#giveUp('is no control port of tor');
      return;
    }
    this.#lines.push(line.slice(4));
    if (kind === '+') this.#inData = true;
    if (kind !== ' ') return;
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    if (code === '650') this.#onEventLines(lines);
    else this.#pending.shift()?.resolve({ code: Number(code), lines });
  }

  #giveUp(says: string): void {
    this.#wrong ??= failed(`the program there ${says}`, 'Check which program has that port.');
    this.#socket.destroy();
  }

  #onEventLines(lines: readonly string[]): void {
    const text = lines.join('\n');
    for (const listener of this.#listeners.get(/^\w+/.exec(text)?.[0] ?? '') ?? []) listener(text);
  }
}

const REFUSED = 'Its log says more.';
const MAX_WORDS = 500;

function failed(why: string, remedy: string, cause?: unknown, reply?: number): RelaymintError {
  return new RelaymintError('TOR_CONTROL_FAILED', `Tor cannot be controlled: ${why}.`, {
    remedy,
    cause,
    ...(reply === undefined ? {} : { details: { reply } }),
  });
}

/** A refusal in tor's words, without what a terminal would obey. */
function shown(lines: readonly string[]): string {
  return lines
    .join(' ')
    .slice(0, MAX_WORDS)
    .replace(/[^\x20-\x7e]/g, '?');
}

function unproven(endpoint: Endpoint): RelaymintError {
  const place = formatEndpoint(endpoint);
  return new RelaymintError(
    'TOR_NOT_TRUSTED',
    `A control port was found at ${place} that no setting names and that cannot prove by a cookie that it is tor's.`,
    { remedy: `If it is your tor's, name it: --tor-control ${place}.` },
  );
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/** Undoes the C escapes that tor uses for characters that are not printable ASCII: `\303\251` is the two bytes of an e with acute. */
function unescaped(text: string): string {
  const bytes = text.replace(/\\([0-7]{1,3}|.)/g, (_, escaped: string) =>
    /^[0-7]/.test(escaped) ? String.fromCharCode(Number.parseInt(escaped, 8)) : (ESCAPES[escaped] ?? escaped),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

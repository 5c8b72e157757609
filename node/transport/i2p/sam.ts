/**
 * SAM, an I2P router's door for applications (version 3.1 and later): one line asks, one line answers, and a socket that was
 * asked for a stream becomes it.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { RelaymintError, isRelaymintError, type ErrorCode } from '../../../core/errors.ts';
import { abortError, deadline, onAbort } from '../../../core/abort.ts';
import { formatEndpoint, type Endpoint } from '../endpoint.ts';
import { openEndpoint } from '../socket.ts';

/** Destinations are about 520 characters, private keys 900; a longer line is not SAM. */
const MAX_LINE_BYTES = 16 * 1024;
/** Ed25519, what routers use since 2015. */
const SIGNATURE_TYPE = 7;

/** A first answer of a router that is there takes no longer, milliseconds. Tunnels do. */
export const SAM_MILLIS = 15_000;

export interface SamSession {
  readonly id: string;
  /** Resolves when the router says that it is ready, which may be long after streams already work; not at all when it never is. */
  readonly announced: Promise<void>;
  /** Resolves when it is over: with the reason, undefined after our own `close`. Never rejects. */
  readonly closed: Promise<RelaymintError | undefined>;
  close(): void;
}

/** Tunnel options of a session, as the router names them: `inbound.length` and so on. */
export type SessionOptions = Readonly<Record<string, string | number>>;

/** @returns the router's version of SAM. @throws RelaymintError I2P_NOT_RUNNING, I2P_FAILED, TIMEOUT, ABORTED. */
export async function samVersion(sam: Endpoint, signal: AbortSignal): Promise<string> {
  const { socket, version } = await greet(sam, signal);
  socket.destroy();
  return version;
}

/** @returns a new private key as SAM writes it. A secret. */
export async function generateKeys(sam: Endpoint, signal: AbortSignal): Promise<string> {
  const { socket } = await greet(sam, signal);
  try {
    const { fields } = await ask(socket, `DEST GENERATE SIGNATURE_TYPE=${SIGNATURE_TYPE}`, signal);
    const key = fields.get('PRIV');
    if (key === undefined) throw failed('the router made no key');
    return key;
  } finally {
    socket.destroy();
  }
}

/**
 * Resolves as soon as streams can be asked for: the router's own word, which comes once tunnels are up, is `announced`.
 * @throws RelaymintError ADDRESS_IN_USE (the destination is in use), INVALID_ENCODING (its key), I2P_NOT_RUNNING, I2P_FAILED, ..
 */
export async function createSession(
  sam: Endpoint,
  { id, privateKey, options }: { readonly id: string; readonly privateKey: string; readonly options: SessionOptions },
  signal: AbortSignal,
): Promise<SamSession> {
  const { socket } = await greet(sam, signal);
  const settings = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  const request = `SESSION CREATE STYLE=STREAM ID=${id} DESTINATION=${privateKey} ${settings.join(' ')}`;
  let ours = false;
  const status = ask(socket, request, new AbortController().signal);
  const announced = new Promise<void>((resolve) => {
    const onStatus = async (): Promise<void> => {
      await status;
      resolve();
      // The router says no more on this socket; that it ends must be heard.
      socket.resume();
    };
    onStatus().catch(() => {
      // `closed` tells why.
    });
  });
  socket.on('end', () => socket.destroy());
  const closed = new Promise<RelaymintError | undefined>((resolve) => {
    const lost = (): void =>
      resolve(ours ? undefined : new RelaymintError('I2P_NOT_RUNNING', 'The I2P router ended our session.'));
    if (socket.destroyed) lost();
    else socket.once('close', lost);
    status.catch((error: unknown) => {
      socket.destroy();
      resolve(isRelaymintError(error) ? error : failed(String(error)));
    });
  });
  // SAM must answer a second question on another socket: by then it has taken, or refused, the first.
  try {
    await Promise.race([
      samVersion(sam, signal),
      announced,
      closed.then((error) => {
        throw error ?? failed('the session ended');
      }),
    ]);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return {
    id,
    announced,
    closed,
    close() {
      ours = true;
      socket.destroy();
    },
  };
}

/** A stream to `destination` (a name or SAM's base64). The router answers before the peer does. @throws RelaymintError I2P_UNREACHABLE, .. */
export async function connectStream(
  sam: Endpoint,
  session: string,
  destination: string,
  signal: AbortSignal,
): Promise<Socket> {
  const { socket } = await greet(sam, signal);
  await ask(socket, `STREAM CONNECT ID=${session} DESTINATION=${destination} SILENT=false`, signal);
  return socket;
}

export interface Accepted {
  readonly connection: Socket;
  /** The caller's public destination, as SAM writes it. */
  readonly from: string;
}

/** Waits for the next stream to the session. @throws RelaymintError I2P_FAILED, ABORTED, .. */
export async function acceptStream(sam: Endpoint, session: string, signal: AbortSignal): Promise<Accepted> {
  const socket = await readyToAccept(sam, session, signal);
  // This one may take for ever.
  const line = await readLine(socket, signal);
  return { connection: socket, from: line.split(' ')[0] ?? '' };
}

async function readyToAccept(sam: Endpoint, session: string, signal: AbortSignal): Promise<Socket> {
  using limit = deadline(SAM_MILLIS, 'Asking the I2P router for streams', signal);
  const { socket } = await greet(sam, limit.signal);
  await ask(socket, `STREAM ACCEPT ID=${session} SILENT=false`, limit.signal);
  return socket;
}

async function greet(sam: Endpoint, signal: AbortSignal): Promise<{ socket: Socket; version: string }> {
  let socket: Socket;
  try {
    socket = await openEndpoint(sam, signal);
  } catch (error) {
    if (!isRelaymintError(error, 'CONNECTION_REFUSED')) throw error;
    throw new RelaymintError('I2P_NOT_RUNNING', `No I2P router answers at ${formatEndpoint(sam)}.`, {
      remedy:
        'Install one (apt-get install i2pd), enable SAM in its configuration ([sam] enabled = true) and start it.',
      cause: error,
    });
  }
  const { fields } = await ask(socket, 'HELLO VERSION MIN=3.1 MAX=3.3', signal);
  return { socket, version: fields.get('VERSION') ?? '3.1' };
}

interface Answer {
  readonly fields: ReadonlyMap<string, string>;
}

/** Destroys the socket when it fails. */
async function ask(socket: Socket, question: string, signal: AbortSignal): Promise<Answer> {
  socket.write(`${question}\n`);
  const line = await readLine(socket, signal);
  const fields = new Map<string, string>();
  for (const [, name = '', quoted, plain] of line.matchAll(/\b([A-Z_]+)=(?:"([^"]*)"|(\S*))/g)) {
    fields.set(name, quoted ?? plain ?? '');
  }
  const result = fields.get('RESULT') ?? (fields.has('PRIV') ? 'OK' : undefined);
  if (result === 'OK') return { fields };
  socket.destroy();
  throw answerError(question.split(' ').slice(0, 2).join(' '), result, fields.get('MESSAGE'));
}

/** One line; what follows it in the same chunk stays in the socket. */
function readLine(socket: Duplex, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = Buffer.alloc(0);
    let tie: Disposable | undefined = undefined;
    const stop = (): void => {
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd);
      tie?.[Symbol.dispose]();
    };
    const fail = (error: RelaymintError): void => {
      stop();
      socket.destroy();
      reject(error);
    };
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      text = Buffer.concat([text, chunk]);
      const end = text.indexOf(0x0a);
      if (end > MAX_LINE_BYTES || (end === -1 && text.length > MAX_LINE_BYTES)) {
        fail(failed('what answers there is not SAM'));
        return;
      }
      if (end === -1) return;
      stop();
      const rest = text.subarray(end + 1);
      if (rest.length > 0) socket.unshift(rest);
      resolve(text.subarray(0, end).toString('latin1').trimEnd());
    };
    const onEnd = (): void => fail(failed('the router hung up'));
    const giveUp = (): void => fail(abortError(signal, 'Waiting for the I2P router'));
    tie = onAbort(signal, giveUp);
    if (signal.aborted) return;
    socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd);
    onReadable();
  });
}

/** Results of SAM 3 that are not OK. */
const RESULTS: Readonly<Record<string, { readonly code: ErrorCode; readonly says: string; readonly remedy?: string }>> =
  {
    CANT_REACH_PEER: {
      code: 'I2P_UNREACHABLE',
      says: 'the destination cannot be reached',
      remedy: 'Check that the other node is running; tunnels may take a minute to come up.',
    },
    TIMEOUT: { code: 'I2P_UNREACHABLE', says: 'the destination does not answer' },
    KEY_NOT_FOUND: { code: 'I2P_UNREACHABLE', says: 'the name is unknown', remedy: 'Use its .b32.i2p address.' },
    INVALID_KEY: { code: 'INVALID_ENCODING', says: 'the router does not take this key or address' },
    DUPLICATED_DEST: {
      code: 'ADDRESS_IN_USE',
      says: 'the destination is in use by another program',
      remedy: 'Stop the other node that has the same key.',
    },
  };

function answerError(what: string, result: string | undefined, message: string | undefined): RelaymintError {
  const known = RESULTS[result ?? ''];
  const detail = message === undefined || message === '' ? '' : ` (${message.slice(0, 200)})`;
  if (known === undefined) return failed(`it answered ${what} with ${result ?? 'nothing it should'}${detail}`);
  return new RelaymintError(known.code, `The I2P router says: ${known.says}${detail}.`, {
    ...(known.remedy === undefined ? {} : { remedy: known.remedy }),
    details: { result: result ?? '' },
  });
}

function failed(why: string): RelaymintError {
  return new RelaymintError('I2P_FAILED', `The I2P router cannot be used: ${why}.`, {
    remedy: 'See the log of the router. SAM 3.1 or later is needed.',
  });
}

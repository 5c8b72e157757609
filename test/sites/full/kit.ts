/** Full mode in front of a gateway, and browsers and others that ask its proxy. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { systemClock } from '../../../core/ports.ts';
import { p256In } from '../../../platform/keys/p256.ts';
import { openAuthority, openFullMode, type Authority, type FullModeOptions } from '../../../sites/full/index.ts';
import { startFront, type Front, type FrontOptions } from '../gateway/kit.ts';
import { temporaryFolder, type Cleanup } from '../kit.ts';

export interface FullFront extends Front {
  readonly authority: Authority;
  /** Of the authority's file. */
  readonly directory: string;
  /** Of the proxy. */
  readonly proxyPort: number;
  readonly pacUrl: string;
  readonly closeProxy: () => Promise<void>;
}

export async function startFullFront(
  cleanup: Cleanup,
  { full = {}, ...options }: Omit<FrontOptions, 'full'> & { readonly full?: Partial<FullModeOptions> } = {},
): Promise<FullFront> {
  const directory = path.join(await temporaryFolder(cleanup), 'ca');
  const authority = await openAuthority({ directory, clock: systemClock });
  const front = await startFront(cleanup, { ...options, full: true });
  const proxy = await openFullMode({ authority, port: 0, address: '127.0.0.1', accept: front.accept, ...full });
  const closeProxy = async (): Promise<void> => await proxy[Symbol.asyncDispose]();
  cleanup.add(closeProxy);
  return { ...front, authority, directory, proxyPort: proxy.port, pacUrl: proxy.pacUrl, closeProxy };
}

/** What somebody with the file could sign with. */
export async function stolenKey(directory: string): Promise<NonNullable<ReturnType<typeof p256In>>> {
  const key = p256In(await readFile(path.join(directory, 'ca.pem')));
  if (key === undefined) throw new Error('the authority has no key');
  return key;
}

/** A connection to the proxy on which `head` was sent, and the head of the answer, which is '' if the proxy hung up. */
export async function ask(
  { proxyPort }: Pick<FullFront, 'proxyPort'>,
  head: string,
): Promise<{ readonly socket: Socket; readonly status: number; readonly answer: string }> {
  const socket = connect({ port: proxyPort, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write(head, 'latin1');
  const answer = await new Promise<string>((resolve) => {
    let said = '';
    const hear = (chunk: Buffer): void => {
      said += chunk.toString('latin1');
      if (said.includes('\r\n\r\n')) done();
    };
    const done = (): void => {
      socket.off('data', hear).off('close', done).pause();
      resolve(said);
    };
    socket.on('data', hear).once('close', done);
  });
  return { socket, answer, status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0) };
}

export function connectHead(target: string): string {
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
}

/** A browser's connection to `https://NAME`. `tls`: what differs from a browser that trusts the authority. @throws when TLS fails. */
export async function secured(
  front: Pick<FullFront, 'proxyPort' | 'authority'>,
  name: string,
  tls: ConnectionOptions = {},
): Promise<TLSSocket> {
  const { socket, status } = await ask(front, connectHead(`${name}:443`));
  if (status !== 200) throw new Error(`the proxy says ${status}`);
  const secure = connectTls({ socket, servername: name, ca: front.authority.certificate, ...tls });
  await once(secure, 'secureConnect');
  return secure;
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Asks for one path on a connection of its own. */
export async function getSecure(
  front: Pick<FullFront, 'proxyPort' | 'authority'>,
  name: string,
  at: string = '/',
  { method = 'GET', headers = {} }: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Got> {
  const connection = await secured(front, name);
  const asked = request({
    createConnection: () => connection,
    method,
    path: at,
    headers: { host: name, connection: 'close', ...headers },
  }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, headers: answer.headers, text: await text(answer) };
}

/** Serves the control interface on a loopback port and leaves its address and token in the data directory. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import { replaceFile } from '../../platform/disk/atomic-file.ts';
import { CONTROL_FILE, orderSchemas, type ControlCall, type ControlFile, type ControlHandlers } from './protocol.ts';

export interface ControlServer extends AsyncDisposable {
  readonly url: string;
}

const TOKEN_BYTES = 32;
/** A name and an amount. */
const MAX_ORDER_BYTES = 1024;

/** Listens on 127.0.0.1; only callers that can read the data directory know the token. */
export async function startControlServer(dataDir: string, handlers: ControlHandlers, log: Log): Promise<ControlServer> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const server = createServer((request, response) => {
    answer(request, response, token, handlers).catch((error: unknown) => {
      log.error({ err: error }, 'a control request failed');
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const file = path.join(dataDir, CONTROL_FILE);
  const content: ControlFile = { url, token, pid: process.pid };
  await replaceFile(file, Buffer.from(`${JSON.stringify(content)}\n`));
  return {
    url,
    async [Symbol.asyncDispose]() {
      await rm(file, { force: true });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  token: string,
  handlers: ControlHandlers,
): Promise<void> {
  const call = /^\/v1\/([a-z]+)$/.exec(request.url ?? '')?.[1];
  if (call !== 'budget') request.resume();
  const expectedMethod = call === 'stats' ? 'GET' : 'POST';
  if (!isLoopbackHost(request.headers.host)) return send(response, 421, failure('INVALID_ARGUMENT', 'Unknown host.'));
  if (!tokenMatches(request.headers.authorization, token)) {
    return send(response, 401, failure('INVALID_ARGUMENT', 'The token of control.json is missing or wrong.'));
  }
  if (call === undefined || !Object.hasOwn(handlers, call)) {
    return send(response, 404, failure('INVALID_ARGUMENT', 'No such control call.'));
  }
  if (request.method !== expectedMethod) {
    return send(response, 405, failure('INVALID_ARGUMENT', `Use ${expectedMethod}.`));
  }
  try {
    return send(response, 200, await called(request, handlers, call as ControlCall));
  } catch (error) {
    const code = isRelaymintError(error) ? error.code : 'INTERNAL';
    return send(response, 500, failure(code, messageOf(error)));
  }
}

/** @throws RelaymintError INVALID_ARGUMENT, and what the handler throws. */
async function called(request: IncomingMessage, handlers: ControlHandlers, call: ControlCall): Promise<object> {
  if (call !== 'budget') return await handlers[call]();
  const order = orderSchemas[call].safeParse(await bodyOf(request));
  if (order.success) return await handlers[call](order.data);
  const [issue] = order.error.issues;
  throw new RelaymintError('INVALID_ARGUMENT', `${issue?.path.join('.')}: ${issue?.message}`);
}

/** undefined: no JSON, or too much. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAX_ORDER_BYTES) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString());
  } catch {
    return undefined;
  }
}

function failure(code: string, message: string): object {
  return { error: { code, message } };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

function isLoopbackHost(host: string | undefined): boolean {
  return host !== undefined && /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host);
}

function tokenMatches(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

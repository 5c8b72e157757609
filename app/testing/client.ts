/** What a test asks a gateway of its own by. Names below localhost are this machine to browsers; Node asks a resolver, which may not know. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { RelaymintError } from '../../core/errors.ts';

/** What the functions of `relaymint/sdk` take as their client. */
export interface TestClient {
  readonly origin: string;
  readonly name: string | undefined;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
}

/** @param origin of the gateway itself, or of a name there */
export function testClient(origin: string, name: string | undefined): TestClient {
  return Object.freeze({ origin, name, fetch: fetchHere, signal: undefined });
}

const WITHOUT_BODY: readonly number[] = [204, 205, 304];

/** As the global one, for this machine alone. It follows no redirect: tests want to see them. */
const fetchHere: typeof fetch = async (input, init) => {
  const asked = new Request(input, init);
  const { protocol, hostname, host, port, pathname, search } = new URL(asked.url);
  if (protocol !== 'http:' || !/^(?:(?:.*\.)?localhost|127\.0\.0\.1)$/.test(hostname)) {
    throw new RelaymintError(
      'INVALID_ARGUMENT',
      `${asked.url} is not on this machine, and a test network asks nobody else.`,
      {
        remedy: 'Give an address that the test network said.',
      },
    );
  }
  const body = Buffer.from(await asked.arrayBuffer());
  const asking = httpRequest({
    host: '127.0.0.1',
    port,
    path: pathname + search,
    method: asked.method,
    headers: { ...Object.fromEntries(asked.headers), host },
    agent: false,
    signal: asked.signal,
  }).end(body);
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  const { statusCode: status = 0 } = answer;
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headersDistinct))
    for (const value of values ?? []) headers.append(name, value);
  const hasBody = asked.method !== 'HEAD' && !WITHOUT_BODY.includes(status);
  if (!hasBody) answer.resume();
  return new Response(hasBody ? (Readable.toWeb(answer) as ReadableStream<Uint8Array>) : null, { status, headers });
};

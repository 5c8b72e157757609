/** A browser in front of a gateway, as far as tests need one. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

/** What a visitor of `name` gets at `path` from the gateway at `url`. */
export async function visit(url: string, name: string, path: string = '/'): Promise<{ status: number; body: Buffer }> {
  const { port } = new URL(url);
  const headers = { host: `${name.replaceAll('-', '--').replace('.', '-')}.localhost:${port}` };
  const asked = request({ host: '127.0.0.1', port, path, headers, agent: false }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, body: await buffer(answer) };
}

/** `fetch` for addresses below localhost, which Node does not know to be this machine. Redirects are not followed. */
export const fetchHere: typeof fetch = async (input, init) => {
  const sent = new Request(input, init);
  const { url, method, headers, signal } = sent;
  const body = Buffer.from(await sent.arrayBuffer());
  const { host, port, pathname, search } = new URL(url);
  const asked = request({
    host: '127.0.0.1',
    port,
    path: pathname + search,
    method,
    headers: { ...Object.fromEntries(headers), host },
    agent: false,
    signal,
  }).end(body);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const { statusCode: status = 0 } = answer;
  const heard = new Headers();
  for (const [name, value] of Object.entries(answer.headersDistinct))
    for (const one of value ?? []) heard.append(name, one);
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
  if (!hasBody) answer.resume();
  return new Response(hasBody ? (Readable.toWeb(answer) as ReadableStream<Uint8Array>) : null, {
    status,
    headers: heard,
  });
};

/** A browser in front of a gateway, as far as tests need one. */
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** What a visitor of `name` gets at `path` from the gateway at `url`. */
export async function visit(url: string, name: string, path: string = '/'): Promise<{ status: number; body: Buffer }> {
  const { port } = new URL(url);
  const headers = { host: `${name.replaceAll('-', '--').replace('.', '-')}.localhost:${port}` };
  const asked = request({ host: '127.0.0.1', port, path, headers, agent: false }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, body: await buffer(answer) };
}

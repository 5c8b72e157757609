/** The preview and nginx in front of the same folders, asked the same questions: what differs in their answers, in sentences. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { openPreview } from '../../app/site/index.ts';
import { RELOADING } from '../../app/site/reload.ts';
import { silentLog } from '../../core/ports.ts';
import { publishableFiles } from '../../sites/unixfs/index.ts';
import { startNginx } from '../../testbed/nginx.ts';
import { freePort } from '../port.ts';

export interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly length: string | undefined;
  readonly range: string | undefined;
  readonly location: string | undefined;
  readonly encoding: string | undefined;
  readonly body: Buffer;
}

/** `path` as it stands in the request line. */
export type Ask = (path: string, how?: { readonly method?: string; readonly range?: string }) => Promise<Answer>;

export interface Served {
  readonly folder: string;
  readonly ours: Ask;
  readonly nginx: Ask;
}

export interface Both extends AsyncDisposable {
  readonly served: readonly Served[];
}

/** `directory`: for nginx. */
export async function serveBoth(folders: readonly string[], directory: string): Promise<Both> {
  await using stack = new AsyncDisposableStack();
  const { signal } = new AbortController();
  const preview = stack.use(await openPreview({ paths: folders, port: 0, signal, log: silentLog }));
  const port = await freePort();
  const hosts = preview.sites.map(({ url }) => new URL(url).hostname);
  const sites = Object.fromEntries(hosts.map((host, index) => [host, folders[index] ?? '']));
  stack.use(await startNginx({ directory, port, sites, signal }));
  const agent = new Agent({ keepAlive: true });
  stack.defer(() => agent.destroy());
  const served = folders.map((folder, index) => {
    const host = hosts[index] ?? '';
    return { folder, ours: asking(agent, Number(new URL(preview.url).port), host), nginx: asking(agent, port, host) };
  });
  const owned = stack.move();
  return { served, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function asking(agent: Agent, port: number, host: string): Ask {
  return async (target, { method = 'GET', range } = {}) => {
    const headers = { host: `${host}:${port}`, ...(range !== undefined && { range }) };
    const asked = request({ agent, host: '127.0.0.1', port, path: target, method, headers }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    const { 'content-type': type, 'content-length': length, 'content-range': contentRange } = answer.headers;
    const { location, 'content-encoding': encoding } = answer.headers;
    const body = Buffer.concat(chunks);
    return { status: answer.statusCode ?? 0, type, length, range: contentRange, location, encoding, body };
  };
}

/** A media type that both may name differently. */
export interface AllowedType {
  readonly files: RegExp;
  readonly ours: string;
  readonly nginx: string;
  readonly why: string;
}

export function addressOf(file: string): string {
  return `/${file.split('/').map(encodeURIComponent).join('/')}`;
}

/** Every file, every folder, and what is not there. @returns what differs and may not. */
export async function compareTree(
  { folder, ours, nginx }: Served,
  allowed: readonly AllowedType[],
): Promise<readonly string[]> {
  const faults: string[] = [];
  for await (const { path: relative, file } of publishableFiles(folder)) {
    const { size } = await stat(file);
    const target = addressOf(relative);
    const both = async (how?: Parameters<Ask>[1]): Promise<[Answer, Answer]> =>
      await Promise.all([ours(target, how), nginx(target, how)]);
    const check = (what: string, [mine, theirs]: readonly [Answer, Answer], added = 0): void => {
      const differences = differencesOf(mine, theirs, { file: relative, allowed, added });
      faults.push(...differences.map((difference) => `${relative}, ${what}: ${difference}`));
    };
    const whole = await both();
    // The preview's own line, in whole pages.
    const added = isPage(whole[0]) ? RELOADING.html.length : 0;
    check('GET', whole, added);
    check('HEAD', await both({ method: 'HEAD' }), added);
    const third = Math.floor(size / 3);
    // There is no range of nothing.
    if (size === 0) continue;
    check('a range in the middle', await both({ range: `bytes=${third}-${2 * third}` }));
    check('its last bytes', await both({ range: 'bytes=-100' }));
    check('a range from the middle', await both({ range: `bytes=${third}-` }));
    check('a range behind its end', await both({ range: `bytes=${size}-` }));
  }
  for (const relative of await foldersIn(folder)) {
    const target = addressOf(relative);
    const [mine, theirs] = await Promise.all([ours(target), nginx(target)]);
    // A name may point to a file there tomorrow.
    if (mine.status !== 302 || theirs.status !== 301 || mine.location !== theirs.location) {
      faults.push(`${relative}: ${mine.status} ${mine.location}, nginx ${theirs.status} ${theirs.location}`);
    }
    const [page, theirPage] = await Promise.all([ours(`${target}/`), nginx(`${target}/`)]);
    // Where it has no page, nginx says that it may not be listed.
    if (theirPage.status === 403 && page.status === 200) continue;
    const how = { file: 'index.html', allowed, added: RELOADING.html.length };
    faults.push(...differencesOf(page, theirPage, how).map((difference) => `${relative}/: ${difference}`));
  }
  return faults;
}

function differencesOf(
  mine: Answer,
  theirs: Answer,
  { file, allowed, added }: { readonly file: string; readonly allowed: readonly AllowedType[]; readonly added: number },
): string[] {
  const said = (what: string, our: unknown, their: unknown): string => `${what} ${String(our)}, nginx ${String(their)}`;
  const faults: string[] = [];
  if (mine.status !== theirs.status) return [said('status', mine.status, theirs.status)];
  if (mine.range !== theirs.range) faults.push(said('Content-Range', mine.range, theirs.range));
  // An error has a page of each one's own.
  if (mine.status >= 400) return faults;
  if (mine.encoding !== theirs.encoding) faults.push(said('Content-Encoding', mine.encoding, theirs.encoding));
  if (!mayDiffer(file, mine, theirs, allowed)) faults.push(said('Content-Type', mine.type, theirs.type));
  if (Number(mine.length) !== Number(theirs.length) + added) {
    faults.push(said('Content-Length', mine.length, theirs.length));
  }
  const body = mine.body.subarray(0, mine.body.length === 0 ? 0 : mine.body.length - added);
  if (digest(body) !== digest(theirs.body)) faults.push(said('body', body.length, theirs.body.length));
  return faults;
}

function mayDiffer(file: string, mine: Answer, theirs: Answer, allowed: readonly AllowedType[]): boolean {
  return (
    mine.type === theirs.type ||
    allowed.some(({ files, ours, nginx }) => files.test(file) && ours === mine.type && nginx === theirs.type)
  );
}

function isPage({ type }: Answer): boolean {
  return type?.startsWith('text/html') === true;
}

function digest(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((relative) => !relative.split('/').some((name) => name.startsWith('.') && name !== '.well-known'));
}

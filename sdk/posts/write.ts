/** Writing, changing and taking back posts with the key that a visitor's wallet permitted. */
import { abortError, following } from '../../core/abort.ts';
import { fromHex } from '../../core/codec.ts';
import { RelaymintError, type ErrorCode } from '../../core/errors.ts';
import type { Client, Options } from '../client.ts';
import { encode, type Fields } from './dag-cbor.ts';
import { keptPermit, nameOf } from './permit.ts';

/** Which post it is. */
export interface PostRef {
  /** `alice.sso` */
  readonly author: string;
  readonly sequence: number;
}

export interface WriteOptions extends Options {
  /** The text is Markdown. Default: plain text. */
  readonly markdown?: boolean;
  /** The post that it answers. */
  readonly answers?: PostRef;
}

const POSTS = '/.well-known/relaymint/posts';
const TYPE = 'application/vnd.ipld.dag-cbor';
const DOMAIN = 'relaymint:entry:v1';
/** Numbers rise, whatever the clock does. */
let last = 0;

/**
 * Writes a post in the thread about `path`. It is there for others when this resolves.
 * @throws RelaymintError SIGN_IN_REFUSED (nobody allowed it), ENTRY_INVALID, CONTENT_REFUSED (the site takes none), LIMIT_EXCEEDED,
 * NO_ROUTE, CONNECTION_LOST, ABORTED.
 */
export async function writePost(
  client: Client,
  path: string,
  text: string,
  options: WriteOptions = {},
): Promise<PostRef> {
  return await say(client, path, { kind: 'post', ...words(text, options), target: refOf(options.answers) }, options);
}

/** Says a post of the same author in other words. @throws as `writePost`. */
export async function editPost(
  client: Client,
  path: string,
  sequence: number,
  text: string,
  options: Omit<WriteOptions, 'answers'> = {},
): Promise<PostRef> {
  const { author } = await keptPermit(client);
  return await say(client, path, { kind: 'edit', ...words(text, options), target: { author, sequence } }, options);
}

/** Takes a post of the same author back. @throws as `writePost`. */
export async function removePost(
  client: Client,
  path: string,
  sequence: number,
  options: Options = {},
): Promise<PostRef> {
  const { author } = await keptPermit(client);
  return await say(client, path, { kind: 'remove', target: { author, sequence } }, options);
}

function words(text: string, { markdown }: { readonly markdown?: boolean }): Fields {
  const mediaType = markdown === true ? 'text/markdown' : 'text/plain';
  return { mediaType, content: new TextEncoder().encode(text) };
}

function refOf(post: PostRef | undefined): Fields | undefined {
  return post && { author: post.author, sequence: post.sequence };
}

async function say(client: Client, path: string, saying: Fields, { signal }: Options): Promise<PostRef> {
  const { key, author, permit } = await keptPermit(client);
  const created = Math.max(Date.now(), permit.since, last + 1);
  last = created;
  const body: Fields = {
    ...saying,
    version: 1,
    name: nameOf(client),
    topic: path,
    author,
    sequence: created,
    created,
    permit: {
      key: fromHex(permit.key),
      since: permit.since,
      until: permit.until,
      form: permit.form,
      signature: fromHex(permit.signature),
    },
  };
  const [domain, encoded] = [new TextEncoder().encode(DOMAIN), encode(body)];
  const message = new Uint8Array(domain.length + encoded.length);
  message.set(domain);
  message.set(encoded, domain.length);
  const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', key, message));
  await bring(client, encode({ body, signature }), signal);
  return { author, sequence: created };
}

async function bring(client: Client, entry: Uint8Array<ArrayBuffer>, signal: AbortSignal | undefined): Promise<void> {
  const until = following(client.signal, signal);
  try {
    const init = { method: 'POST', headers: { 'content-type': TYPE }, body: entry, signal: until.signal };
    const response = await client.fetch(client.origin + POSTS, init);
    if (!response.ok) throw await refusalOf(response);
  } catch (error) {
    if (until.signal.aborted) throw abortError(until.signal, 'Writing a post');
    if (error instanceof RelaymintError) throw error;
    throw new RelaymintError('CONNECTION_LOST', 'The gateway did not take the post.', {
      remedy: 'Look whether it is there, and write it once more if not.',
      cause: error,
    });
  } finally {
    until[Symbol.dispose]();
  }
}

/** What is no gateway's answer is not shown. */
async function refusalOf(response: Response): Promise<RelaymintError> {
  const said = (await response.json().catch(() => ({}))) as { error?: { code?: string; message?: string } };
  const { code = 'CONTENT_REFUSED', message = `The gateway answered with status ${response.status}.` } =
    said.error ?? {};
  const retry = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new RelaymintError(code as ErrorCode, message, {
    details: { status: response.status, ...(Number.isFinite(retry) && { retrySeconds: retry }) },
  });
}

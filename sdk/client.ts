/** A client: where a gateway is, and how it is asked. */
import { abortError, following } from '../core/abort.ts';
import { RelaymintError, violation, type ErrorCode } from '../core/errors.ts';
import { inlineName, nameOfFullHost, nameOfHost, parseName } from '../core/name.ts';

export interface ClientOptions {
  /**
   * The address of a site at a gateway (`https://demo-web3.sites.example.org`), or of a gateway itself (`http://localhost:8402`).
   * Default: the address of the page.
   */
  readonly gateway?: string | URL;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Ends whatever this client does. */
  readonly signal?: AbortSignal;
}

/** Frozen data, to be given to the functions of the SDK. */
export interface Client {
  /** `https://demo-web3.sites.example.org` */
  readonly origin: string;
  /** The name whose address that is: `demo.web3`. undefined at the gateway's own address. */
  readonly name: string | undefined;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
}

export interface Options {
  /** Ends this call alone. */
  readonly signal?: AbortSignal | undefined;
}

/** About which name. */
export interface NameOptions extends Options {
  /** Default: the name of the client's address. Others answer where their manifests let this page embed them. */
  readonly name?: string | undefined;
}

/** Where a gateway on a visitor's own machine shows what full mode does not. */
const LOCAL_PORT = 8402;
/** No page of a gateway that says what failed is longer. */
const MAX_FAILURE_CHARACTERS = 65_536;

/** @throws RelaymintError INVALID_ARGUMENT without an address: outside a page, or in one that has none of http. */
export function createClient(options: ClientOptions = {}): Client {
  const { gateway = globalThis.location?.href, signal } = options;
  const url = gateway === undefined || !URL.canParse(gateway) ? undefined : new URL(gateway);
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new RelaymintError('INVALID_ARGUMENT', 'There is no address of a gateway.', {
      remedy: 'Give createClient a gateway, such as "http://demo-web3.localhost:8402".',
    });
  }
  return Object.freeze({
    origin: url.origin,
    name: nameAt(url),
    // Looked up when it is called: a page may put another one in its place, and none may be called as a method.
    fetch: options.fetch ?? ((input: RequestInfo | URL, init?: RequestInit) => globalThis.fetch(input, init)),
    signal,
  });
}

/**
 * Where the client's visitors find a path of any name: at `https://news.web3` in full mode, else beside the client's own address, below
 * localhost or a gateway's domain.
 * @param path begins with a slash. Default `/`.
 * @throws RelaymintError NAME_INVALID.
 */
export function addressOf(client: Client, name: string, path: string = '/'): string {
  const { protocol, host, hostname } = new URL(client.origin);
  const label = inlineName(name);
  if (nameOfFullHost(hostname) === undefined) {
    const domain = client.name === undefined ? host : host.slice(host.indexOf('.') + 1);
    return `${protocol}//${label}.${domain}${path}`;
  }
  const full = nameOfFullHost(parseName(name).name);
  return full === undefined ? `http://${label}.localhost:${LOCAL_PORT}${path}` : `https://${full}${path}`;
}

/** The name whose address it is, at any gateway; undefined where it is none. */
export function nameAt({ hostname }: URL): string | undefined {
  return nameOfFullHost(hostname) ?? nameOfHost(hostname, hostname.slice(hostname.indexOf('.') + 1));
}

/**
 * Asks a name's address, and reads the answer under the signals of the client and of this call.
 * @throws RelaymintError: what the gateway said, CONNECTION_LOST, ABORTED; and what `read` throws.
 */
export async function asked<T>(
  client: Client,
  { name = client.name, signal }: NameOptions,
  question: { readonly path: string; readonly accept: string },
  read: (response: Response, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (name === undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', 'No name is given.', {
      remedy: 'Give the name, or a client of its site.',
    });
  }
  const url = name === client.name ? client.origin + question.path : addressOf(client, name, question.path);
  return await askedAt(client, url, { signal }, question.accept, read);
}

/** The same of an address. @throws as `asked`. */
export async function askedAt<T>(
  client: Client,
  url: string,
  { signal }: Options,
  accept: string,
  read: (response: Response, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const until = following(client.signal, signal);
  try {
    const response = await client.fetch(url, { headers: { accept }, signal: until.signal });
    if (!response.ok) throw await failureOf(response);
    return await read(response, until.signal);
  } catch (error) {
    if (until.signal.aborted) throw abortError(until.signal, `Asking ${url}`);
    if (error instanceof RelaymintError) throw error;
    throw unreachable(url, error);
  } finally {
    until[Symbol.dispose]();
  }
}

/** @throws RelaymintError PROTOCOL_VIOLATION for what is no gateway's answer. */
export async function jsonOf(response: Response): Promise<unknown> {
  requireType(response, 'application/json');
  return parsed(await response.text());
}

/** @throws RelaymintError PROTOCOL_VIOLATION. */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw noGateway(error);
  }
}

/** @throws RelaymintError PROTOCOL_VIOLATION. */
export function requireType(response: Response, type: string): void {
  if (response.headers.get('content-type')?.startsWith(type) !== true) throw noGateway();
}

/** Any web server answers something: one for development, for example, with the front page. */
export function noGateway(cause?: unknown): RelaymintError {
  const remedy = 'Open the page by one ("relaymint site preview" is one), or give createClient its address.';
  return violation('This is no answer of a gateway.', remedy, cause);
}

/** What a gateway's page of an error says: its code stands in it. Or what it says as JSON. */
async function failureOf(response: Response): Promise<RelaymintError> {
  const { status } = response;
  const page = (await response.text()).slice(0, MAX_FAILURE_CHARACTERS);
  const code =
    /(?:<p class="code">|"code":")([A-Z_]+)/.exec(page)?.[1] ??
    (status === 404 ? 'CONTENT_NOT_FOUND' : 'CONTENT_REFUSED');
  const [, title = `The gateway answered with status ${status}`, text = ''] =
    /(?:<h1>|"message":")([^<"]*?)\.?[<"](?:\/h1><p>([^<]*))?/.exec(page) ?? [];
  const retry = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new RelaymintError(code as ErrorCode, `${plain(title)}.`, {
    ...(text !== '' && { remedy: plain(text) }),
    details: { status, ...(Number.isFinite(retry) && { retrySeconds: retry }) },
  });
}

const ESCAPED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

function plain(html: string): string {
  return html.replace(/&(amp|lt|gt|quot|#39);/g, (_match, name: string) => ESCAPED[name] ?? '');
}

function unreachable(url: string, cause: unknown): RelaymintError {
  return new RelaymintError('CONNECTION_LOST', `${url} cannot be read.`, {
    remedy: 'Does it run, and may this page read it?',
    cause,
  });
}

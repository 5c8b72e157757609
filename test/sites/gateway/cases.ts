/**
 * Cases of a public suite for IPFS gateways, as data: requests, and what is expected of the answers. They are read from the folder that
 * RELAYMINT_GATEWAY_CASES names (its `about.json` explains the fields), and are no part of this project.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import path from 'node:path';
import { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { CarReader } from '@ipld/car';
import { CID } from 'multiformats/cid';
import { extract } from 'tar-stream';

export interface Expectation {
  readonly expectStatus?: number;
  readonly expectStatusBetween?: readonly [number, number];
  readonly expectHeaders?: Readonly<Record<string, Matcher | readonly Matcher[]>> | null;
  readonly expectBodySha256?: string;
  readonly expectBodyLength?: number;
  readonly expectBodyIncludes?: readonly string[];
  readonly expectBodyExcludes?: readonly string[];
  readonly expectBodyJson?: unknown;
  readonly expectCar?: { readonly blocks: readonly string[]; readonly exact?: boolean; readonly ordered?: boolean };
  readonly expectTar?: { readonly files: Readonly<Record<string, string | null>> };
  readonly expectAnyOf?: readonly Expectation[];
}

export interface GatewayCase extends Expectation {
  readonly id: string;
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly fixture: string | null;
  readonly needs: readonly string[];
  readonly remember?: Readonly<Record<string, string>>;
}

type Matcher =
  | string
  | {
      readonly contains?: string;
      readonly matches?: string;
      readonly notContains?: string;
      readonly present?: true;
      readonly absent?: true;
      readonly cacheControl?: { readonly has: readonly string[]; readonly minMaxAge?: number };
    };

/** What this gateway does not do, each with its reason. */
const LEFT_OUT: readonly (readonly [need: RegExp, why: string])[] = [
  [/^ipns/, 'names are on the ledger, and no keys'],
  [/^dnslink$/, 'no domain is looked up: /ipns/NAME leads to the origin of a name on the ledger'],
  [/^codec:/, 'files and folders are carried, no other data'],
  [/^hash:/, 'content is hashed with SHA2-256'],
  [/^kubo-/, 'the words of another implementation'],
  [/^any-host$/, 'a host name that is not ours may be a DNS rebinding attempt'],
  [/^proxy$/, 'this gateway is no proxy'],
];

export interface PublicCases {
  readonly cases: readonly GatewayCase[];
  /** CAR files. */
  readonly fixtures: readonly string[];
}

/** The cases that this gateway is to pass. */
export async function publicCases(folder: string): Promise<PublicCases> {
  const read: unknown = JSON.parse(await readFile(path.join(folder, 'cases.json'), 'utf8'));
  const all = (Array.isArray(read) ? read : (read as { cases: unknown }).cases) as readonly GatewayCase[];
  const cases = all.filter(({ needs }) => !needs.some((need) => LEFT_OUT.some(([left]) => left.test(need))));
  const fixtures = new Set(cases.flatMap(({ fixture }) => (fixture === null ? [] : [path.join(folder, fixture)])));
  return { cases, fixtures: [...fixtures] };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Asks the gateway at that port of 127.0.0.1, and keeps what later cases refer to. */
export class CaseRunner {
  readonly #port: number;
  readonly #remembered = new Map<string, string>();

  constructor(port: number) {
    this.#port = port;
  }

  /** What is wrong with the answer, in sentences; nothing when it is right. */
  async run(one: GatewayCase): Promise<readonly string[]> {
    const answer = await this.#ask(one);
    for (const [name, header] of Object.entries(one.remember ?? {})) {
      this.#remembered.set(name, String(answer.headers[header.toLowerCase()]));
    }
    return await this.#faults(one, answer);
  }

  async #ask({ method, path: target, host, headers }: GatewayCase): Promise<Answer> {
    const asking = httpRequest({
      host: '127.0.0.1',
      port: this.#port,
      method,
      path: this.#filled(target),
      agent: false,
      headers: {
        ...Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, this.#filled(value)])),
        host: this.#filled(host),
      },
    }).end();
    const [response] = (await once(asking, 'response')) as [
      Readable & { statusCode: number; headers: IncomingHttpHeaders },
    ];
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
  }

  #filled(text: string): string {
    return text
      .replaceAll('{gateway}', `127.0.0.1:${this.#port}`)
      .replaceAll('{subdomain}', `localhost:${this.#port}`)
      .replaceAll('{scheme}', 'http')
      .replaceAll(/\{(\w+)\}/g, (whole, name: string) => this.#remembered.get(name) ?? whole);
  }

  async #faults(wanted: Expectation, answer: Answer): Promise<readonly string[]> {
    const { status, headers, body } = answer;
    const faults: string[] = [];
    const need = (right: boolean, fault: string): void => void (right || faults.push(fault));
    if (wanted.expectStatus !== undefined)
      need(status === wanted.expectStatus, `status ${status}, not ${wanted.expectStatus}`);
    if (wanted.expectStatusBetween !== undefined) {
      const [least, most] = wanted.expectStatusBetween;
      need(status >= least && status <= most, `status ${status}, not from ${least} to ${most}`);
    }
    for (const [name, matchers] of Object.entries(wanted.expectHeaders ?? {})) {
      const value = headers[name.toLowerCase()];
      const text = value === undefined ? undefined : String(value);
      for (const matcher of [matchers].flat() as readonly Matcher[]) {
        need(this.#fits(matcher, text), `${name}: ${text}, not ${JSON.stringify(matcher)}`);
      }
    }
    const text = body.toString();
    if (wanted.expectBodyLength !== undefined)
      need(body.length === wanted.expectBodyLength, `${body.length} bytes, not ${wanted.expectBodyLength}`);
    if (wanted.expectBodySha256 !== undefined)
      need(
        createHash('sha256').update(body).digest('hex') === wanted.expectBodySha256,
        `another body: ${text.slice(0, 80)}`,
      );
    for (const part of wanted.expectBodyIncludes ?? [])
      need(text.includes(this.#filled(part)), `no "${part}" in ${text.slice(-200)}`);
    for (const part of wanted.expectBodyExcludes ?? [])
      need(!text.includes(this.#filled(part)), `"${part}" in the body`);
    if (wanted.expectBodyJson !== undefined)
      need(isDeepStrictEqual(JSON.parse(text), wanted.expectBodyJson), `another JSON: ${text.slice(0, 80)}`);
    if (wanted.expectCar !== undefined) faults.push(...(await carFaults(body, wanted.expectCar)));
    if (wanted.expectTar !== undefined) faults.push(...(await tarFaults(body, wanted.expectTar.files)));
    if (wanted.expectAnyOf !== undefined) {
      const each = await Promise.all(wanted.expectAnyOf.map((one) => this.#faults(one, answer)));
      need(
        each.some((one) => one.length === 0),
        `none of: ${each.map((one) => one.join(', ')).join(' | ')}`,
      );
    }
    return faults;
  }

  #fits(matcher: Matcher, value: string | undefined): boolean {
    if (typeof matcher === 'string') return value === this.#filled(matcher);
    const { contains, matches, notContains, present, absent, cacheControl } = matcher;
    if (absent === true) return value === undefined;
    if (notContains !== undefined) return value === undefined || !value.includes(this.#filled(notContains));
    if (value === undefined) return false;
    if (present === true) return true;
    if (contains !== undefined) return value.includes(this.#filled(contains));
    if (matches !== undefined) return new RegExp(matches).test(value);
    if (cacheControl === undefined) throw new TypeError(`an unknown matcher: ${JSON.stringify(matcher)}`);
    const directives = value.split(',').map((directive) => directive.trim());
    const age = Number(/max-age=(\d+)/.exec(value)?.[1] ?? 0);
    return cacheControl.has.every((one) => directives.includes(one)) && age >= (cacheControl.minMaxAge ?? 0);
  }
}

async function carFaults(
  body: Buffer,
  { blocks, exact, ordered }: NonNullable<Expectation['expectCar']>,
): Promise<readonly string[]> {
  const key = (cid: CID): string => `${cid.code} ${Buffer.from(cid.multihash.bytes).toString('hex')}`;
  const wanted = blocks.map((text) => key(CID.parse(text)));
  const found: string[] = [];
  try {
    const reader = await CarReader.fromBytes(body);
    for await (const cid of reader.cids()) found.push(key(cid));
  } catch (error) {
    return [`no CAR file: ${String(error)}`];
  }
  const faults: string[] = [];
  if (wanted.some((one) => !found.includes(one))) faults.push('a block is missing');
  if (exact === true && found.length !== wanted.length) faults.push(`${found.length} blocks, not ${wanted.length}`);
  if (
    ordered === true &&
    !isDeepStrictEqual(
      found.filter((one) => wanted.includes(one)),
      wanted,
    )
  )
    faults.push('another order');
  return faults;
}

async function tarFaults(body: Buffer, files: Readonly<Record<string, string | null>>): Promise<readonly string[]> {
  const found = new Map<string, string>();
  const reader = extract();
  Readable.from([body]).pipe(reader);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    found.set(entry.header.name, Buffer.concat(chunks).toString());
  }
  return Object.entries(files).flatMap(([name, content]) =>
    found.has(name) && (content === null || found.get(name) === content) ? [] : [`${name}: ${found.get(name)}`],
  );
}

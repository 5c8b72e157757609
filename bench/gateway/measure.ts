/** A local marketplace with a site in it, an nginx beside its gateway that serves the same folder, and load on each in turns. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { silentLog } from '../../core/ports.ts';
import { openMarketNetwork } from '../../app/market/network.ts';
import { createPolicy, createTcpTransport, declarePurpose } from '../../node/transport/index.ts';
import { siteUrl } from '../../core/name.ts';
import { startNginx } from '../../testbed/nginx.ts';
import { freePort } from '../../test/port.ts';
import { startMarket } from '../market.ts';
import { median } from '../path/figures.ts';
import type { RowName, Turn } from './figures.ts';
import { firstByteMillis } from './first-byte.ts';
import { Wrk, type Load } from './wrk.ts';

export interface MeasureOptions {
  readonly names: readonly RowName[];
  /** Turns of each row that count; one more of each comes before them. */
  readonly runs: number;
  /** Of load in each turn. */
  readonly seconds: number;
  /** With load on the small pages. The large file is downloaded over one. */
  readonly connections: number;
  /** Asked for once each, in each turn of `gateway-20k-cold`. */
  readonly pages: number;
  /** Of the large file, bytes. */
  readonly size: number;
  readonly signal: AbortSignal;
  /** For people: what is being done now. */
  readonly onProgress: (what: string) => void;
}

const RELAYS = 3;
const VISIT = declarePurpose('visit');
const NAME = 'pages.web3';
/** As a page with its text weighs; a block of its own. */
export const PAGE_BYTES: number = 20 * 1024;
const PAGE = '/index.html';
const LARGE = '/large.bin';
const PIECE_BYTES = 1024 * 1024;
/** Waits for a first byte in each turn; fewer for the large file, most of which is thrown away each time. */
const FIRST_BYTES = 25;
const FIRST_BYTES_LARGE = 5;

/** Leaves no process and no file behind, however it ends. @throws RelaymintError PROGRAM_MISSING, INTERNAL, ABORTED. */
export async function measure(options: MeasureOptions): Promise<ReadonlyMap<RowName, readonly Turn[]>> {
  const { names, runs, signal, onProgress } = options;
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-'));
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  // What is missing is said before anything is started.
  const wrk = await Wrk.open(directory);
  const folder = path.join(directory, 'site');
  const nginxPort = await freePort();
  const host = new URL(siteUrl(NAME, nginxPort)).hostname;
  await mkdir(folder);
  const nginx = { directory: path.join(directory, 'nginx'), port: nginxPort, sites: { [host]: folder }, signal };
  stack.use(await startNginx(nginx));
  onProgress('writing the site');
  const rounds = 1 + runs;
  const cold = names.includes('gateway-20k-cold') ? rounds * (FIRST_BYTES + options.pages) : 0;
  const site = await writeSite(folder, cold, options.size, signal);
  const market = stack.use(
    await startMarket({
      data: path.join(directory, 'market'),
      relays: RELAYS,
      network: () => openMarketNetwork({ transport: 'tcp', log: silentLog, signal, onProgress: () => {} }),
      signal,
      onStage: onProgress,
    }),
  );
  await market.publish(folder, NAME);
  // What was fetched before is kept by one gateway, and fetched through the relays again by the other.
  const ports = { nginx: nginxPort, gateway: await market.openKeeping(), fetching: market.gatewayPort };
  onProgress('comparing what both serve');
  for (const port of Object.values(ports)) await compare(siteUrl(NAME, port), site, signal);
  const turns = new Map<RowName, Turn[]>(names.map((name) => [name, []]));
  const unseen = Array.from({ length: rounds }, () => site.pages.splice(0, FIRST_BYTES + options.pages));
  for (let round = 0; round < rounds; round += 1) {
    // Each round begins with another row: what disturbs for a while disturbs all.
    const first = round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      assertNotAborted(signal, 'Measuring');
      onProgress(`${name}: ${round === 0 ? 'warming up' : `run ${round} of ${runs}`}`);
      const port = ports[serverOf(name)];
      const at = { port, host: `${host}:${port}`, signal };
      const turn = await measureTurn(wrk, shapeOf(name, options, at, unseen[round] ?? []));
      if (round > 0) turns.get(name)?.push(turn);
    }
  }
  return turns;
}

function serverOf(name: RowName): 'nginx' | 'gateway' | 'fetching' {
  if (name.startsWith('nginx')) return 'nginx';
  return name === 'gateway-20k' ? 'gateway' : 'fetching';
}

interface Shape {
  readonly load: Load;
  /** Asked for one after the other, for the first byte alone. */
  readonly first: readonly string[];
  /** Of one answer, bytes. */
  readonly size: number;
}

function shapeOf(
  name: RowName,
  { connections, seconds, size }: MeasureOptions,
  at: Pick<Load, 'port' | 'host' | 'signal'>,
  unseen: readonly string[],
): Shape {
  const many = { ...at, seconds, connections };
  if (name === 'gateway-20k-cold') {
    return {
      load: { ...many, paths: unseen.slice(FIRST_BYTES) },
      first: unseen.slice(0, FIRST_BYTES),
      size: PAGE_BYTES,
    };
  }
  if (name.endsWith('-200m')) {
    return { load: { ...at, seconds, connections: 1, paths: LARGE }, first: times(LARGE, FIRST_BYTES_LARGE), size };
  }
  return { load: { ...many, paths: PAGE }, first: times(PAGE, FIRST_BYTES), size: PAGE_BYTES };
}

async function measureTurn(wrk: Wrk, { load, first, size }: Shape): Promise<Turn> {
  const { port, host, signal } = load;
  const waits = await firstByteMillis({ port, host, paths: first, signal });
  const { requests, bytes, millis } = await wrk.load(load);
  // A few large answers, or none, are whole when the time is over: their bytes say more.
  const answers = size > PAGE_BYTES ? bytes / size : requests;
  return {
    requestsPerSecond: (answers * 1000) / millis,
    mbPerSecond: bytes / 1000 / millis,
    ttfbP50Ms: median(waits),
  };
}

interface Site {
  /** That nobody has asked for. */
  readonly pages: string[];
  /** SHA-256 of what is served to every row. */
  readonly digests: Readonly<Record<string, string>>;
}

async function writeSite(folder: string, pages: number, size: number, signal: AbortSignal): Promise<Site> {
  await writeFile(path.join(folder, PAGE), pageOf('the front page'));
  const paths: string[] = [];
  for (let index = 0; index < pages; index += 1) {
    const file = `/page-${index}.html`;
    await writeFile(path.join(folder, file), pageOf(file));
    paths.push(file);
  }
  const large = await open(path.join(folder, LARGE), 'w');
  try {
    for (let left = size; left > 0; left -= PIECE_BYTES) {
      assertNotAborted(signal, 'Measuring');
      await large.write(randomBytes(Math.min(left, PIECE_BYTES)));
    }
  } finally {
    await large.close();
  }
  const digests = await Promise.all(
    [PAGE, LARGE].map(async (file) => [file, await digestOf(createReadStream(path.join(folder, file)))]),
  );
  return { pages: paths, digests: Object.fromEntries(digests) as Record<string, string> };
}

function pageOf(title: string): string {
  return `<!doctype html><title>${title}</title><p>${title} `.padEnd(PAGE_BYTES, `${title} `);
}

/** A server that is fast at something else is not measured. @throws RelaymintError INTERNAL. */
async function compare(url: string, { digests }: Site, signal: AbortSignal): Promise<void> {
  const policy = createPolicy({ transports: [createTcpTransport()], purposes: [VISIT], outbound: 'loopback' });
  const fetch = policy.fetch(VISIT);
  try {
    for (const [file, digest] of Object.entries(digests)) {
      const { status, body } = await fetch(new URL(file, url), { signal });
      const came = body === null ? undefined : await digestOf(body as AsyncIterable<Uint8Array>);
      if (status !== 200 || came !== digest) {
        throw new RelaymintError('INTERNAL', `${url} answered ${status} to ${file}, or with other bytes.`);
      }
    }
  } finally {
    policy.close();
  }
}

async function digestOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

function times(text: string, count: number): readonly string[] {
  return Array.from({ length: count }, () => text);
}

/** Visits pages of a site in a new marketplace, near and far in turns. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { RelaymintError } from '../../core/errors.ts';
import { createPolicy, createTcpTransport, declarePurpose } from '../../node/transport/index.ts';
import { siteUrl } from '../../core/name.ts';
import { startMarket } from '../market.ts';
import { LINKS, type Visit, type Visits } from './figures.ts';
import { openDistantNetwork } from './network.ts';

export interface MeasureOptions {
  /** Of the whole path, milliseconds. */
  readonly pathMillis: number;
  /** New marketplaces at each distance. */
  readonly runs: number;
  /** Pages after the first one. */
  readonly pages: number;
  readonly signal: AbortSignal;
  /** For people: what is being done now. */
  readonly onProgress: (what: string) => void;
}

const VISIT = declarePurpose('visit');
const NAME = 'pages.web3';
/** An ordinary page; a block of its own. */
const PAGE_BYTES = 20_000;

/** Leaves no process and no file behind, however it ends. @throws RelaymintError INTERNAL, ABORTED. */
export async function measure(options: MeasureOptions): Promise<Visits> {
  const { pathMillis, runs, onProgress } = options;
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-'));
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const pages = await writeSite(path.join(directory, 'site'), options.pages);
  const far: Visit[] = [];
  const near: Visit[] = [];
  for (let run = 0; run < runs; run += 1) {
    const turns = [
      { visits: far, roundTripMillis: pathMillis / LINKS, where: 'far' },
      { visits: near, roundTripMillis: 0, where: 'near' },
    ];
    // Each run begins at the other distance.
    for (const { visits, roundTripMillis, where } of run % 2 === 0 ? turns : turns.toReversed()) {
      const data = path.join(directory, `${where}-${run + 1}`);
      const onStage = (what: string): void => onProgress(`run ${run + 1} of ${runs}, ${where}: ${what}`);
      visits.push(await visit({ ...options, data, pages, roundTripMillis, onStage }));
    }
  }
  return { far, near };
}

interface VisitOptions {
  /** Of each link, milliseconds. */
  readonly roundTripMillis: number;
  readonly data: string;
  readonly pages: readonly Page[];
  readonly signal: AbortSignal;
  readonly onStage: (what: string) => void;
}

/** A marketplace in which nobody paid anybody yet, and a visitor of its site. */
async function visit({ roundTripMillis, data, pages, signal, onStage }: VisitOptions): Promise<Visit> {
  await using market = await startMarket({
    data,
    relays: LINKS - 1,
    network: (layout) =>
      openDistantNetwork({ roundTripMillis, listeners: LINKS, ledgerPort: () => layout.portOf('ledger') }),
    signal,
    onStage,
  });
  await market.publish(path.join(path.dirname(data), 'site'), NAME);
  onStage('visiting');
  // Awaited here: what is left of this block ends the marketplace.
  return await browse(market.gatewayPort, pages, signal);
}

async function browse(gatewayPort: number, pages: readonly Page[], signal: AbortSignal): Promise<Visit> {
  const policy = createPolicy({ transports: [createTcpTransport()], purposes: [VISIT], outbound: 'loopback' });
  const site = siteUrl(NAME, gatewayPort);
  const fetch = policy.fetch(VISIT);
  const millis: number[] = [];
  try {
    for (const { file, text } of pages) {
      const began = performance.now();
      const response = await fetch(new URL(file, site), { signal });
      const body = await response.text();
      millis.push(performance.now() - began);
      if (response.status !== 200 || body !== text) {
        throw new RelaymintError(
          'INTERNAL',
          `The gateway answered ${response.status} to ${file}: ${body.slice(0, 500)}`,
        );
      }
    }
  } finally {
    policy.close();
  }
  const [firstMillis = 0, ...nextMillis] = millis;
  return { firstMillis, nextMillis };
}

interface Page {
  readonly file: string;
  readonly text: string;
}

/** The front page, then `next` others, each of other bytes. */
async function writeSite(directory: string, next: number): Promise<readonly Page[]> {
  await mkdir(directory);
  const pages = Array.from({ length: 1 + next }, (_, index) => {
    const file = index === 0 ? 'index.html' : `page-${index}.html`;
    return { file, text: `<!doctype html><title>${file}</title><p>${file} `.padEnd(PAGE_BYTES, `${file} `) };
  });
  await Promise.all(pages.map(({ file, text }) => writeFile(path.join(directory, file), text)));
  return pages;
}

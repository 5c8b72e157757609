/** A visitor that fetches every file of a site through the gateway and compares it with the original, byte for byte. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import { publishableFiles } from '../../sites/unixfs/index.ts';

export interface VisitResult {
  readonly files: number;
  readonly bytes: number;
  /** What differed; empty when the site arrived bit-exact. */
  readonly faults: readonly string[];
}

export interface VisitOptions {
  /** The site's own origin at the gateway, for example http://demo-web3.localhost:8402/. */
  readonly siteUrl: string;
  /** The original. */
  readonly directory: string;
  /** From the transport policy, so that it owns the sockets. */
  readonly fetch: typeof fetch;
  readonly onProgress: (files: number, bytes: number) => void;
}

/** Visits at once: a browser's usual number of connections to one origin. */
const PARALLEL = 6;
/** Further faults are counted, not listed. */
const MAX_FAULTS = 20;

export async function visitSite(options: VisitOptions): Promise<VisitResult> {
  const faults: string[] = [];
  let files = 0;
  let bytes = 0;
  const queue = publishableFiles(options.directory);
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = await queue.next();
      if (next.done === true) return;
      const { path: relative } = next.value;
      const fault = await compareFile(options, next.value, (length) => {
        bytes += length;
        options.onProgress(files, bytes);
      });
      files += 1;
      if (fault !== undefined && faults.length < MAX_FAULTS) faults.push(`${relative}: ${fault}`);
      options.onProgress(files, bytes);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return { files, bytes, faults };
}

export interface EmbeddedVisit extends Pick<VisitOptions, 'siteUrl' | 'directory' | 'fetch'> {
  /** Origin of the page that embeds it. */
  readonly page: string;
  /** Of the file, below `siteUrl` and `directory`. */
  readonly path: string;
}

/** What a page shows of another name, asked for as browsers ask for an image. @returns what is wrong, or undefined. */
export async function visitEmbedded({ page, path: relative, ...visit }: EmbeddedVisit): Promise<string | undefined> {
  const headers = {
    referer: page,
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'no-cors',
    'sec-fetch-dest': 'image',
  };
  const file = { path: relative.slice(1), file: path.join(visit.directory, relative) };
  return await compareFile({ ...visit, headers }, file, () => {});
}

/** Compares as the bytes arrive; neither side is ever held whole. @returns what is wrong, or undefined. */
async function compareFile(
  options: Pick<VisitOptions, 'siteUrl' | 'fetch'> & { readonly headers?: Readonly<Record<string, string>> },
  { path: relative, file }: { readonly path: string; readonly file: string },
  onBytes: (length: number) => void,
): Promise<string | undefined> {
  const url = new URL(relative.split('/').map(encodeURIComponent).join('/'), options.siteUrl);
  const response = await options.fetch(url, {
    redirect: 'manual',
    ...(options.headers && { headers: options.headers }),
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    return response.status === 200 ? 'the gateway sent no body' : `the gateway answered ${response.status}`;
  }
  const original = createReadStream(file, { highWaterMark: 1 << 18 });
  const expected = original[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      let received = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      onBytes(received.length);
      while (received.length > 0) {
        if (rest.length === 0) {
          const next = await expected.next();
          if (next.done === true) return `it is longer than the ${offset} bytes of the original`;
          rest = next.value;
        }
        const length = Math.min(rest.length, received.length);
        if (!rest.subarray(0, length).equals(received.subarray(0, length))) return `it differs near byte ${offset}`;
        rest = rest.subarray(length);
        received = received.subarray(length);
        offset += length;
      }
    }
    const more = rest.length > 0 || (await expected.next()).done !== true;
    return more ? `it ends after ${offset} bytes` : undefined;
  } finally {
    original.destroy();
  }
}

/** @throws RelaymintError FILE_NOT_FOUND when `directory` is not a folder. */
export async function requireDirectory(directory: string): Promise<string> {
  const absolute = path.resolve(directory);
  // No text at all, as an unset variable gives, would be the working folder.
  const info = directory.trim() === '' ? undefined : await stat(absolute).catch(() => undefined);
  if (info?.isDirectory() === true) return absolute;
  throw new RelaymintError('FILE_NOT_FOUND', `"${directory}" is not a folder.`, {
    remedy: 'Name a folder of files.',
  });
}

/** What a host takes from a gateway that it does not trust: a real one, and ones that lie, break off, or keep it waiting. */
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CID } from 'multiformats/cid';
import { importToHost, type HostImported, type HostImportParts } from '../../app/roles/host-import.ts';
import { openPreview } from '../../app/site/index.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_BLOCK_BYTES } from '../../core/limits.ts';
import { silentLog } from '../../core/ports.ts';
import { bytes } from '../../core/units.ts';
import { createPolicy, createTcpTransport, declarePurpose } from '../../node/transport/index.ts';
import { openBlockStore } from '../../sites/blocks/index.ts';
import { trustlessGateway } from '../../sites/keeping/index.ts';
import { Cleanup, rawBlock, temporaryFolder, writeTree } from '../sites/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());
const { signal } = new AbortController();
const NAME = 'demo.web3';
const IMPORT = declarePurpose('import');

let folder: string;
let dataDir: string;
beforeEach(async () => {
  const scratch = await temporaryFolder(cleanup);
  [folder, dataDir] = [path.join(scratch, 'site'), path.join(scratch, 'host')];
  await mkdir(folder);
  await writeTree(folder, {
    'index.html': '<!doctype html>',
    'big.bin': 'x'.repeat(3_000_000),
    'deep/er/page.html': 'p',
  });
});

function reader(url: string): ReturnType<typeof trustlessGateway> {
  const policy = createPolicy({ transports: [createTcpTransport()], purposes: [IMPORT], outbound: 'loopback' });
  cleanup.add(() => Promise.resolve(policy.close()));
  return trustlessGateway({ url, fetch: policy.fetch(IMPORT), retry: { first: 1, last: 5 } });
}

function imported(url: string, root: CID, more: Partial<HostImportParts> = {}): Promise<HostImported> {
  return importToHost({
    dataDir,
    name: NAME,
    from: { blocks: reader(url), root, onBytes: () => {} },
    quota: undefined,
    quotaPerName: undefined,
    ledger: { name: () => Promise.resolve(undefined) },
    signal,
    log: silentLog,
    ...more,
  });
}

/** The gateway of a preview: what it serves, and its address. */
async function gatewayOf(directory: string): Promise<{ readonly url: string; readonly root: CID }> {
  const preview = await openPreview({ paths: [directory], port: 0, signal, log: silentLog });
  cleanup.add(() => preview[Symbol.asyncDispose]());
  const [site] = preview.sites;
  if (site === undefined) throw new Error('the preview shows nothing');
  return { url: preview.url.replace(/\/$/, ''), root: site.root };
}

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.add(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What the gateway at `url` answers, changed. */
async function passOn(
  url: string,
  request: IncomingMessage,
  response: ServerResponse,
  change: (block: Buffer) => Buffer,
): Promise<void> {
  const answer = await fetch(url + String(request.url), { headers: { accept: String(request.headers.accept) } });
  response.writeHead(answer.status).end(change(Buffer.from(await answer.arrayBuffer())));
}

describe('a host that is pointed at a gateway', () => {
  it('keeps all that is below the root, and what it has it does not ask for again', async () => {
    const { url, root } = await gatewayOf(folder);
    let asked = 0;
    const counting = await serving((request, response) => {
      asked += 1;
      void passOn(url, request, response, (block) => block);
    });
    expect(await imported(counting, root)).toMatchObject({
      name: NAME,
      cid: root.toString(),
      files: 3,
      current: false,
    });
    const first = asked;
    expect(await imported(counting, root)).toMatchObject({ files: 3 });
    expect({ first: first > 5, again: asked - first }).toEqual({ first: true, again: 0 });
    const store = await openBlockStore({ directory: path.join(dataDir, 'content'), log: silentLog });
    cleanup.add(() => store.close());
    expect(store.pins(NAME).map((pin) => pin.root.toString())).toEqual([root.toString()]);
  });

  it('keeps nothing of one that lies about a single block, and goes on where it stopped with another one', async () => {
    const { url, root } = await gatewayOf(folder);
    let answers = 0;
    const lying = await serving((request, response) => {
      void passOn(url, request, response, (block) => {
        answers += 1;
        if (answers === 4) block[block.length >> 1] = (block[block.length >> 1] ?? 0) ^ 1;
        return block;
      });
    });
    await expect(imported(lying, root)).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
    const store = await openBlockStore({ directory: path.join(dataDir, 'content'), log: silentLog });
    expect(store.pins(NAME)).toEqual([]);
    await store.close();
    expect(await imported(url, root)).toMatchObject({ files: 3 });
  });

  it('stops at once when more comes than a block may have', async () => {
    const { cid } = rawBlock(Buffer.from('x'));
    let sent = 0;
    const endless = await serving((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      response.writeHead(200).on('drain', more);
      more();
    });
    await expect(imported(endless, cid)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(sent).toBeLessThan(MAX_BLOCK_BYTES * 4);
  });

  it('asks again where it is busy, and not where it has nothing or leads elsewhere', async () => {
    const { cid, block } = rawBlock(Buffer.from('patience'));
    const statuses = [429, 503, 502];
    const busy = await serving((_request, response) => {
      const status = statuses.shift() ?? 200;
      response.writeHead(status, { 'Retry-After': '0.001' }).end(status === 200 ? block : 'busy');
    });
    expect(await imported(busy, cid)).toMatchObject({ files: 1, bytes: 8 });

    const asked: string[] = [];
    const other = await serving((request, response) => {
      asked.push(String(request.url));
      response.writeHead(asked.length === 1 ? 404 : 301, { Location: busy }).end();
    });
    const wanted = rawBlock(Buffer.from('nowhere')).cid;
    await expect(imported(other, wanted)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(imported(other, wanted)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(asked).toEqual([`/ipfs/${wanted.toString()}?format=raw`, `/ipfs/${wanted.toString()}?format=raw`]);
  });

  it('keeps to its quota for a name', async () => {
    const { url, root } = await gatewayOf(folder);
    // What came of it is kept for a day, and counts the second time.
    for (const _time of [1, 2, 3]) {
      const tight = imported(url, root, { quotaPerName: bytes(1_500_000) });
      await expect(tight).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    }
    const store = await openBlockStore({ directory: path.join(dataDir, 'content'), log: silentLog });
    cleanup.add(() => store.close());
    expect(store.pins(NAME)).toEqual([]);
  });

  it('takes what the name points to, and needs one that points to something', async () => {
    const { url } = await gatewayOf(folder);
    const from = { blocks: reader(url), root: undefined, onBytes: (): void => {} };
    await expect(imported(url, rawBlock(Buffer.from('')).cid, { from })).rejects.toMatchObject({
      code: 'NAME_UNKNOWN',
    });
    await expect(readdir(dataDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('asks no ledger before it has what is named by its address', async () => {
    const { url, root } = await gatewayOf(folder);
    const ledger = { name: () => Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'It is away.')) };
    expect(await imported(url, root, { ledger })).toMatchObject({ cid: root.toString(), current: null });
  });

  it('tells what a gateway refused, however its answer ends', async () => {
    const body = new ReadableStream({ cancel: () => Promise.reject(new Error('it broke off')) });
    const blocks = trustlessGateway({
      url: 'http://x',
      fetch: () => Promise.resolve(new Response(body, { status: 404 })),
    });
    await expect(blocks.get(rawBlock('x').cid)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
  });

  it('refuses addresses that are none', () => {
    const bad = ['ftp://x/', 'gateway.example', 'http://user:word@x/', 'http://x/?q=1'];
    const codes = bad.map((url) => {
      try {
        trustlessGateway({ url, fetch });
        return 'taken';
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
    expect(codes).toEqual(bad.map(() => 'INVALID_ARGUMENT'));
  });
});

/** Content that somebody made to harm a gateway, its visitors or the others who are served by it. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { CarBufferWriter, CarReader } from '@ipld/car';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { extract } from 'tar-stream';
import { afterEach, describe, expect, it } from 'vitest';
import { openPreview } from '../../../app/site/index.ts';
import { silentLog } from '../../../core/ports.ts';
import { Cleanup, rawBlock, temporaryFolder } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

interface Block {
  readonly cid: CID;
  readonly block: Uint8Array;
}

type Link = readonly [name: string, to: Block | CID];

function node(
  type: 'directory' | 'hamt-sharded-directory' | 'symlink',
  links: readonly Link[],
  more: { fanout?: bigint; data?: Uint8Array } = {},
): Block {
  const unixfs = new UnixFS({ type, ...more });
  const block = dagPb.encode(
    dagPb.prepare({
      Data: unixfs.marshal(),
      Links: links
        .map(([Name, to]) => ({ Name, Hash: to instanceof CID ? to : to.cid, Tsize: 1 }))
        .toSorted((a, b) => Buffer.compare(Buffer.from(a.Name), Buffer.from(b.Name))),
    }),
  );
  return { cid: CID.createV1(dagPb.code, rawBlock(block).cid.multihash), block };
}

const folder = (...links: readonly Link[]): Block => node('directory', links);
const link = (target: string): Block => node('symlink', [], { data: Buffer.from(target) });
const words = rawBlock('words');
/** Nothing, written into its address. */
const EMPTY = CID.createV1(0x55, Digest.create(0x00, new Uint8Array(0)));

/** Serves these blocks; asks for paths below the first of them. */
async function served(root: Block, ...others: readonly Block[]) {
  const writer = CarBufferWriter.createWriter(new ArrayBuffer(16_000_000), { roots: [root.cid] });
  for (const { cid, block } of [root, words, ...others]) writer.write({ cid, bytes: block });
  const file = path.join(await temporaryFolder(cleanup), 'hostile.car');
  await writeFile(file, writer.close({ resize: true }));
  const { signal } = new AbortController();
  const preview = await openPreview({ paths: [file], port: 0, signal, log: silentLog });
  cleanup.add(() => preview[Symbol.asyncDispose]());
  const port = Number(new URL(preview.url).port);
  const host = `${root.cid.toString()}.ipfs.localhost:${port}`;
  return async (
    target: string,
    { headers = {}, method = 'GET' }: { headers?: Record<string, string>; method?: string } = {},
  ) => {
    const asking = request({
      host: '127.0.0.1',
      port,
      path: target,
      method,
      agent: false,
      headers: { host, ...headers },
    });
    const [response] = (await once(asking.end(), 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    let cut = false;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      cut = true;
    }
    const body = Buffer.concat(chunks);
    return { status: response.statusCode, headers: response.headers, body, text: body.toString(), cut, port, host };
  };
}

describe('a folder', () => {
  it.each([0n, 1n, 3n, 2048n])('whose shards are %d wide is refused, and the others are served', async (fanout) => {
    const shard = node('hamt-sharded-directory', [['00a.txt', words]], { fanout, data: new Uint8Array([1]) });
    const ask = await served(folder(['shard', shard], ['a.txt', words]), shard);
    for (const at of ['/shard/', '/shard/index.html', '/shard/a.txt?format=car']) {
      expect([at, (await ask(at)).status]).toEqual([at, 502]);
    }
    expect((await ask('/a.txt')).text).toBe('words');
  });

  it('with more links than any tool makes is refused', async () => {
    const many = folder(...Array.from({ length: 66_000 }, (_, index): Link => [index.toString(36), EMPTY]));
    const ask = await served(folder(['many', many], ['a.txt', words]), many);
    expect((await ask('/many/')).text).toContain('66000 links');
    expect((await ask('/?format=car&dag-scope=block')).status).toBe(200);
  });

  it('of many others below each other is sent as a CAR like any', async () => {
    const blocks = [folder(['a.txt', words])];
    for (let depth = 0; depth < 50; depth += 1) blocks.unshift(folder(['deeper', blocks[0] as Block]));
    const [root, ...below] = blocks as [Block, ...Block[]];
    const answer = await (await served(root, ...below))('/?format=car');
    const cids: string[] = [];
    for await (const cid of (await CarReader.fromBytes(answer.body)).cids()) cids.push(cid.toString());
    expect([answer.cut, cids.length]).toEqual([false, 52]);
  });

  it('with something that is written into its address is sent as a CAR without it', async () => {
    const inline = CID.createV1(0x55, Digest.create(0x00, Buffer.from('inline')));
    const answer = await (await served(folder(['a.txt', words], ['b.txt', inline])))('/?format=car');
    const cids: string[] = [];
    for await (const cid of (await CarReader.fromBytes(answer.body)).cids()) cids.push(cid.toString());
    expect([answer.cut, cids.length]).toEqual([false, 2]);
  });

  it('that lacks a block fails as a page would, and not as a file to save', async () => {
    const gone = folder(['x', words]);
    const ask = await served(folder(['gone', gone]));
    for (const form of ['raw', 'car', 'tar']) {
      const { status, headers } = await ask(`/gone?format=${form}`);
      expect([form, status, headers['content-type'], headers['content-disposition'], headers['x-ipfs-roots']]).toEqual([
        form,
        502,
        'text/html; charset=utf-8',
        undefined,
        undefined,
      ]);
    }
  });
});

describe('a file', () => {
  it('whose beginning is gone is given from where it is here, as bytes of which nothing is known', async () => {
    const gone = rawBlock('gone!');
    const unixfs = new UnixFS({ type: 'file', blockSizes: [5n, 5n] });
    const links = [gone, words].map(({ cid }) => ({ Name: '', Hash: cid, Tsize: 5 }));
    const block = dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links: links }));
    const file = { cid: CID.createV1(dagPb.code, rawBlock(block).cid.multihash), block };
    const ask = await served(folder(['file', file]), file);
    const { status, text, headers } = await ask('/file', { headers: { range: 'bytes=5-9' } });
    expect([status, text, headers['content-type']]).toEqual([206, 'words', 'application/octet-stream']);
    expect((await ask('/file')).status).toBe(502);
  });
});

describe('a tar file', () => {
  const evil = (first: Block): readonly [string, Block, ...Block[]][] => [
    ['a file below a link', folder(['a', first], ['a/evil', words]), first],
    ['a file above its folder', folder(['../evil', words])],
    ['a file in the place of its folder', folder(['..', words])],
    ['the same file twice', folder(['a', words], ['./a', words])],
    ['a file with another system’s separator', folder(['..\\evil', words])],
    ['a file without a name', folder(['', words])],
    ['a file in a folder that comes later', folder(['b/c', words])],
  ];

  it.each(evil(link('/tmp')))('does not hold %s', async (_what, root, ...others) => {
    const answer = await (await served(root, ...others))('/?format=tar');
    const names: string[] = [];
    const reader = extract();
    reader.on('error', () => undefined);
    reader.end(answer.body);
    try {
      for await (const entry of reader) {
        names.push(entry.header.name.replace(root.cid.toString(), ''));
        entry.resume();
      }
    } catch {
      // It was cut off.
    }
    expect(answer.cut || answer.status === 502).toBe(true);
    expect(names.filter((name) => name.includes('evil') || name.includes('..') || name === '/b/c')).toEqual([]);
  });

  it('of folders that hold each other again and again ends', async () => {
    const blocks = [folder(['a', words])];
    for (let level = 0; level < 40; level += 1) {
      const [last] = blocks as [Block];
      blocks.unshift(folder(['l', last], ['r', last]));
    }
    const [root, ...below] = blocks as [Block, ...Block[]];
    const ask = await served(root, ...below);
    const car = await ask('/?format=car&car-dups=y');
    expect([car.status, car.cut]).toEqual([200, true]);
    const once = await ask('/?format=car');
    expect([once.cut, once.body.length < 20_000]).toEqual([false, true]);
  }, 60_000);

  it('is not read ahead of its reader, and is the same each time', async () => {
    const name = (index: number): string => `${String(index).padStart(6, '0')}${'n'.repeat(200)}`;
    const wide = folder(...Array.from({ length: 3_000 }, (_, index): Link => [name(index), words]));
    const ask = await served(wide);
    const first = await ask('/?format=tar');
    expect([first.status, first.cut]).toEqual([200, false]);
    expect((await ask('/?format=tar')).body.equals(first.body)).toBe(true);
  }, 60_000);
});

describe('a site that leads its visitors', () => {
  const file = (text: string): Block => rawBlock(text);

  it('does not lead them in a circle', async () => {
    const dir = folder(['x.txt', words]);
    const rules = file('/over/* /dir 200');
    const site = folder(['_redirects', rules], ['dir', dir], ['404.html', dir], ['about.html', dir]);
    const ask = await served(site, rules, dir);
    expect((await ask('/over/there')).text).toContain('x.txt');
    expect((await ask('/none')).status).toBe(404);
    expect((await ask('/about')).status).toBe(404);
    expect(await ask('/dir')).toMatchObject({ status: 301, headers: { location: '/dir/' } });
  });

  it('does not lead them to another host by what they asked for', async () => {
    const rules = file('/go/* /:splat 302\n/at/* https://example.org/:splat 302');
    const ask = await served(folder(['_redirects', rules]), rules);
    const at = async (target: string) => (await ask(target)).headers['location'];
    expect(await at('/go/\\evil.example')).toBe('/evil.example');
    expect(await at('/go//evil.example')).toBe('/evil.example');
    expect(await at('/at/@evil.example')).toBe('https://example.org/@evil.example');
  });

  it.each([
    '/x/* https://example.org:splat',
    '/x/* https://:splat',
    '/x/:y https://:y.example.org/',
    '/x/* https://a?:splat',
  ])('may not leave the host open: %s', async (rule) => {
    const rules = file(rule);
    const answer = await (await served(folder(['_redirects', rules]), rules))('/x/evil');
    expect([answer.status, answer.headers['location']]).toEqual([500, undefined]);
  });

  it('does not make the gateway write without end', async () => {
    const rules = file(`/* /${':splat'.repeat(10_000)} 302`);
    const ask = await served(folder(['_redirects', rules]), rules);
    expect((await ask(`/${'a'.repeat(10_000)}`)).status).toBe(404);
  });
});

describe('a request', () => {
  it('for a part of a block is answered by the rules of parts', async () => {
    const ask = await served(folder(['a.txt', words]));
    const part = async (range: string, method = 'GET') => {
      const { status, text } = await ask('/a.txt?format=raw', { headers: { range }, method });
      return [status, text];
    };
    expect(await part('bytes=1-2')).toEqual([206, 'or']);
    expect(await part('bytes=0-1,3-4')).toEqual([200, 'words']);
    expect(await part('bytes=9-')).toEqual([416, '']);
    expect(await part('bytes=1 1-2')).toEqual([200, 'words']);
    expect(await part('bytes=1-2', 'HEAD')).toEqual([200, '']);
  });

  it('that does not want a form does not get it, and each form is kept apart', async () => {
    const ask = await served(folder(['a.txt', words]));
    const page = await ask('/a.txt', { headers: { accept: 'application/vnd.ipld.raw;q=0, */*' } });
    const vary = 'Accept, Accept-Encoding';
    expect([page.headers['content-type'], page.headers['vary']]).toEqual(['text/plain; charset=utf-8', vary]);
    const raw = await ask('/a.txt', { headers: { accept: 'application/vnd.ipld.raw' } });
    expect([raw.headers['content-type'], raw.headers['vary']]).toEqual(['application/vnd.ipld.raw', 'Accept']);
  });

  it('to a proxy is refused, whatever its address says', async () => {
    const ask = await served(folder(['a.txt', words]));
    const { port, host } = await ask('/a.txt');
    for (const target of [`http://evil.example/a.txt`, 'http://[::1/a.txt', '*']) {
      const socket = connect(port, '127.0.0.1');
      socket.end(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      const [first] = (await once(socket, 'data')) as [Buffer];
      expect(first.toString()).toMatch(/^HTTP\/1\.1 400 /);
      socket.destroy();
    }
  });

  it('finds content by its address in capitals', async () => {
    const root = folder(['a.txt', words]);
    const ask = await served(root);
    const { port } = await ask('/a.txt');
    const headers = { host: `127.0.0.1:${port}` };
    expect((await ask(`/ipfs/${root.cid.toString().toUpperCase()}/a.txt`, { headers })).text).toBe('words');
    expect((await ask('/ipfs/nothing', { headers })).status).toBe(400);
  });
});

/** Posters that are made of a folder's films: by the real ffmpeg, which must do no more for a hostile film than for an honest one. */
import { once } from 'node:events';
import { chmod, copyFile, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isRunning } from '../../../platform/process.ts';
import { findProgram } from '../../../platform/program.ts';
import { makePosters, type MadePosters, type PosterOptions } from '../../../sites/media/index.ts';
import { frameOf } from '../../../sites/media/posters.ts';
import { importPath } from '../../../sites/unixfs/index.ts';
import { openBlockStore } from '../../../sites/blocks/index.ts';
import { describeUnless, missingPrograms } from '../../programs.ts';
import { Cleanup, temporaryFolder } from '../kit.ts';

const FERRY = path.resolve(import.meta.dirname, '../../../examples/town/ferry/ferry.webm');
const cleanup = new Cleanup();
const { signal } = new AbortController();
let folder: string;
let into: string;
beforeEach(async () => {
  folder = await temporaryFolder(cleanup);
  into = await temporaryFolder(cleanup);
});
afterEach(() => cleanup.run());

async function make(change: Partial<PosterOptions> = {}): Promise<MadePosters> {
  const program = change.program ?? (await findProgram('ffmpeg'));
  return await makePosters({ folder, into, signal, ...change, program });
}

/** In the place of ffmpeg: knows its version, and does something else with a film. */
async function standIn(work: string): Promise<string> {
  const file = path.join(into, '..', `${path.basename(into)}-program`);
  await writeFile(file, `#!/bin/sh\nif [ "$1" = -version ]; then echo "ffmpeg 0"; exit; fi\n${work}\n`);
  await chmod(file, 0o755);
  cleanup.add(() => rm(file, { force: true }));
  return file;
}

describeUnless(missingPrograms(['ffmpeg']), 'Posters of films')('a poster', () => {
  it('lies beside its film, says whose it is, and is made once; the film stays as it is', async () => {
    await copyFile(FERRY, path.join(folder, '-i ferry %d.webm'));
    const rights = { creator: 'Noor & co', copyright: undefined, url: undefined };
    const { beside, failed } = await make({ rights });
    expect([Array.from(beside.keys()), failed]).toEqual([['-i ferry %d.webm.jpg'], []]);
    const [file = ''] = beside.values();
    const { format, width, height, exif, xmp } = await sharp(file).metadata();
    expect([format, width, height, exif]).toEqual(['jpeg', 1280, 720, undefined]);
    expect(String(xmp)).toContain('<rdf:li>Noor &amp; co</rdf:li>');
    expect(await readdir(folder)).toEqual(['-i ferry %d.webm']);
    expect((await readFile(path.join(folder, '-i ferry %d.webm'))).equals(await readFile(FERRY))).toBe(true);
    await utimes(file, 0, 0);
    expect((await make({ rights })).beside).toEqual(beside);
    expect((await stat(file)).mtimeMs).toBe(0);
    const before = await readFile(file);
    const other = await temporaryFolder(cleanup);
    const [again = ''] = (await make({ rights, into: other })).beside.values();
    expect((await readFile(again)).equals(before)).toBe(true);
  });

  it('is published with the folder, unless the folder has one', async () => {
    await copyFile(FERRY, path.join(folder, 'a.webm'));
    await copyFile(FERRY, path.join(folder, 'b.webm'));
    await writeFile(path.join(folder, 'b.webm.jpg'), 'mine');
    const { beside } = await make();
    await using store = await openBlockStore({ directory: await temporaryFolder(cleanup) });
    await using session = store.begin();
    expect((await importPath(folder, session, { signal, beside })).files).toBe(4);
    expect(Array.from(beside.keys())).toEqual(['a.webm.jpg']);
  });

  it('of a film that is gone is forgotten', async () => {
    await copyFile(FERRY, path.join(folder, 'a.webm'));
    await make();
    expect(await readdir(into)).toHaveLength(1);
    await writeFile(path.join(folder, 'a.webm'), 'none');
    expect((await make()).failed).toEqual([{ path: 'a.webm', why: 'it is something else' }]);
    expect(await readdir(into)).toEqual([]);
  });

  it('is not made of a list of other files, whatever it calls itself, and nobody is asked', async () => {
    let asked = 0;
    const server = createServer((_request, response) => {
      asked += 1;
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup.add(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x.ts`;
    const matroska = Buffer.from('1a45dfa3a34286810142f7810142f2810442f381084282847765626d', 'hex');
    const hostile: Readonly<Record<string, string | Buffer>> = {
      'file.webm': '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n',
      'http.webm': `#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n${url}\n#EXT-X-ENDLIST\n`,
      'http.mp4': `#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n${url}\n#EXT-X-ENDLIST\n`,
      'concat.mov': 'ffconcat version 1.0\nfile other.bin\n',
      'net.ogv': `ffconcat version 1.0\nfile '${url}'\n`,
      'sdp.ogv': 'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n',
      'cut.webm': matroska,
      'both.webm': Buffer.concat([matroska, Buffer.from(`\n#EXTM3U\n#EXTINF:10,\n${url}\n`)]),
    };
    for (const [name, content] of Object.entries(hostile)) await writeFile(path.join(folder, name), content);
    await copyFile(FERRY, path.join(folder, 'other.bin'));
    const { beside, failed } = await make();
    expect([beside.size, failed.map((one) => one.path).toSorted()]).toEqual([0, Object.keys(hostile).toSorted()]);
    expect(JSON.stringify(failed)).not.toContain('root:');
    // Also where the first look at the bytes is passed.
    const program = await findProgram('ffmpeg');
    for (const name of Object.keys(hostile)) {
      for (const readAs of ['matroska', 'mov', 'ogg']) {
        const making = { program, xmp: undefined, signal, waitMillis: 20_000, shell: '/bin/sh' };
        await expect(frameOf(path.join(folder, name), readAs, making)).rejects.toThrow(Error);
      }
    }
    expect(asked).toBe(0);
  });

  it('that takes too long, is too large or is none is passed over', async () => {
    await copyFile(FERRY, path.join(folder, 'a.webm'));
    const why = async (work: string, waitMillis?: number): Promise<unknown> => {
      const { beside, failed } = await make({ program: await standIn(work), ...(waitMillis && { waitMillis }) });
      return [beside.size, failed[0]?.why];
    };
    expect(await why('exec sleep 600', 300)).toEqual([0, 'ffmpeg took longer than 0.3 s']);
    expect(await why('exec cat /dev/zero')).toEqual([0, 'what ffmpeg makes of it is too large']);
    expect(await why('echo words')).toEqual([0, 'it has no picture']);
    expect(await why('echo "no such stream" >&2; exit 1')).toEqual([0, 'no such stream']);
    expect(await why('ulimit -f >&2; exit 1')).toEqual([0, '0']);
    expect(await why('ulimit -v >&2; exit 1')).toEqual([0, '2097152']);
    expect(await why('env | grep -v "^PWD=\\|^PATH=\\|^LC_ALL=\\|^_=\\|^OLDPWD=" >&2; exit 1')).toEqual([
      0,
      'ffmpeg cannot read it',
    ]);
  });

  it('is wanted in vain where ffmpeg does not run, which is said as one that is not there', async () => {
    await copyFile(FERRY, path.join(folder, 'a.webm'));
    const broken = path.join(await temporaryFolder(cleanup), 'ffmpeg');
    await writeFile(broken, '#!/bin/sh\necho "no libavcodec" >&2; exit 127\n', { mode: 0o755 });
    const said = (what: string): object => ({
      code: 'PROGRAM_MISSING',
      message: expect.stringContaining(`does not run here: ${what}.`) as unknown,
    });
    await expect(make({ program: broken })).rejects.toMatchObject(said('no libavcodec'));
    await expect(make({ shell: '/nowhere/sh' })).rejects.toMatchObject(said('/nowhere/sh cannot be started (ENOENT)'));
  });

  it('is stopped with the command, and its program is gone', async () => {
    await copyFile(FERRY, path.join(folder, 'a.webm'));
    const stop = new AbortController();
    const pidFile = path.join(into, 'pid');
    // It may write no file.
    const program = await standIn(`mkfifo "${pidFile}"; echo $$ > "${pidFile}"; exec sleep 600`);
    const making = make({ program, signal: stop.signal });
    await expect
      .poll(() =>
        stat(pidFile).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    const pid = Number(await readFile(pidFile, 'utf8'));
    stop.abort();
    await expect(making).rejects.toMatchObject({ code: 'ABORTED' });
    await expect.poll(() => isRunning(pid)).toBe(false);
    expect(await readdir(into)).toEqual(['pid']);
  });
});

/** A file that is said whenever it changes. */
import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isThere, watchedLines } from '../../app/roles/watched-file.ts';
import { MAX_ENTRY_CONTENT_BYTES } from '../../core/limits.ts';

let folder: string;
let file: string;
let end: AbortController;
let lines: AsyncGenerator<Uint8Array>;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-watched-'));
  file = path.join(folder, 'now.json');
  end = new AbortController();
  lines = watchedLines(file, end.signal);
});
afterEach(async () => {
  end.abort();
  await lines.return(undefined);
  await rm(folder, { recursive: true, force: true });
});

async function next(): Promise<string> {
  const { value } = await lines.next();
  return Buffer.from(value ?? []).toString();
}

describe('a watched file', () => {
  it('is told as one line, now and whenever it was replaced, and no digit of it is lost', async () => {
    await writeFile(file, '{\n  "at": 12345678901234567890,\r\n  "name": "a  b"\n}\n');
    expect(await next()).toBe('{"at": 12345678901234567890,"name": "a  b"}\n');
    await writeFile(`${file}.new`, '[1]');
    await rename(`${file}.new`, file);
    expect(await next()).toBe('[1]\n');
  });

  it('is told again when the same was written into it anew', async () => {
    await writeFile(file, '[1]');
    expect(await next()).toBe('[1]\n');
    await utimes(file, new Date(), new Date(Date.now() + 5_000));
    expect(await next()).toBe('[1]\n');
  });

  it('is waited for while it is not there or has nothing in it', async () => {
    const first = next();
    await writeFile(file, '');
    await appendFile(file, '[1]');
    expect(await first).toBe('[1]\n');
  });

  it('is not told half written', async () => {
    await writeFile(file, '{"at":');
    let looks = 0;
    lines = watchedLines(file, end.signal, async () => {
      looks += 1;
      await appendFile(file, '1}');
      return true;
    });
    expect(await next()).toBe('{"at":1}\n');
    expect(looks).toBe(1);
  });

  it('is told as it stands when it stays what is no JSON, on one line', async () => {
    await writeFile(file, 'fog\nand rain');
    expect(await next()).toBe('fog and rain\n');
  });

  it('is read no further than it makes sense', async () => {
    await writeFile(file, Buffer.alloc(64 * MAX_ENTRY_CONTENT_BYTES, '7'));
    expect((await next()).length).toBe(8 * MAX_ENTRY_CONTENT_BYTES + 1);
  });

  it.each(['a pipe that nobody writes into', 'a folder'])('is refused if it is %s, and nothing hangs', async (what) => {
    if (what === 'a folder') await mkdir(file);
    else await promisify(execFile)('mkfifo', [file]);
    await expect(lines.next()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(isThere(file)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('may begin with a mark of its byte order, and is not told with letters that nobody wrote', async () => {
    await writeFile(file, Buffer.from('\ufeff[1]'));
    expect(await next()).toBe('[1]\n');
    await writeFile(`${file}.new`, Buffer.concat([Buffer.from('["'), Buffer.of(0xff), Buffer.from('"]')]));
    await rename(`${file}.new`, file);
    expect(await next()).toBe('bytes that are no text\n');
  });

  it('ends when it is told to', async () => {
    await writeFile(file, '[1]');
    await next();
    end.abort();
    expect((await lines.next()).done).toBe(true);
  });
});

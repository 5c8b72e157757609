/** Where the private halves of client keys are kept, and where tor is not led to. */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendAccess, readAccessFile } from '../../../../node/transport/tor/client-auth.ts';
import { isTarget } from '../../../../node/transport/tor/commands.ts';
import { createClientKey, ephemeralOnionKey } from '../../../../node/transport/tor/key.ts';

describe('a file of client keys', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-auth-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('is made for its owner alone, and holds what was added to it', async () => {
    const file = path.join(directory, 'keys');
    using service = ephemeralOnionKey();
    const keys = [createClientKey(), createClientKey()];
    for (const { privateKey } of keys) await appendAccess(file, service.onion, privateKey);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const read = readAccessFile(file).map(({ onion, privateKey }) => [onion, Buffer.from(privateKey)]);
    expect(read).toEqual(keys.map(({ privateKey }) => [service.onion, Buffer.from(privateKey)]));
  });

  it('that others may read gets no key', async () => {
    const file = path.join(directory, 'open');
    await writeFile(file, '# mine\n');
    await chmod(file, 0o644);
    using service = ephemeralOnionKey();
    const { privateKey } = createClientKey();
    await expect(appendAccess(file, service.onion, privateKey)).rejects.toMatchObject({ code: 'KEY_FILE_UNSAFE' });
    expect(await readFile(file, 'utf8')).toBe('# mine\n');
  });
});

it.each([
  ['/run/relaymint/in/abc-80', true],
  ['/home/me/my files/abc-80', false],
  ['/home/caf\u00e9/abc-80', false],
  ['/home/a,b/abc-80', false],
  ['/home/a"b/abc-80', false],
])('tor is given the path %s as a target: %s', (socket, taken) => {
  expect(isTarget({ kind: 'unix', path: socket })).toBe(taken);
});

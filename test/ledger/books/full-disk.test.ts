/** A disk that is really full: a small tmpfs in a mount namespace of its own. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const TYPESCRIPT = new URL('../receipt/run-typescript.js', import.meta.url).href;
const CHILD = fileURLToPath(new URL('./full-disk-child.ts', import.meta.url));
/** As root a mount namespace is enough; others need a user namespace as well, where the system allows it. */
const UNSHARE = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user'];
const MOUNT = 'mount -t tmpfs -o size=2m none "$1"';
const MAY_MOUNT =
  process.platform === 'linux' && spawnSync('unshare', [...UNSHARE, 'sh', '-c', MOUNT, 'sh', tmpdir()]).status === 0;

describe('books on a full disk', () => {
  it.skipIf(!MAY_MOUNT)(
    'give no credit, say so once, and go on by themselves when there is room (needs unshare and mount)',
    async () => {
      const directory = await mkdtemp(path.join(tmpdir(), 'relaymint-full-'));
      try {
        const script = `${MOUNT} && exec "$2" --import "$3" "$4" "$1"`;
        const { stdout } = await promisify(execFile)(
          'unshare',
          [...UNSHARE, 'sh', '-c', script, 'sh', directory, process.execPath, TYPESCRIPT, CHILD],
          { timeout: 120_000 },
        );
        const said: Said = JSON.parse(stdout);
        expect(said).toMatchObject({
          refusal: 'STORAGE_FULL',
          newCredit: 'STORAGE_FULL',
          settlement: 'STORAGE_FULL',
          linesWhileFull: 1,
          faults: 0,
          held: said.due,
          settlements: 1,
          damaged: 0,
        });
        expect(BigInt(said.unconfirmed)).toBeGreaterThan(0n);
        expect(said.lines).toEqual([
          expect.stringContaining('no new credit is given'),
          expect.stringContaining('written again'),
        ]);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
    150_000,
  );
});

interface Said {
  readonly due: string;
  readonly unconfirmed: string;
  readonly lines: readonly string[];
}

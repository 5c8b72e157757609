/** Spoiled bytes in LevelDB's files and the journal: a start never ends the process, and never loses in silence. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { toHex } from '../../../core/codec.ts';
import { maskedCrc } from '../../../ledger/books/crc32c.ts';
import { Level } from '../../../ledger/books/level.ts';
import { GroupedStore } from '../../../ledger/books/store.ts';
import type { Change } from '../../../ledger/books/store.ts';
import { Trials } from './damage-trial.ts';
import type { Flip } from './damage-trial.ts';
import { Random } from './random.ts';

const TIMEOUT_MILLIS = 300_000;
const KEYS = 150;
/** Books with several tables, one of them of a compaction, and a log. */
const ROUNDS = 7;
const WRITES = 4;
const PER_WRITE = 20;
/** Spoiled bytes in each file of a kind: LevelDB of itself dies of about every fiftieth in a table. */
const SAMPLES: readonly (readonly [kind: RegExp, count: number])[] = [
  [/\.ldb$/, 80],
  [/\.log$/, 40],
  [/MANIFEST/, 25],
  [/CURRENT$/, 16],
  [/journal$/, 40],
];
const FOOTER_BYTES = 48;

let root: string;
let whole: string;
let truth: Readonly<Record<string, string>>;
let files: readonly { readonly name: string; readonly size: number }[];

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'relaymint-tables-'));
  whole = path.join(root, 'whole');
  const random = new Random(1);
  // Half of them can be packed, so blocks of both kinds are there.
  const change = (): Change => {
    const range = random.below(2) === 0 ? 4 : 256;
    const value = Uint8Array.from({ length: 60 }, () => random.below(range));
    return [`held/${random.below(KEYS)}`, random.below(10) === 0 ? undefined : value];
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    await using store = await GroupedStore.open(whole);
    for (let write = 0; write < WRITES; write += 1) await store.writeNow(Array.from({ length: PER_WRITE }, change));
    truth = Object.fromEntries(Array.from(store.entries(), ([key, value]) => [key, toHex(value)]));
  }
  const names = await readdir(whole, { recursive: true });
  const sized = await Promise.all(names.map(async (name) => ({ name, info: await stat(path.join(whole, name)) })));
  files = sized.filter(({ info }) => info.isFile()).map(({ name, info }) => ({ name, size: info.size }));
}, TIMEOUT_MILLIS);
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** Keys that are not as they were when the books were closed. */
function differences(entries: readonly (readonly [key: string, hex: string])[]): readonly string[] {
  const found: Readonly<Record<string, string>> = Object.fromEntries(entries);
  return Object.keys({ ...truth, ...found }).filter((key) => found[key] !== truth[key]);
}

function tables(): readonly { readonly name: string; readonly size: number }[] {
  return files.filter(({ name }) => name.endsWith('.ldb'));
}

it(
  'survive one spoiled byte anywhere without losing anything',
  async () => {
    const random = new Random(20_261_127);
    await using trials = new Trials(whole, path.join(root, 'trial'));
    let noticed = 0;
    const wrong: string[] = [];
    for (const { name, size } of files) {
      const samples = SAMPLES.find(([kind]) => kind.test(name))?.[1] ?? 0;
      for (let sample = 0; sample < Math.min(samples, size); sample += 1) {
        const at = Math.floor((sample * size) / samples) + random.below(Math.ceil(size / samples));
        const flip: Flip = { file: name, at: Math.min(at, size - 1), mask: 1 << random.below(8) };
        const outcome = await trials.open([flip]);
        if (!('entries' in outcome)) {
          wrong.push(`${JSON.stringify(flip)}: ${JSON.stringify(outcome)}`);
          continue;
        }
        const { complete, damaged } = outcome;
        if (damaged.length > 0) noticed += 1;
        // Each byte of a table is under some sum, but for what pads its footer.
        const unseen =
          name.endsWith('.ldb') && (flip.at < size - FOOTER_BYTES || flip.at >= size - 8) && damaged.length === 0;
        if (!complete || unseen || differences(outcome.entries).length > 0)
          wrong.push(JSON.stringify({ flip, complete, damaged }));
      }
    }
    expect(wrong).toEqual([]);
    expect(tables().length).toBeGreaterThan(1);
    expect(noticed).toBeGreaterThan(150);
  },
  TIMEOUT_MILLIS,
);

it(
  'survive a spoiled byte in each copy, keep nearly all, and say so when something is gone',
  async () => {
    const random = new Random(3);
    await using trials = new Trials(whole, path.join(root, 'trial'));
    const journal = files.find(({ name }) => name === 'journal');
    const others = files.filter(({ name }) => /\.(?:ldb|log)$/.test(name));
    const wrong: string[] = [];
    for (let round = 0; round < 60; round += 1) {
      const other = others[round % others.length];
      if (journal === undefined || other === undefined) throw new Error('files are missing');
      const flips = [journal, other].map(({ name, size }) => ({
        file: name,
        at: random.below(size),
        mask: 1 << random.below(8),
      }));
      const outcome = await trials.open(flips);
      if (!('entries' in outcome)) {
        wrong.push(`${JSON.stringify(flips)}: ${JSON.stringify(outcome)}`);
        continue;
      }
      const lost = differences(outcome.entries);
      if (lost.length > 2 || (lost.length > 0 && outcome.complete))
        wrong.push(`${JSON.stringify(flips)}: ${lost.join()}`);
    }
    expect(wrong).toEqual([]);
  },
  TIMEOUT_MILLIS,
);

it('find all records in LevelDB alone when the footers of its tables are gone', async () => {
  const trial = path.join(root, 'no-footers');
  await cp(whole, trial, { recursive: true });
  for (const { name } of tables()) {
    const file = path.join(trial, name);
    const bytes = await readFile(file);
    bytes.fill(0, bytes.length - FOOTER_BYTES);
    await writeFile(file, bytes);
  }
  await rm(path.join(trial, 'journal'));
  await using store = await GroupedStore.open(trial);
  expect(Object.fromEntries(Array.from(store.entries(), ([key, value]) => [key, toHex(value)]))).toEqual(truth);
  expect(store.findings).toMatchObject({ complete: true, damaged: [{ copy: 'journal' }, { copy: 'level' }] });
});

it('read from the files what LevelDB itself reads, packed or not', async () => {
  const trial = path.join(root, 'read');
  await cp(whole, trial, { recursive: true });
  const level = new Level(path.join(trial, 'level'));
  const read = await level.open(() => 0n);
  const { versions, commit } = await level.salvage();
  expect(read.versions.size).toBe(Object.keys(truth).length);
  expect(new Map(versions)).toEqual(new Map(read.versions));
  expect(commit).toEqual(read.commit);
});

it('are left alone, damaged or not, while another process has them open', async () => {
  const trial = path.join(root, 'held');
  await cp(whole, trial, { recursive: true });
  const typescript = new URL('../receipt/run-typescript.js', import.meta.url).href;
  const store = new URL('../../../ledger/books/store.ts', import.meta.url).href;
  const script = `import { GroupedStore } from '${store}';
    await GroupedStore.open(process.argv[1]);
    process.stdout.write('open');
    process.stdin.resume();`;
  const arguments_ = ['--import', typescript, '--input-type=module', '--eval', script, trial];
  const child = spawn(process.execPath, arguments_, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    const folder = path.join(trial, 'level');
    for (const name of (await readdir(folder)).filter((file) => file.endsWith('.ldb'))) {
      const file = path.join(folder, name);
      const bytes = await readFile(file);
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      await writeFile(file, bytes);
    }
    const before = await readdir(trial);
    await expect(GroupedStore.open(trial)).rejects.toMatchObject({ code: 'FILE_IN_USE' });
    expect(await readdir(trial)).toEqual(before);
  } finally {
    child.kill('SIGKILL');
  }
});

it('are checked by the sum that LevelDB uses', () => {
  // RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 8a9136aa.
  const sum = 0x8a9136aa;
  expect(maskedCrc(new Uint8Array(32))).toBe((((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0);
});

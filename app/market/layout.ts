/**
 * Where a local marketplace keeps what it must find again: one folder a process, and `market.json` with the ports that
 * addresses in offers depend on, which folder it publishes, and what was said in threads.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { readWhole, replaceFile } from '../../platform/disk/atomic-file.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import type { Post } from './showing.ts';

const FILE = 'market.json';

/** What is published: a folder of the user's, or an example of ours. Both absent: the usual example. */
export interface Shown {
  /** Absolute once it is remembered. */
  readonly site?: string | undefined;
  readonly example?: string | undefined;
}

/** The content of `market.json`. */
interface Remembered extends Shown {
  readonly version: 1;
  /** Port by label; 0 or absent means: any free one. */
  readonly ports: Readonly<Record<string, number>>;
  /** Numbers of posts by `keyOf`. Absent in folders of before. */
  readonly said?: Readonly<Record<string, number>> | undefined;
}

/** A post of a display, whatever number it got. */
export type SaidPost = Pick<Post, 'name' | 'path' | 'as' | 'text'>;

const rememberedSchema: z.ZodType<Remembered> = z.object({
  version: z.literal(1),
  ports: z.record(z.string(), z.number().int().min(0).max(65_535)),
  said: z.record(z.string(), z.number().int().min(0)).optional(),
  site: z.string().optional(),
  example: z.string().optional(),
});

export interface MarketLayout {
  readonly root: string;
  /** True when the folder goes with the marketplace. */
  readonly temporary: boolean;
  /** True when an earlier marketplace left its state here. */
  readonly continued: boolean;
  dirOf(label: string): string;
  portOf(label: string): number;
  /** Remembers a port for the next start. */
  rememberPort(label: string, port: number): Promise<void>;
  /** What an earlier start was told to publish. */
  readonly shown: Shown;
  /** Remembers what is published, for a start that says nothing of it. */
  rememberShown(shown: Shown): Promise<void>;
  /** The number that a post got at an earlier start. Its author may have edited it since, or taken it back. */
  saidAs(post: SaidPost): number | undefined;
  /** Remembers it for the next start. */
  rememberSaid(post: SaidPost, sequence: number): Promise<void>;
  /** Removes a temporary layout. */
  remove(): Promise<void>;
}

/** Opens `dataDir`, or a temporary folder when undefined. @throws RelaymintError INVALID_CONFIG on a damaged market.json; STORAGE_FAILED. */
export async function openLayout(dataDir: string | undefined): Promise<MarketLayout> {
  const root = dataDir === undefined ? await mkdtemp(path.join(tmpdir(), 'relaymint-')) : path.resolve(dataDir);
  await makeFolder(root);
  const file = path.join(root, FILE);
  const remembered = await readRemembered(file);
  const ports: Record<string, number> = { ...remembered?.ports };
  const said: Record<string, number> = { ...remembered?.said };
  let shown: Shown = { site: remembered?.site, example: remembered?.example };
  let writes: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    const state: Remembered = { version: 1, ports, said, ...shown };
    await replaceFile(file, Buffer.from(`${JSON.stringify(state, undefined, 2)}\n`));
  };
  return {
    root,
    temporary: dataDir === undefined,
    continued: remembered !== undefined,
    dirOf: (label) => path.join(root, label),
    portOf: (label) => ports[label] ?? 0,
    rememberPort: (label, port) => {
      ports[label] = port;
      writes = writes.then(write);
      return writes;
    },
    get shown() {
      return shown;
    },
    rememberShown: ({ site, example }) => {
      shown = { site: site === undefined ? undefined : path.resolve(site), example };
      writes = writes.then(write);
      return writes;
    },
    saidAs: (post) => said[keyOf(post)],
    rememberSaid: (post, sequence) => {
      said[keyOf(post)] = sequence;
      writes = writes.then(write);
      return writes;
    },
    remove: async () => {
      if (dataDir === undefined) await rm(root, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Names and paths have no spaces, so that no two posts share a key. */
function keyOf({ name, path: topic, as, text }: SaidPost): string {
  return `${name} ${topic} ${as} ${text}`;
}

async function readRemembered(file: string): Promise<Remembered | undefined> {
  const content = await readWhole(file);
  if (content === undefined) return undefined;
  try {
    return rememberedSchema.parse(JSON.parse(content.toString('utf8')));
  } catch (cause) {
    throw new RelaymintError('INVALID_CONFIG', `${file} is damaged: ${messageOf(cause)}.`, {
      remedy:
        'Delete this one file. New ports are chosen then, you must give --site again, and what was taken back in threads is said again.',
      cause,
    });
  }
}

/** What a local marketplace shows: one folder, or those of an example, each of another owner. */
import { copyFile, cp, mkdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { z } from 'zod';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { parseName } from '../../core/name.ts';
import { timetableSchema, type Timetable } from './traffic.ts';
import { requireDirectory } from './visit.ts';

/** Something that pages load from another name. */
export interface Embedded {
  readonly name: string;
  /** Below its front, as a browser asks for it. */
  readonly path: string;
}

export interface Showing {
  readonly name: string;
  /** Absolute. */
  readonly directory: string;
  /** Label of its owner, who has a data folder and a wallet. */
  readonly owner: string;
  /** What `relaymint site publish` is told besides folder and name. */
  readonly publishArgs: readonly string[];
  /** What its pages load from other names. */
  readonly embeds: readonly Embedded[];
  /** Files that are published with it and are not in its folder. */
  readonly brings: readonly Brought[];
}

/** Something that an owner says in a thread. */
export interface Post {
  /** The name that it is said in, and the path of the page that it is about. */
  readonly name: string;
  readonly path: string;
  /** The name that says it, and its owner's label. */
  readonly as: string;
  readonly owner: string;
  readonly text: string;
  /** Which of the posts before it it answers, from 0 on. */
  readonly answers?: number | undefined;
}

/** A name that says where its boats are. */
export interface Live {
  readonly name: string;
  readonly owner: string;
  readonly timetable: Timetable;
  /** Names whose pages show it. */
  readonly shownBy: readonly string[];
}

/** All that a marketplace shows. */
export interface Display {
  /** The first is the one that a visitor begins at. */
  readonly showings: readonly [Showing, ...Showing[]];
  /** In this order. */
  readonly posts: readonly Post[];
  readonly live: readonly Live[];
}

/** A file of a package of ours or of the example's folder, and where in a site it stands. */
export interface Brought {
  readonly file: string;
  readonly as: string;
}

const FILE = 'town.json';

interface Town {
  /** The name to begin at. */
  readonly front: string;
  /** What several sites need: files of packages, or of the example's folder. */
  readonly kits: Readonly<Record<string, readonly KitFile[]>>;
  readonly sites: readonly TownSite[];
  readonly posts: readonly Omit<Post, 'owner'>[];
  readonly live: readonly TownLive[];
}

interface TownLive {
  readonly name: string;
  /** File of the timetable. */
  readonly timetable: string;
  readonly shownBy: readonly string[];
}

interface KitFile {
  /** Absent: a file of the example's folder. */
  readonly package?: string | undefined;
  readonly file: string;
  readonly as: string;
}

interface TownSite {
  readonly name: string;
  readonly folder: string;
  readonly owner: string;
  readonly royalty?: string | undefined;
  /** File with the source of its manifest. */
  readonly manifest?: string | undefined;
  readonly embeds: readonly Embedded[];
  /** Kits. */
  readonly brings: readonly string[];
}

const name = z.string().transform((text) => parseName(text).name);
const inside = z.string().regex(/^[a-z0-9][a-z0-9.-]*(?:\/[a-z0-9][a-z0-9.-]*)*$/);
const below = z.string().regex(/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/);
const { resolve } = createRequire(import.meta.url);

const townSchema: z.ZodType<Town> = z.strictObject({
  front: name,
  kits: z
    .record(z.string(), z.array(z.strictObject({ package: inside.optional(), file: below, as: below })))
    .default({}),
  sites: z
    .array(
      z.strictObject({
        name,
        folder: inside,
        owner: inside,
        royalty: z.string().optional(),
        manifest: inside.optional(),
        embeds: z.array(z.strictObject({ name, path: z.string().startsWith('/') })).default([]),
        brings: z.array(z.string()).default([]),
      }),
    )
    .min(1),
  posts: z
    .array(
      z.strictObject({
        name,
        path: z.string().startsWith('/'),
        as: name,
        text: z.string().min(1),
        answers: z.number().int().min(0).optional(),
      }),
    )
    .default([]),
  live: z.array(z.strictObject({ name, timetable: inside, shownBy: z.array(name).default([]) })).default([]),
});

/** What an example's folder shows, the site to begin at first. @throws RelaymintError FILE_NOT_FOUND, INVALID_CONFIG. */
export async function readTown(folder: string): Promise<Display> {
  const file = path.join(folder, FILE);
  const town = parsed(await readText(file), townSchema, file);
  const sites = town.sites.toSorted(
    (one, other) => Number(other.name === town.front) - Number(one.name === town.front),
  );
  const [front, ...others] = await Promise.all(sites.map((site) => showingOf(site, { town, folder, file })));
  if (front === undefined) throw damaged(file, 'it has no sites');
  const owners = new Map([front, ...others].map((showing) => [showing.name, showing.owner]));
  const ownerOf = (wanted: string): string => {
    const owner = owners.get(wanted);
    if (owner === undefined) throw damaged(file, `it has no site ${wanted}`);
    return owner;
  };
  const shown = sites.flatMap(({ embeds }) => embeds.map((one) => one.name));
  for (const named of [town.front, ...shown, ...town.posts.map((post) => post.name)]) ownerOf(named);
  for (const one of town.live) one.shownBy.forEach(ownerOf);
  for (const [index, { answers }] of town.posts.entries()) {
    if (answers !== undefined && answers >= index)
      throw damaged(file, `post ${index} answers one that is not before it`);
  }
  return {
    showings: [front, ...others],
    posts: town.posts.map((post) => ({ ...post, owner: ownerOf(post.as) })),
    live: await Promise.all(
      town.live.map(async ({ timetable, ...one }) => {
        const table = path.join(folder, timetable);
        return { ...one, owner: ownerOf(one.name), timetable: parsed(await readText(table), timetableSchema, table) };
      }),
    ),
  };
}

async function showingOf(
  site: TownSite,
  { town, folder, file }: { readonly town: Town; readonly folder: string; readonly file: string },
): Promise<Showing> {
  return {
    name: site.name,
    directory: await requireDirectory(path.join(folder, site.folder)),
    owner: `owner-${site.owner}`,
    publishArgs: [
      ...(site.royalty === undefined ? [] : ['--royalty', site.royalty]),
      ...(site.manifest === undefined ? [] : ['--manifest', path.join(folder, site.manifest)]),
    ],
    embeds: site.embeds,
    brings: site.brings.flatMap((kit) => {
      const files = town.kits[kit];
      if (files === undefined) throw damaged(file, `it has no kit ${kit}`);
      return files.map((one) => ({ file: sourceOf(one, folder), as: one.as }));
    }),
  };
}

function sourceOf(one: KitFile, folder: string): string {
  if (one.package === undefined) return path.join(folder, one.file);
  try {
    return path.join(path.dirname(resolve(`${one.package}/package.json`)), one.file);
  } catch (cause) {
    throw new RelaymintError('FILE_NOT_FOUND', `The example needs the package ${one.package}, which is not here.`, {
      remedy: 'Install what Relaymint needs again, by "npm install" in its folder.',
      cause,
    });
  }
}

/** The same, with what a site brings in a copy of its folder below `scratch`. What an earlier one left there goes. @throws the system's errors. */
export async function composed(showing: Showing, scratch: string): Promise<Showing> {
  if (showing.brings.length === 0) return showing;
  const directory = path.join(scratch, showing.name);
  await rm(directory, { recursive: true, force: true });
  await cp(showing.directory, directory, { recursive: true, preserveTimestamps: true });
  for (const { file, as } of showing.brings) {
    const copy = path.join(directory, as);
    await mkdir(path.dirname(copy), { recursive: true });
    await copyFile(file, copy);
  }
  return { ...showing, directory };
}

async function readText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((cause: unknown) => {
    throw damaged(file, messageOf(cause), cause);
  });
}

function parsed<T>(text: string, schema: z.ZodType<T>, file: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(file, messageOf(cause), cause);
  }
}

function damaged(file: string, why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_CONFIG', `${file} does not describe a town: ${why}.`, {
    remedy: 'Install this version again: the file is part of it.',
    cause,
  });
}

/** What a local marketplace shows: one folder, or those of an example, each of another owner. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { parseName } from '../../core/name.ts';
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
}

const FILE = 'town.json';

interface Town {
  /** The name to begin at. */
  readonly front: string;
  readonly sites: readonly TownSite[];
}

interface TownSite {
  readonly name: string;
  readonly folder: string;
  readonly owner: string;
  readonly royalty?: string | undefined;
  /** File with the source of its manifest. */
  readonly manifest?: string | undefined;
  readonly embeds: readonly Embedded[];
}

const name = z.string().transform((text) => parseName(text).name);
const inside = z.string().regex(/^[a-z0-9][a-z0-9.-]*$/);

const townSchema: z.ZodType<Town> = z.strictObject({
  front: name,
  sites: z
    .array(
      z.strictObject({
        name,
        folder: inside,
        owner: inside,
        royalty: z.string().optional(),
        manifest: inside.optional(),
        embeds: z.array(z.strictObject({ name, path: z.string().startsWith('/') })).default([]),
      }),
    )
    .min(1),
});

/** The showings of an example's folder, the one to begin at first. @throws RelaymintError FILE_NOT_FOUND, INVALID_CONFIG. */
export async function readTown(folder: string): Promise<readonly [Showing, ...Showing[]]> {
  const file = path.join(folder, FILE);
  const town = await parseTown(file);
  const sites = town.sites.toSorted(
    (one, other) => Number(other.name === town.front) - Number(one.name === town.front),
  );
  const names = new Set(sites.map((site) => site.name));
  const missing = [town.front, ...sites.flatMap(({ embeds }) => embeds.map((one) => one.name))].find(
    (one) => !names.has(one),
  );
  if (missing !== undefined) throw damaged(file, `it has no site ${missing}`);
  const [front, ...others] = await Promise.all(
    sites.map(async (site) => ({
      name: site.name,
      directory: await requireDirectory(path.join(folder, site.folder)),
      owner: `owner-${site.owner}`,
      publishArgs: [
        ...(site.royalty === undefined ? [] : ['--royalty', site.royalty]),
        ...(site.manifest === undefined ? [] : ['--manifest', path.join(folder, site.manifest)]),
      ],
      embeds: site.embeds,
    })),
  );
  if (front === undefined) throw damaged(file, 'it has no sites');
  return [front, ...others];
}

async function parseTown(file: string): Promise<Town> {
  try {
    return townSchema.parse(JSON.parse(await readFile(file, 'utf8')));
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

/**
 * Maps: sets of tiles. A folder or an MBTiles file becomes one PMTiles archive, which is a file like any other to hosts and gateways: readers
 * fetch its directories and tiles by ranges.
 */
import { open, stat } from 'node:fs/promises';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { hasErrno } from '../../platform/errno.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { describeArchive } from './archive.ts';
import type { MapSummary, PackOptions, PackedMap, TileSource } from './contract.ts';
import { extentOf } from './extent.ts';
import { openFolderSource } from './folder-source.ts';
import { openMbtilesSource } from './mbtiles-source.ts';
import { packTiles } from './pack.ts';

const SQLITE = 'SQLite format 3\0';
const PMTILES = 'PMTiles';

/** @throws RelaymintError FILE_NOT_FOUND, INVALID_ARGUMENT, INVALID_ENCODING, LIMIT_EXCEEDED, STORAGE_FAILED, ABORTED. */
export async function describeMap(input: string, signal?: AbortSignal): Promise<MapSummary> {
  assertNotAborted(signal, 'Reading the map');
  if ((await formOf(input)) === 'pmtiles') return await describeArchive(input, signal);
  await using source = await openSource(input, signal);
  const { form, type, metadata, bytes, leftOut } = source;
  return { form, type, ...extentOf(source.ids, source), contents: undefined, bytes, metadata, leftOut };
}

/**
 * Packs a folder or an MBTiles file into a PMTiles archive: the same tiles give the same bytes.
 * @param file appears whole or not at all; what is there is replaced.
 * @throws RelaymintError as `describeMap`, and STORAGE_FULL.
 */
export async function packMap(input: string, file: string, options: PackOptions = {}): Promise<PackedMap> {
  assertNotAborted(options.signal, 'Packing the map');
  await using source = await openSource(input, options.signal);
  return await packTiles(source, file, options);
}

async function openSource(input: string, signal: AbortSignal | undefined): Promise<TileSource> {
  const form = await formOf(input);
  if (form === 'folder') return await openFolderSource(input, signal);
  if (form === 'mbtiles') return await openMbtilesSource(input);
  throw new RelaymintError('INVALID_ARGUMENT', `${input} is a PMTiles archive already.`, {
    remedy: 'Publish it as it is.',
  });
}

async function formOf(input: string): Promise<MapSummary['form']> {
  try {
    if ((await stat(input)).isDirectory()) return 'folder';
    const handle = await open(input);
    try {
      const { buffer } = await handle.read(Buffer.alloc(16), 0, 16, 0);
      const head = buffer.toString('latin1');
      if (head === SQLITE) return 'mbtiles';
      if (head.startsWith(PMTILES)) return 'pmtiles';
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (!hasErrno(cause, 'ENOENT', 'ENOTDIR')) throw diskError(cause, `Reading ${input}`);
    throw new RelaymintError('FILE_NOT_FOUND', `${input} does not exist.`, {
      remedy: 'Give a folder of tiles, an MBTiles file or a PMTiles archive.',
      cause,
    });
  }
  throw new RelaymintError('INVALID_ARGUMENT', `${input} is neither a folder, nor MBTiles, nor PMTiles.`, {
    remedy: 'Give a folder of tiles (zoom/column/row.mvt), an MBTiles file or a PMTiles archive.',
  });
}

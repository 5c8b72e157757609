/**
 * Makes posters of a folder's films, in a folder of their own: nothing of the publisher's is changed. By the program ffmpeg, which reads what
 * strangers may have made: it is told what kind of file it gets, so that it takes none for a list of other files, may open files alone, and
 * has bounds of time, memory and output.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { abortError, assertNotAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import { MAX_POSTER_BYTES, MAX_POSTER_MEMORY_BYTES, MAX_POSTER_MILLIS } from '../../core/limits.ts';
import { makeFolder } from '../../platform/disk/folder.ts';
import { publishableFiles } from '../unixfs/index.ts';
import { fitsType, typeOfEnding } from './kinds.ts';
import { MadeFiles, type MadeFile } from './made.ts';
import type { MakeOptions } from './make.ts';
import { SNIFFED_BYTES, sniffType } from './sniff.ts';
import { rightsXmp, withXmp } from './xmp.ts';

export interface PosterOptions extends Pick<MakeOptions, 'folder' | 'into' | 'rights' | 'signal' | 'onProgress'> {
  /** The file of ffmpeg. */
  readonly program: string;
  /** How long it may take for one film, milliseconds. Default MAX_POSTER_MILLIS. */
  readonly waitMillis?: number;
  /** Which sets the program's bounds. Default /bin/sh. */
  readonly shell?: string;
}

export interface MadePosters {
  /** Where each is published, and the file that it is in. */
  readonly beside: ReadonlyMap<string, string>;
  /** Films of which none could be made, and why. */
  readonly failed: readonly { readonly path: string; readonly why: string }[];
}

/** A poster lies beside its film: `ferry.webm.jpg`. */
export const POSTER_ENDING = '.jpg';
/** What ffmpeg reads a file as, by how it begins. Nothing here names other files. */
const READ_AS: Readonly<Record<string, string>> = {
  'application/ogg': 'ogg',
  'video/mp4': 'mov',
  'video/quicktime': 'mov',
  'video/webm': 'matroska',
  'video/x-matroska': 'matroska',
};
/** The frame that is least like a fade, of the first fifty, which are made small first; no larger than a page shows it. */
const PICKED = "scale='min(1280,iw)':-2,thumbnail=n=50";
/** Larger pictures than those of any screen. */
const MAX_PIXELS = 40_000_000;
/** A film's own bounds would be those of its maker. A shell sets them before it becomes the program; where it may not, those of the caller count. */
const LIMITS: readonly string[] = [
  `-v ${MAX_POSTER_MEMORY_BYTES / 1024}`,
  `-t ${Math.ceil(MAX_POSTER_MILLIS / 1000)}`,
  '-f 0',
  '-c 0',
];
const BOUNDED = `${LIMITS.map((limit) => `ulimit ${limit} 2>/dev/null; `).join('')}exec "$@"`;
/** Rises when the same films shall have other posters. */
const RECIPE = 1;
const MAKING = 'Making posters';
/** Of what ffmpeg says, letters. */
const MAX_WHY = 200;

/**
 * The same films give the same bytes with the same version of ffmpeg. A film that is none, or that takes too much, is passed over; one that
 * has a poster in the folder keeps it.
 * @throws RelaymintError PROGRAM_MISSING (ffmpeg or the shell does not run here), ABORTED, STORAGE_FAILED, STORAGE_FULL, and as `publishableFiles`.
 */
export async function makePosters(options: PosterOptions): Promise<MadePosters> {
  const { folder, into, program, rights, signal, waitMillis = MAX_POSTER_MILLIS, onProgress = () => {} } = options;
  const running = { signal, waitMillis, shell: options.shell ?? '/bin/sh' };
  assertNotAborted(signal, MAKING);
  const version = await versionOf(program, running);
  const films: { readonly path: string; readonly file: string }[] = [];
  const paths = new Set<string>();
  for await (const one of publishableFiles(folder, { signal })) {
    paths.add(one.path);
    if (typeOfEnding(one.path)?.startsWith('video/') === true) films.push(one);
  }
  await makeFolder(into);
  const made = new MadeFiles(into);
  const xmp = rights && rightsXmp(rights);
  const beside = new Map<string, string>();
  const failed: { path: string; why: string }[] = [];
  const wanted = films.filter(({ path }) => !paths.has(path + POSTER_ENDING));
  for (const [done, { path, file }] of wanted.entries()) {
    assertNotAborted(signal, MAKING);
    onProgress({ done, total: wanted.length, path });
    try {
      const poster = await posterOf(made, path, file, { program, version, xmp, ...running });
      beside.set(path + POSTER_ENDING, poster.file);
    } catch (error) {
      assertNotAborted(signal, MAKING);
      if (isRelaymintError(error)) throw error;
      failed.push({ path, why: messageOf(error).slice(0, MAX_WHY) });
    }
  }
  await made.forgetOthers();
  return { beside, failed };
}

interface Making extends Running {
  readonly program: string;
  readonly version: string | undefined;
  readonly xmp: string | undefined;
}

/** @throws Error (there is none); RelaymintError STORAGE_FAILED, STORAGE_FULL. */
async function posterOf(made: MadeFiles, path: string, file: string, making: Making): Promise<MadeFile> {
  const head = await firstBytes(file);
  const readAs = READ_AS[sniffType(head) ?? ''];
  if (readAs === undefined || !fitsType(typeOfEnding(path) ?? '', head)) throw new Error('it is something else');
  const recipe = [RECIPE, making.version, await digestOf(file, making.signal), readAs, making.xmp ?? null];
  return await made.of(recipe, () => frameOf(file, readAs, making));
}

/**
 * One frame of a film, as JPEG. `readAs`: of `READ_AS`.
 * @throws Error (there is none).
 */
export async function frameOf(
  file: string,
  readAs: string,
  { program, xmp, ...running }: Omit<Making, 'version'>,
): Promise<Uint8Array> {
  const frame = await output(program, argumentsFor(file, readAs), running);
  if (sniffType(frame) !== 'image/jpeg') throw new Error('it has no picture');
  return xmp === undefined ? frame : withXmp(frame, xmp);
}

/** All of them are fixed but the file, which is no option: it begins with "file:". */
function argumentsFor(file: string, readAs: string): readonly string[] {
  return [
    ['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1'],
    ['-protocol_whitelist', 'file,pipe', '-max_pixels', String(MAX_PIXELS), '-f', readAs, '-i', `file:${file}`],
    // Neither sound nor subtitles nor what the camera wrote, and nothing that differs from run to run.
    ['-map', '0:V:0', '-map_metadata', '-1', '-fflags', '+bitexact', '-flags:v', '+bitexact', '-vf', PICKED],
    ['-frames:v', '1', '-c:v', 'mjpeg', '-q:v', '4', '-f', 'image2pipe', 'pipe:1'],
  ].flat();
}

interface Running {
  readonly signal: AbortSignal;
  readonly waitMillis: number;
  readonly shell: string;
}

/** The first line of what it says of itself: another one may make other pictures. @throws RelaymintError PROGRAM_MISSING, ABORTED. */
async function versionOf(program: string, running: Running): Promise<string | undefined> {
  try {
    return String(await output(program, ['-version'], running)).split('\n')[0];
  } catch (cause) {
    if (isRelaymintError(cause)) throw cause;
    throw new RelaymintError('PROGRAM_MISSING', `The program ${program} does not run here: ${messageOf(cause)}.`, {
      remedy: `Posters are made by ffmpeg, which ${running.shell} starts.`,
      cause,
    });
  }
}

/** What a program prints. It ends with the signal. @throws Error, with what it complains of; RelaymintError ABORTED. */
async function output(
  program: string,
  args: readonly string[],
  { signal, waitMillis, shell }: Running,
): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const bounded = ['-c', BOUNDED, 'sh', program, ...args];
    const options = {
      encoding: 'buffer',
      timeout: waitMillis,
      maxBuffer: MAX_POSTER_BYTES,
      killSignal: 'SIGKILL',
      signal,
      // Nothing by which a program may be told to write a log, or to go through a proxy.
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
    } as const;
    execFile(shell, bounded, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (signal.aborted) reject(abortError(signal, MAKING));
      else reject(new Error(whyFailed(error, stderr.toString(), { waitMillis, shell }), { cause: error }));
    }).stdin?.end();
  });
}

function whyFailed(
  error: { readonly code?: unknown; readonly killed?: boolean },
  said: string,
  { waitMillis, shell }: Pick<Running, 'waitMillis' | 'shell'>,
): string {
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'what ffmpeg makes of it is too large';
  if (error.killed === true) return `ffmpeg took longer than ${waitMillis / 1000} s`;
  // What a program ends with is a number; the system says a word.
  if (typeof error.code === 'string') return `${shell} cannot be started (${error.code})`;
  return said.trim().split('\n')[0] || 'ffmpeg cannot read it';
}

async function firstBytes(file: string): Promise<Uint8Array> {
  await using handle = await open(file, 'r');
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(SNIFFED_BYTES), 0);
  return buffer.subarray(0, bytesRead);
}

async function digestOf(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash, { signal });
  return hash.digest('hex');
}

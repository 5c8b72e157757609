/** `relaymint site publish`: brings a folder to a host and points a name at it. */
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { formatShare } from '../../core/grammar.ts';
import { amount, formatBytes } from '../../core/units.ts';
import { siteUrl } from '../../core/name.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  DEFAULT_GATEWAY_PORT,
  flagsOnly,
  grammar,
  newName,
  optional,
  place,
  required,
  toggle,
  type Grammar,
  type ValuesOf,
} from '../../app/config/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { printable } from '../../core/printable.ts';
import { counted, createLog, createOutput, createProgress, createStatus, createSteps, type Output } from '../output.ts';
import { manifestFound, readManifestFile, type ManifestTerms } from '../../sites/manifest/index.ts';
import { MAX_THUMBNAIL_WIDTH } from '../../sites/media/index.ts';
import type { MadePictures, MadePosters } from '../../sites/media/index.ts';
import { requireDirectory } from '../../app/market/index.ts';
import { openNode } from '../../app/node/index.ts';
import { baseSection, hostsWanted, settingsOf, site, type BaseValues, type SiteValues } from '../../app/roles/index.ts';
import type * as CarModule from '../../app/roles/site-car.ts';
import type * as MediaModule from '../../app/roles/own-media.ts';
import type * as PublisherModule from '../../app/roles/publisher.ts';
import { RENEWAL_HINT_DAYS, priceText, registrationText, renewalHint, staleText } from './name-text.ts';
import { doubtsText, leftOutText, listed } from '../left-out.ts';
import { addSettings } from '../settings.ts';

/** In pixels, from the smallest. */
const widths: Grammar<readonly number[]> = grammar((text) => {
  const all = new Set(text.split(',').map((one) => (/^\d{1,5}$/.test(one) ? Number(one) : 0)));
  if (all.size > MAX_WIDTHS || Math.min(...all) < 1 || Math.max(...all) > MAX_THUMBNAIL_WIDTH) {
    throw new RangeError(`Write 1 to ${MAX_WIDTHS} widths of 1 to ${MAX_THUMBNAIL_WIDTH} pixels: 320,640,1280.`);
  }
  return [...all].sort((a, b) => a - b);
});
/** More are made for no screens. */
const MAX_WIDTHS = 8;

const publishSection = flagsOnly({
  name: required('--name <name>', newName, 'for example demo.web3'),
  manifest: optional(
    '--manifest <file>',
    place,
    'JSON that says whose it is and what others may do with it; .image, .video and .map need it (default: what the name said before)',
  ),
  thumbnails: optional(
    '--thumbnails <widths>',
    widths,
    'also publish smaller forms of its pictures (AVIF, WebP) beside them, and thumbnails of these widths in pixels: 320,640,1280; needs the package "sharp"',
  ),
  posters: toggle(
    '--posters',
    'also publish a picture of each film beside it, ferry.webm.jpg beside ferry.webm; needs the program ffmpeg, and goes on without',
  ),
});

type PublishOptions = CommonOptions & BaseValues & SiteValues & ValuesOf<typeof publishSection>;

/** `parent`: "relaymint site", or "relaymint" itself, where it was first and where scripts may look for it: there it is `hidden`. */
export function sitePublishCommand(parent: Command, { hidden = false }: { readonly hidden?: boolean } = {}): void {
  const command = parent
    .command('publish', { hidden })
    .argument('<dir>', 'folder of files, index.html is its front page; or a CAR file with one root')
    .summary('publish a folder under a name')
    .description(
      'Imports the folder as IPFS content, sends it to a host over a paid circuit, and registers or updates the name on\nthe ledger. Run it again after a change to read and send only what changed, or after an interruption to continue.',
    );
  addSettings(addSettings(addCommonOptions(command), site.settings, site.name), baseSection(site));
  addSettings(command, publishSection)
    .addHelpText(
      'after',
      '\nExample:\n  relaymint site publish ./public --name demo.web3 --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    )
    .action(run);
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
export function loadPublisher(): Promise<typeof PublisherModule> {
  return import('../../app/roles/publisher.ts');
}

async function isFile(given: string): Promise<boolean> {
  return (await stat(given).catch(() => undefined))?.isFile() === true;
}

async function openFile(file: string, signal: AbortSignal): Promise<CarModule.SiteCar> {
  const { openSiteCar }: typeof CarModule = await import('../../app/roles/site-car.ts');
  return await openSiteCar(file, { signal });
}

/** What is published is everybody's: the keys of the wallet must not lie in it. @throws RelaymintError INVALID_ARGUMENT */
export async function assertApart(folder: string, dataDir: string): Promise<void> {
  const [outside, inside] = [await realpath(folder), await realpath(dataDir).catch(() => dataDir)];
  if (path.relative(outside, inside).split(path.sep)[0] === '..') return;
  throw new RelaymintError('INVALID_ARGUMENT', `The data folder ${dataDir}, with its keys, would be published too.`, {
    remedy: 'Give another --data, or publish a folder that does not contain it.',
  });
}

interface PicturesOf {
  readonly folder: string;
  readonly isCar: boolean;
  readonly options: PublishOptions;
  readonly terms: ManifestTerms | undefined;
  readonly dataDir: string;
}

/** undefined: none are wanted. @throws RelaymintError INVALID_ARGUMENT (a CAR file), and as `makePictures`. */
async function madePictures(
  { folder, isCar, options, terms, dataDir }: PicturesOf,
  output: Output,
  signal: AbortSignal,
): Promise<MadePictures | undefined> {
  if (options.thumbnails === undefined) return undefined;
  if (isCar) throw asItIs('--thumbnails');
  const steps = createSteps('Pictures ', output.json);
  const { picturesFor }: typeof MediaModule = await import('../../app/roles/own-media.ts');
  const made = await picturesFor(options.name, {
    folder,
    dataDir,
    widths: options.thumbnails,
    terms,
    signal,
    onProgress: ({ done, total, path: shown }) => steps.update(done, total, shown),
  }).finally(() => steps.finish());
  output.line(`${counted(made.beside.size, 'file')} made of ${counted(made.pictures, 'picture')}.`);
  sayFailed(made.failed, output);
  return made;
}

/** undefined: none are wanted, or can be made here. @throws RelaymintError INVALID_ARGUMENT (a CAR file), and as `makePosters`. */
async function madePosters(
  { folder, isCar, options, terms, dataDir }: PicturesOf,
  output: Output,
  signal: AbortSignal,
): Promise<MadePosters | undefined> {
  if (options.posters !== true) return undefined;
  if (isCar) throw asItIs('--posters');
  const steps = createSteps('Posters  ', output.json);
  const { postersFor }: typeof MediaModule = await import('../../app/roles/own-media.ts');
  try {
    const made = await postersFor(options.name, {
      folder,
      dataDir,
      terms,
      signal,
      onProgress: ({ done, total, path: shown }) => steps.update(done, total, shown),
    });
    output.line(`${counted(made.beside.size, 'poster')} made.`);
    sayFailed(made.failed, output);
    return made;
  } catch (error) {
    if (!isRelaymintError(error, 'PROGRAM_MISSING')) throw error;
    output.line(`No posters were made. ${error.message}`);
    return undefined;
  } finally {
    steps.finish();
  }
}

function sayFailed(failed: MadePictures['failed'], output: Output): void {
  for (const { path: one, why } of failed.slice(0, SHOWN_FAILURES)) {
    output.line(printable(`${one}: nothing was made of it: ${why}.`));
  }
  const more = failed.length - SHOWN_FAILURES;
  if (more > 0) output.line(`.. and of ${more} more.`);
}

function asItIs(option: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `A CAR file is published as it is, without ${option}.`, {
    remedy: `Publish the folder, or leave ${option} out.`,
  });
}

/** Pictures and films of which nothing could be made, that people are shown. */
const SHOWN_FAILURES = 10;

/** The file's counts where the command says nothing. @throws RelaymintError INVALID_ARGUMENT: the command says something else. */
function assertOneRoyalty({ manifest, royalty }: PublishOptions, terms: ManifestTerms | undefined): void {
  const stated = terms?.royaltyBps;
  if (stated === undefined || stated === royalty) return;
  const [asked, written] = [formatShare(royalty), formatShare(stated)];
  throw new RelaymintError('INVALID_ARGUMENT', `--royalty is ${asked}, and ${manifest ?? ''} says ${written}.`, {
    remedy: 'Leave --royalty out: what the manifest says counts. Or leave "royalty" out of the manifest.',
  });
}

/** What lies beside the folder is signed by who names it: it says who is paid. */
async function unusedManifest(directory: string, options: PublishOptions): Promise<string | undefined> {
  const found = options.manifest === undefined ? await manifestFound(directory) : undefined;
  return found && printable(`${found} lies beside it and was not used: it is with --manifest ${found}`);
}

async function run(directory: string, options: PublishOptions, command: Command): Promise<void> {
  const isRoyaltyGiven = command.getOptionValueSource('royalty') === 'cli';
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const isCar = await isFile(directory);
  const folder = isCar ? path.resolve(directory) : await requireDirectory(directory);
  const settings = settingsOf(site, options, (label) => createLog(options.logLevel, label));
  if (!isCar) await assertApart(folder, settings.dataDir);
  const terms = options.manifest === undefined ? undefined : await readManifestFile(options.manifest, options.name);
  if (isRoyaltyGiven) assertOneRoyalty(options, terms);
  const unused = isCar ? undefined : await unusedManifest(directory, options);
  if (unused !== undefined) output.line(unused);
  await using stack = new AsyncDisposableStack();
  // Before anything is opened that pays: nothing of a file that is not right is published.
  const car = isCar ? stack.use(await openFile(folder, lifecycle.signal)) : undefined;
  const media = { folder, isCar, options, terms, dataDir: settings.dataDir };
  const pictures = await madePictures(media, output, lifecycle.signal);
  const posters = await madePosters(media, output, lifecycle.signal);
  const made = [pictures, posters].flatMap((one) => (one === undefined ? [] : Array.from(one.beside)));
  const node = stack.use(await openNode(settings, lifecycle.signal));
  await node.announce(lifecycle.signal);
  const importing = createProgress('Importing', output.json);
  const uploading = createProgress('Sending  ', output.json);
  const wanted = hostsWanted(options);
  const status = createStatus(output.json);
  const { publish } = await loadPublisher();
  const result = await publish(node, {
    directory: folder,
    ...(made.length > 0 && { beside: new Map(made) }),
    terms,
    ...(car && { car }),
    name: options.name,
    royaltyBps: options.royalty,
    years: options.years,
    hosts: options.host,
    replicas: wanted,
    relays: options.relays,
    signal: lifecycle.signal,
    onImport: ({ bytes }) => importing.update(bytes, undefined),
    onUpload: ({ sentBytes }, totalBytes, replica) => {
      importing.finish();
      const before = (replica - 1) * totalBytes;
      uploading.update(before + sentBytes, Math.max(wanted * totalBytes, before + sentBytes));
    },
    onRegistration: (step) => {
      uploading.finish();
      status.show(registrationText(options.name, step));
    },
  }).finally(() => {
    importing.finish();
    uploading.finish();
    status.clear();
  });
  const kept = isRoyaltyGiven ? await node.ledger.name(options.name) : undefined;
  output.value(result);
  output.line(
    `${result.name} ${result.record}: ${counted(result.files, 'file')}, ${formatBytes(result.bytes)}, content ${result.cid}\n` +
      `${formatBytes(result.readBytes)} were read, ${formatBytes(result.sentBytes)} sent.\n` +
      `A local gateway shows it at ${siteUrl(result.name, DEFAULT_GATEWAY_PORT)}`,
  );
  if (result.manifest !== undefined) output.line(`Its manifest is ${result.manifest}.`);
  if (kept !== undefined && kept.royaltyBps !== options.royalty) {
    const [has, asked] = [formatShare(kept.royaltyBps), formatShare(options.royalty)];
    const how =
      result.manifest === undefined
        ? `relaymint name update ${options.name} --royalty ${asked}`
        : `"royalty": "${asked}" in the manifest`;
    output.line(`Its royalty stays ${has}, for --royalty is for new names. To change it: ${how}`);
  }
  if (result.skipped.length > 0) output.line(leftOutText(result.skipped));
  if (result.doubts.length > 0) output.line(doubtsText(result.doubts));
  if (result.changed.length > 0) {
    output.line(`Changed while they were read, so publish again: ${listed(result.changed)}`);
    process.exitCode = 1;
  }
  if (result.hosts.length < wanted) {
    output.line(`Only ${result.hosts.length} of ${wanted} hosts took it: publish again when there are more.`);
    process.exitCode = 1;
  } else if (wanted > 1) output.line(`${wanted} hosts have it.`);
  if (result.stale.length > 0) output.line(staleText(result.name, result));
  if (result.paid !== '0') output.line(`The name cost ${priceText(amount(BigInt(result.paid)))}.`);
  if (result.daysLeft !== undefined && result.daysLeft < RENEWAL_HINT_DAYS) {
    output.line(renewalHint(result.name, result.daysLeft));
  }
}

/** `relaymint host import`: what a host keeps without a publisher, out of a CAR file or from a gateway. */
import path from 'node:path';
import type { Command } from 'commander';
import { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  defaultDataDir,
  flagsOnly,
  name as anyName,
  optional,
  place,
  required,
  size,
  words,
  type ValuesOf,
} from '../../app/config/index.ts';
import type * as ImportModule from '../../app/roles/host-import.ts';
import type { HostImported, ImportSource } from '../../app/roles/host-import.ts';
import { declarePurpose } from '../../node/transport/index.ts';
import type { ReaderOptions } from '../options.ts';
import { counted, createLog, createOutput, createProgress } from '../output.ts';
import { addSettings } from '../settings.ts';
import { addReaderOptions, openLedger, type OpenedLedger } from './transact.ts';

const IMPORT = declarePurpose('import');

const importSection = flagsOnly({
  name: required('--name <name>', anyName, 'the name to keep it for'),
  from: optional(
    '--from <url>',
    words,
    'fetch the blocks from this IPFS gateway instead, for example https://gateway.example; each is checked',
  ),
  data: optional('--data <dir>', place, "the host's data folder (default: ~/.relaymint/host)"),
  quota: optional('--quota <size>', size, 'most content to keep, as the host has it'),
  quotaPerName: optional('--quota-per-name <size>', size, 'most content to keep for one name, as the host has it'),
});

type ImportOptions = ReaderOptions & ValuesOf<typeof importSection>;

export function hostImportCommand(host: Command): void {
  const command = host
    .command('import')
    .summary('take a CAR file, or what a gateway delivers, into a host that is stopped')
    .description(
      'Has a host keep what is in a CAR file with one root, as if the owner of the name had published it there. All of it is checked before\n' +
        'anything is kept. With --from, blocks are fetched one by one from any IPFS gateway, and its word is not needed: what the name points\n' +
        'to, or the content that is named. The host is stopped meanwhile; when it runs again, its offer has the name. What the name does not\n' +
        'point to is removed within a day.',
    )
    .argument('[what]', 'the CAR file; with --from, a CID (default: what the name points to)')
    .addHelpText(
      'after',
      '\nExamples:\n  relaymint host import demo.car --name demo.web3 --data ./net/host\n' +
        '  relaymint host import --from https://gateway.example --name demo.web3 --data ./net/host\n',
    );
  // Those that the host has as well, it takes for itself, wherever they stand.
  addSettings(addReaderOptions(command), importSection).action((what: string | undefined) =>
    run(what, command.optsWithGlobals<ImportOptions>()),
  );
}

async function run(what: string | undefined, options: ImportOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const { importToHost } = await load();
  await using opened = openLedger(options, [IMPORT]);
  const fetching = createProgress('Fetching', output.json);
  const imported = await importToHost({
    dataDir: path.resolve(options.data ?? defaultDataDir('host')),
    name: options.name,
    from: await sourceOf(what, options, opened, (bytes) => fetching.update(bytes, undefined)),
    quota: options.quota,
    quotaPerName: options.quotaPerName,
    ledger: opened.ledger,
    signal: lifecycle.signal,
    log: createLog(options.logLevel, 'host'),
  }).finally(() => fetching.finish());
  output.value(imported);
  output.line(importedText(imported));
}

/** @throws RelaymintError INVALID_ARGUMENT */
async function sourceOf(
  what: string | undefined,
  { from: url }: ImportOptions,
  { policy }: OpenedLedger,
  onBytes: (bytes: number) => void,
): Promise<ImportSource> {
  if (url !== undefined) {
    const { trustlessGateway } = await import('../../sites/keeping/index.ts');
    return {
      blocks: trustlessGateway({ url, fetch: policy.fetch(IMPORT) }),
      root: what === undefined ? undefined : contentRoot(what),
      onBytes,
    };
  }
  if (what !== undefined) return { file: what };
  throw new RelaymintError('INVALID_ARGUMENT', 'What is to be imported is not said.', {
    remedy: 'Give a CAR file, or the address of a gateway with --from.',
  });
}

/** @throws RelaymintError INVALID_ARGUMENT */
function contentRoot(text: string): CID {
  try {
    return CID.parse(text);
  } catch (cause) {
    throw new RelaymintError('INVALID_ARGUMENT', `"${text}" is not a CID.`, {
      remedy: 'Give the address of content, or leave it out for what the name points to.',
      cause,
    });
  }
}

export function importedText({ name, cid, files, bytes, blocks, current }: HostImported): string {
  const what = `The host keeps ${counted(files, 'file')} for ${name}, ${formatBytes(bytes)} in ${counted(blocks, 'block')}: content ${cid}.`;
  if (current === true) return what;
  if (current === null) return `${what}\nThe ledger does not answer: whether the name points there is not known.`;
  return `${what}\n${name} does not point there: the host removes it within a day unless it does by then.`;
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function load(): Promise<typeof ImportModule> {
  return import('../../app/roles/host-import.ts');
}

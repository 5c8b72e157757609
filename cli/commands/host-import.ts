/** `relaymint host import`: a CAR file that a host keeps without a publisher. */
import path from 'node:path';
import type { Command } from 'commander';
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
  type ValuesOf,
} from '../../app/config/index.ts';
import type * as ImportModule from '../../app/roles/host-import.ts';
import type { HostImported } from '../../app/roles/host-import.ts';
import type { ReaderOptions } from '../options.ts';
import { counted, createLog, createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';
import { addReaderOptions, openLedger } from './transact.ts';

const importSection = flagsOnly({
  name: required('--name <name>', anyName, 'the name to keep it for'),
  data: optional('--data <dir>', place, "the host's data folder (default: ~/.relaymint/host)"),
  quota: optional('--quota <size>', size, 'most content to keep, as the host has it'),
  quotaPerName: optional('--quota-per-name <size>', size, 'most content to keep for one name, as the host has it'),
});

type ImportOptions = ReaderOptions & ValuesOf<typeof importSection>;

export function hostImportCommand(host: Command): void {
  const command = host
    .command('import')
    .summary('take a CAR file into a host that is stopped')
    .description(
      'Has a host keep what is in a CAR file with one root, as if the owner of the name had published it there. All of the file is checked before\n' +
        'anything is changed. The host is stopped meanwhile; when it runs again, its offer has the name. What the name does not point to is removed within a day.',
    )
    .argument('<file>', 'the CAR file')
    .addHelpText('after', '\nExample:\n  relaymint host import demo.car --name demo.web3 --data ./net/host\n');
  // Those that the host has as well, it takes for itself, wherever they stand.
  addSettings(addReaderOptions(command), importSection).action((file: string) =>
    run(file, command.optsWithGlobals<ImportOptions>()),
  );
}

async function run(file: string, options: ImportOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const { importToHost } = await load();
  await using opened = openLedger(options);
  const imported = await importToHost({
    dataDir: path.resolve(options.data ?? defaultDataDir('host')),
    name: options.name,
    file,
    quota: options.quota,
    quotaPerName: options.quotaPerName,
    ledger: opened.ledger,
    signal: lifecycle.signal,
    log: createLog(options.logLevel, 'host'),
  });
  output.value(imported);
  output.line(importedText(imported));
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

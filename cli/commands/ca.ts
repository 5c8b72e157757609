/** `relaymint ca ..`: the certificate authority of full mode, and how browsers come to trust it, and cease to. */
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { OWN_TLDS } from '../../core/name.ts';
import { systemClock } from '../../core/ports.ts';
import { replaceFileBy } from '../../platform/disk/atomic-file.ts';
// Its functions are loaded when they are wanted: no other command needs certificates.
import type { Authority } from '../../sites/full/index.ts';
import {
  authoritySection,
  flagsOnly,
  fullProxySection,
  place,
  toggle,
  type AuthorityFolder,
  type FullProxy,
  type ValuesOf,
} from '../../app/config/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createOutput } from '../output.ts';
import { canAsk, confirm } from '../prompt.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { distrustText, trustText, type Trusted } from '../trust.ts';

/** For people, in examples: where they put the certificate. */
const EXAMPLE_FILE = 'relaymint-ca.crt';
/** Everybody may read a certificate. */
const CERTIFICATE_MODE = 0o644;

const removeSection = flagsOnly({
  yes: toggle('--yes', 'do not ask for confirmation (required without a terminal)'),
});

type CaOptions = CommonOptions & AuthorityFolder;
type TellingOptions = CaOptions & FullProxy;

export function caCommand(program: Command): void {
  const ca = program
    .command('ca')
    .summary('the certificate authority by which a browser opens https://news.web3')
    .description(
      `Full mode (relaymint gateway --full) shows sites at https://news.web3. For that a browser has to trust an authority that is made on this\nmachine and can vouch for names under ${endings()} and for nothing else. Its key never leaves its file.`,
    );
  // What is told depends on where the gateway has its proxy.
  const telling = (command: Command): Command =>
    addSettings(addSettings(addCommonOptions(command), authoritySection), fullProxySection, 'gateway');
  telling(
    ca
      .command('show')
      .summary('show the authority, and how browsers trust it and forget it')
      .description(
        'Says which authority it is, how Chromium, Firefox, macOS and Windows come to trust it and to ask the proxy, and how that is undone.',
      ),
  ).action(show);
  telling(
    ca
      .command('export')
      .argument('<file>', 'where to write the certificate, as PEM', argumentOf(place))
      .summary('write the certificate to a file, for browsers; make the authority if there is none')
      .description('Writes the certificate of the authority, without its key. The authority is made if there is none.')
      .addHelpText('after', `\nExample:\n  relaymint ca export ${EXAMPLE_FILE}\n`),
  ).action(exportTo);
  addSettings(
    addSettings(
      addCommonOptions(
        ca
          .command('remove')
          .summary('delete the authority and its key, and say how browsers forget it')
          .description(
            'Deletes the key, so that nobody can sign with it any more, also when the file is damaged. Browsers go on trusting it until they are\ntold otherwise, which this command says how to do.',
          ),
      ),
      authoritySection,
    ),
    removeSection,
  ).action(remove);
}

async function show(options: TellingOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const { readAuthority } = await import('../../sites/full/index.ts');
  const authority = await readAuthority({ directory: options.ca, clock: systemClock });
  if (authority === undefined) {
    throw new RelaymintError('FILE_NOT_FOUND', `There is no certificate authority in ${options.ca}.`, {
      remedy: `"relaymint ca export ${EXAMPLE_FILE}" makes one.`,
    });
  }
  const proxy = await proxyOf(options);
  output.value({ ...valueOf(authority), ...proxy });
  output.line(
    [
      `${authority.title}, in ${authority.file}`,
      `SHA-256      ${authority.fingerprint}`,
      `good until   ${new Date(authority.until).toISOString().slice(0, 10)}`,
      `vouches for  names under ${endings()}, and nothing else`,
      '',
      trustText({ title: authority.title, file: EXAMPLE_FILE, ...proxy }),
    ].join('\n'),
  );
}

async function exportTo(file: string, options: TellingOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const { openAuthority } = await import('../../sites/full/index.ts');
  const authority = await openAuthority({ directory: options.ca, clock: systemClock });
  await replaceFileBy(file, [Buffer.from(authority.certificate)], CERTIFICATE_MODE);
  const proxy = await proxyOf(options);
  output.value({ ...valueOf(authority), ...proxy, certificate: file });
  output.line(`${authority.title} is in ${file}.\n\n${trustText({ title: authority.title, file, ...proxy })}`);
}

async function remove(options: CaOptions & ValuesOf<typeof removeSection>): Promise<void> {
  const output = createOutput(options.json === true);
  await assertMeant(options.ca, options.yes === true);
  // Its title, while there is one to read: browsers know it by that.
  const title = await titleOf(options.ca);
  const { removeAuthority } = await import('../../sites/full/index.ts');
  const removed = await removeAuthority(options.ca);
  output.value({ event: removed ? 'removed' : 'absent', directory: options.ca, title });
  if (!removed) {
    output.line(`There is no certificate authority in ${options.ca}.`);
    return;
  }
  output.line(
    `The key is gone from ${options.ca}; a gateway that runs with --full has it until it is stopped. Browsers that trust its certificate are to be told:\n\n${distrustText(title ?? 'Relaymint names on this machine ..')}`,
  );
}

/** undefined if it cannot be read: then too it can be removed. */
async function titleOf(directory: string): Promise<string | undefined> {
  const { readAuthority } = await import('../../sites/full/index.ts');
  return await readAuthority({ directory, clock: systemClock }).then(
    (authority) => authority?.title,
    () => undefined,
  );
}

/** @throws RelaymintError INVALID_ARGUMENT (nobody to ask), ABORTED. */
async function assertMeant(directory: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!canAsk()) {
    throw new RelaymintError('INVALID_ARGUMENT', 'A key is deleted, and there is no terminal to confirm it on.', {
      remedy: 'Add --yes to do it without confirmation.',
    });
  }
  if (await confirm(`Delete the certificate authority in ${directory}?`)) return;
  throw new RelaymintError('ABORTED', 'The certificate authority stays as it is.');
}

async function proxyOf({ full: port, address }: FullProxy): Promise<Pick<Trusted, 'pac' | 'pacData'>> {
  const { pacAsUrl, pacUrlAt } = await import('../../sites/full/index.ts');
  const at = { port, address };
  return { pac: pacUrlAt(at), pacData: pacAsUrl(at) };
}

function valueOf({ file, title, fingerprint, until }: Authority): object {
  return { file, title, fingerprint, until, endings: OWN_TLDS };
}

function endings(): string {
  const [last, ...before] = OWN_TLDS.map((tld) => `.${tld}`).toReversed();
  return `${before.toReversed().join(', ')} and ${last}`;
}

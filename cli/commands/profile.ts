/** `relaymint profile`: who somebody is under a .sso name. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { parseName } from '../../core/name.ts';
import { amount } from '../../core/units.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { requireDirectory } from '../../app/market/index.ts';
import {
  flagsOnly,
  grammar,
  list,
  optional,
  parseText,
  place,
  name as anyName,
  required,
  someWords,
  toggle,
  wallet,
  type Grammar,
  type ValuesOf,
} from '../../app/config/index.ts';
import { openNode, signerOf, type RunningNode } from '../../app/node/index.ts';
import type * as OwnModule from '../../app/roles/own-profile.ts';
import type * as ReadModule from '../../app/roles/profile.ts';
import { baseSection, hostsWanted, settingsOf, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type { LedgerReader } from '../../ledger/contract.ts';
import { readKeyFile } from '../../ledger/solana/index.ts';
import { readManifestFile } from '../../sites/manifest/index.ts';
import {
  consentMessage,
  consentText,
  parseConsent,
  profileJson,
  signConsent,
  type Profile,
  type WalletConsent,
} from '../../sites/profile/index.ts';
import { addCommonOptions, walletFile, type CommonOptions, type WalletOptions } from '../options.ts';
import { createLog, createOutput, createProgress, createStatus, type Output } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { recoverCommand } from './name-recovery.ts';
import { priceText, recoveryValue, recoveryWarning, registrationText, staleText } from './name-text.ts';
import { parseLink, parseMessagingKey, profileLines } from './profile-text.ts';
import { assertApart } from './site-publish.ts';
import { openLedger, walletSubcommand } from './transact.ts';

const BOOTSTRAP = '--bootstrap NODEID@/ip4/203.0.113.7/tcp/4001';

/** Names of which there are profiles. */
const profileName: Grammar<string> = grammar((text) => {
  const { name, tld } = parseName(text);
  if (tld === 'sso') return parseText({ grammar: anyName }, name);
  throw new RangeError('A profile has a name that ends in .sso, such as ann.sso.');
});
const imageName: Grammar<string> = grammar((text) => {
  const { name, tld } = parseName(text);
  if (tld === 'image') return name;
  throw new RangeError('It is the name of a picture, which ends in .image.');
});
/** What can be taken away again. */
const CLEARED = ['about', 'avatar', 'links', 'payout', 'messaging-key'] as const;
type Cleared = (typeof CLEARED)[number];
const cleared: Grammar<Cleared> = grammar((text) => {
  const found = CLEARED.find((field) => field === text);
  if (found !== undefined) return found;
  throw new RangeError(`Write one of ${CLEARED.join(', ')}.`);
});

const wordsSection = flagsOnly({
  about: optional('--about <text>', someWords, 'some lines about you, at most 1000 characters'),
  avatar: optional('--avatar <name>', imageName, 'a picture of you, an .image name'),
  link: list(
    '--link <label=to>',
    grammar(parseLink),
    'where else you are: Papers=https://example.org/ or Wall=forum.web3 (repeatable, at most 8; all of them together)',
  ),
  payout: optional('--payout <address>', wallet, 'the wallet that is to be paid (default: the owner of the name)'),
  messagingKey: optional(
    '--messaging-key <hex>',
    grammar(parseMessagingKey),
    'your X25519 public key, to which others encrypt messages',
  ),
});
const pageSection = flagsOnly({
  page: optional('--page <dir>', place, 'show this folder of yours, instead of a page that is made of the profile'),
  replace: toggle('--replace', 'put the page that is made of the profile in the place of what the name shows now', {
    conflicts: ['page'],
  }),
  manifest: optional(
    '--manifest <file>',
    place,
    'JSON that says what others may do with the page (default: what the name said before)',
  ),
});
const createSection = flagsOnly({
  displayName: required('--display-name <text>', someWords, 'what you are called'),
  ...wordsSection,
  ...pageSection,
});
const editSection = flagsOnly({
  displayName: optional('--display-name <text>', someWords, 'what you are called'),
  ...wordsSection,
  clear: list('--clear <field>', cleared, `say it no more: ${CLEARED.join(', ')} (repeatable)`),
  unbind: list('--unbind <address>', wallet, 'a wallet that is yours no more (repeatable)'),
  ...pageSection,
});
const { host, replicas, relays, royalty, years } = siteRole.settings;
const deliverySection = { host, replicas, relays };
const registeringSection = { royalty, years, ...deliverySection };
const readingSection = { relays };

type NodeOptions = CommonOptions & BaseValues;
type DeliveryOptions = NodeOptions & ValuesOf<typeof deliverySection> & ValuesOf<typeof pageSection>;
type CreateOptions = DeliveryOptions & ValuesOf<typeof createSection> & ValuesOf<typeof registeringSection>;
type EditOptions = DeliveryOptions & ValuesOf<typeof editSection>;
type ShowOptions = NodeOptions & ValuesOf<typeof readingSection>;

export function profileCommand(program: Command): void {
  const profile = program
    .command('profile')
    .summary('make, change and show profiles')
    .description(
      'A profile is a .sso name that says who somebody is: what you are called, where else you are, and which wallets are yours. It is signed by\n' +
        'the wallet of the name and lies in its content, so that hosts keep it and everybody can read and check it. All of it is public. Who gets\n' +
        'the name after you begins anew.',
    );
  const base = baseSection(siteRole);
  const below = (what: string, example: string): Command =>
    addCommonOptions(profile.command(what))
      .argument('<name>', 'the profile, for example ann.sso', argumentOf(profileName))
      .addHelpText('after', `\nExample:\n  relaymint profile ${what} ann.sso ${example}${BOOTSTRAP}\n`);
  const publishing = (command: Command): Command =>
    addSettings(addSettings(command, deliverySection, siteRole.name), base);

  addSettings(
    addSettings(
      addSettings(
        below('create', '--display-name "Ann Lee" --link Wall=forum.web3 ')
          .summary('make a profile')
          .description(
            'Registers the name if nobody has it, signs the profile, and publishes it with a page. Run it again after an interruption to continue.',
          ),
        createSection,
      ),
      registeringSection,
      siteRole.name,
    ),
    base,
  ).action(create);

  publishing(
    addSettings(
      below('edit', '--about "At sea until May." --clear avatar ')
        .summary('change a profile')
        .description(
          'Changes what you give and leaves the rest; with nothing given, the profile is signed anew, as it has to be after "relaymint site rollback".',
        ),
      editSection,
    ),
  ).action(edit);

  addSettings(
    addSettings(
      below('show', '')
        .summary("show anybody's profile")
        .description(
          'Asks the hosts that keep the name, which are paid, and checks the profile against what the ledger says of the name now.',
        ),
      readingSection,
      siteRole.name,
    ),
    base,
  ).action(show);

  publishing(
    addSettings(
      below('bind', 'CONSENT ')
        .summary('add a wallet that is yours too')
        .description(
          'Takes what "relaymint profile consent" printed on the machine of the other wallet. Only the owner of the name can bind wallets.',
        )
        .argument('<consent>', 'what the other wallet said', argumentOf(grammar(parseConsent))),
      pageSection,
    ),
  ).action(bind);

  recoverCommand(profile, profileName);

  walletSubcommand(profile, 'consent', 'say with a wallet that it belongs to a profile')
    .description(
      'Signs, with --wallet, that the wallet and the profile belong to one person, and prints that. It counts for this profile only, as long as\n' +
        'its owner has it, once the owner takes it with "relaymint profile bind".',
    )
    .argument('<name>', 'the profile, for example ann.sso', argumentOf(profileName))
    .addHelpText('after', '\nExample:\n  relaymint profile consent ann.sso --wallet ~/phone.json\n')
    .action(consent);
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { displayName, about, avatar, link: links, payout, messagingKey } = options;
  const words = { displayName, about, avatar, links, payout, messagingKey };
  await publish(name, { kind: 'create', words }, options, options);
}

async function edit(name: string, options: EditOptions): Promise<void> {
  const { displayName, clear, unbind, link } = options;
  const twice = clear.find((field) => isSaid(field, options));
  if (twice !== undefined) {
    throw new RelaymintError(
      'INVALID_ARGUMENT',
      `--clear ${twice} and --${twice === 'links' ? 'link' : twice} are both given.`,
      {
        remedy: 'Leave one of them out.',
      },
    );
  }
  const said = <T>(field: Cleared, value: T): T | null => (clear.includes(field) ? null : value);
  const words = {
    displayName,
    about: said('about', options.about),
    avatar: said('avatar', options.avatar),
    links: clear.includes('links') ? [] : link.length === 0 ? undefined : link,
    payout: said('payout', options.payout),
    messagingKey: said('messaging-key', options.messagingKey),
    unbind,
  };
  await publish(name, { kind: 'edit', words }, options);
}

function isSaid(field: Cleared, options: EditOptions): boolean {
  if (field === 'links') return options.link.length > 0;
  return options[field === 'messaging-key' ? 'messagingKey' : field] !== undefined;
}

async function bind(name: string, given: WalletConsent, options: DeliveryOptions): Promise<void> {
  await publish(name, { kind: 'bind', consent: given }, options);
}

async function publish(
  name: string,
  step: OwnModule.ProfileStep,
  options: DeliveryOptions,
  anew?: ValuesOf<typeof registeringSection>,
): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const settings = nodeSettings(options);
  const page = options.page === undefined ? undefined : await requireDirectory(options.page);
  if (page !== undefined) await assertApart(page, settings.dataDir);
  const terms = options.manifest === undefined ? undefined : await readManifestFile(options.manifest, name);
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await opened(settings, lifecycle.signal));
  const { publishProfile } = await loadOwn();
  const uploading = createProgress('Sending  ', output.json);
  const status = createStatus(output.json);
  const wanted = hostsWanted(options);
  const { royalty: royaltyBps, years: term } = anew ?? { royalty: 0, years: 1 };
  const result = await publishProfile(node, {
    name,
    step,
    page,
    replace: options.replace === true,
    terms,
    royaltyBps,
    years: term,
    hosts: options.host,
    replicas: wanted,
    relays: options.relays,
    signal: lifecycle.signal,
    onImport: () => {},
    onUpload: ({ sentBytes }, totalBytes) => uploading.update(sentBytes, Math.max(totalBytes, sentBytes)),
    onRegistration: (at) => status.show(registrationText(name, at)),
  }).finally(() => {
    uploading.finish();
    status.clear();
  });
  output.value(result);
  const done = { registered: 'registered, with its profile', updated: 'updated', unchanged: 'unchanged' }[
    result.record
  ];
  output.line(`${name} ${done}:\n\n${profileLines(result.profile)}`);
  if (result.hosts.length < wanted) {
    output.line(`Only ${result.hosts.length} of ${wanted} hosts took it: do it again when there are more.`);
    process.exitCode = 1;
  }
  if (result.stale.length > 0) output.line(staleText(name, result));
  if (result.paid !== '0') output.line(`The name cost ${priceText(amount(BigInt(result.paid)))}.`);
}

async function show(name: string, options: ShowOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await opened(nodeSettings(options), lifecycle.signal));
  const { readProfile } = await loadReader();
  await showProfile(name, {
    ledger: node.ledger,
    read: async () => (await readProfile(node, { name, relays: options.relays, signal: lifecycle.signal })).profile,
    output,
    warn: (text) => process.stderr.write(text),
  });
}

export interface Showing {
  readonly ledger: Pick<LedgerReader, 'name' | 'now'>;
  readonly read: () => Promise<Profile>;
  readonly output: Output;
  readonly warn: (text: string) => void;
}

/** That it is being recovered is said first: an owner has to see it also where nobody has the profile. */
export async function showProfile(name: string, { ledger, read, output, warn }: Showing): Promise<void> {
  const record = await ledger.name(name);
  const warning = record === undefined ? '' : recoveryWarning(record, await ledger.now());
  if (warning !== '') warn(warning);
  const found = profileJson(await read());
  output.value({ ...found, ...(record?.recovery && { recovery: recoveryValue(record.recovery) }) });
  output.line(profileLines(found));
}

async function consent(name: string, options: WalletOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const key = await readKeyFile(walletFile(options));
  await using opening = openLedger(options);
  const { ledger } = opening;
  const record = await ledger.name(name);
  if (record === undefined || record.status === 'expired') {
    throw new RelaymintError('NAME_UNKNOWN', `Nobody has ${name}.`, { remedy: 'Check the spelling.' });
  }
  const { owner, registeredAt: tenure } = record;
  const signer = signerOf(key);
  try {
    const said = await signConsent({ name, tenure, owner, created: await ledger.now() }, signer);
    const text = consentText(said);
    const created = Number(said.created);
    output.value({ name, owner, wallet: said.wallet, tenure: Number(tenure), created, consent: text });
    output.line(`Signed was:\n\n${Buffer.from(consentMessage(said)).toString()}`);
    output.line(`If ${owner} is your wallet too, say there:\n\n  relaymint profile bind ${name} ${text}`);
  } finally {
    signer.close();
  }
}

type NodeSettings = ReturnType<typeof nodeSettings>;

function nodeSettings(options: NodeOptions): ReturnType<typeof settingsOf> {
  return settingsOf({ ...siteRole, terms: () => ({}) }, options, (label) => createLog(options.logLevel, label));
}

async function opened(settings: NodeSettings, signal: AbortSignal): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openNode(settings, signal));
  await node.announce(signal);
  stack.move();
  return node;
}

/** Loaded when they are needed. (The compiler leaves an import() beside a `using` as it is.) */
function loadOwn(): Promise<typeof OwnModule> {
  return import('../../app/roles/own-profile.ts');
}

function loadReader(): Promise<typeof ReadModule> {
  return import('../../app/roles/profile.ts');
}

/** `relaymint sso ..`: signing in with a wallet, at an issuer of one's own, and from the command line. */
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import { systemClock } from '../../core/ports.ts';
import {
  DEFAULT_GATEWAY_PORT,
  DEFAULT_ISSUER_PORT,
  defaultDataDir,
  flagsOnly,
  ip,
  name as anyName,
  optional,
  parseText,
  place,
  port,
  someWords,
  standard,
  storeUrl,
  toggle,
  webOrigin,
  type ValuesOf,
} from '../../app/config/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { signerOf } from '../../app/node/index.ts';
import type * as SsoModule from '../../app/sso/index.ts';
import { readKeyFile } from '../../ledger/solana/index.ts';
import type { PublisherKey } from '../../sites/blocks/index.ts';
import { answerByHand, readChallenge } from '../../sites/siws/index.ts';
import { declarePurpose, fetchFromStrangers, fetchFromThisMachine } from '../../node/transport/index.ts';
import {
  addCommonOptions,
  addWalletOptions,
  walletFile,
  type CommonOptions,
  type ReaderOptions,
  type WalletOptions,
} from '../options.ts';
import { createLog, createOutput, printableLines, withoutLine } from '../output.ts';
import { canAsk, confirm } from '../prompt.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { addReaderOptions, openLedger } from './transact.ts';

const NAMES = declarePurpose('sign-in');
const STORE = declarePurpose('sign-in-store');
const CLIENTS = declarePurpose('sign-in-clients');

const serveSection = {
  data: standard(
    '--data <dir>',
    place,
    "folder of the issuer's keys and records (created if missing)",
    defaultDataDir('sso'),
  ),
  port: standard(
    '--port <n>',
    port,
    'where browsers and sites connect; 0 for any free port',
    String(DEFAULT_ISSUER_PORT),
  ),
  address: standard('--address <ip>', ip, 'address to listen on', '127.0.0.1'),
  issuer: optional(
    '--issuer <url>',
    webOrigin,
    'where others find it, for sites elsewhere: https://id.example.org, by a proxy that speaks TLS; http://localhost:PORT if not given, for sites on this machine',
  ),
  gateway: optional(
    '--gateway <url>',
    webOrigin,
    `a gateway through which profiles and manifests of .web3 sites are read, such as http://localhost:${DEFAULT_GATEWAY_PORT}; each is checked by what the ledger says`,
  ),
  store: optional(
    '--store <url>',
    someWords,
    'a server that keeps the records, for several instances of one issuer: redis://, rediss:// or postgres://USER:PASSWORD@HOST/DATABASE; LevelDB in the data folder if not given. Others on the machine see options: RELAYMINT_SSO_STORE hides the password',
  ),
};
type ServeOptions = ReaderOptions & ValuesOf<typeof serveSection>;

const ownWalletSection = {
  wallet: optional('--wallet <file>', place, 'Solana key file (default: ~/.relaymint/wallet/wallet.json)'),
};
type OwnWalletOptions = ServeOptions & ValuesOf<typeof ownWalletSection>;

const signSection = flagsOnly({
  as: optional('--as <name>', anyName, 'sign in as this profile, a .sso name that is yours'),
  yes: toggle('--yes', 'do not ask for confirmation (required without a terminal)'),
});
type SignOptions = CommonOptions & Pick<WalletOptions, 'wallet' | 'data'> & ValuesOf<typeof signSection>;

export function ssoCommand(program: Command): void {
  const sso = program
    .command('sso')
    .summary('sign in with a wallet: run an issuer, or sign for one')
    .description(
      'An issuer is an OpenID Provider whose login is a wallet: any site that knows OpenID Connect can let people sign in with\nthe wallets and .sso profiles they have. docs/sign-in.md says how sites use it.',
    );
  const serve = sso
    .command('serve')
    .summary('run an issuer')
    .description(
      'Serves OpenID Connect at http://localhost:PORT for sites on this machine, or at --issuer for all. Each site gets a number\nof its own for each person, and what that person allows.',
    );
  addSettings(addReaderOptions(serve), serveSection, 'sso')
    .addHelpText(
      'after',
      `\nExamples:\n  relaymint sso serve --gateway http://localhost:${DEFAULT_GATEWAY_PORT}\n  relaymint sso serve --issuer https://id.example.org --gateway https://example.org\n`,
    )
    .action((options: ServeOptions) => run(options, undefined));
  const own = sso
    .command('wallet')
    .summary('run an issuer with a wallet of this machine, for browsers without one')
    .description(
      'The same as serve, for this machine only, and prints a link. The browser that opens it may sign in with the wallet of\n--wallet, by a button of the sign-in page. Show it to nobody: who has it signs in, and\nposts, as you while this runs, and can do nothing else. The next start has another.',
    );
  addSettings(addSettings(addReaderOptions(own), serveSection, 'sso'), ownWalletSection)
    .addHelpText('after', `\nExample:\n  relaymint sso wallet --gateway http://localhost:${DEFAULT_GATEWAY_PORT}\n`)
    .action(runWithWallet);
  const sign = sso
    .command('sign')
    .argument('<code>', 'what the sign-in page shows behind "relaymint sso sign"', argumentOf(someWords))
    .summary('sign in by a wallet on this machine')
    .description(
      'Shows who asks to sign in and where, and signs with the wallet if you agree. What it prints is pasted into the page. It can\nsign nothing but a sign-in: no payment, and no other text.',
    );
  addSettings(addWalletOptions(addCommonOptions(sign)), signSection)
    .addHelpText('after', '\nExample:\n  relaymint sso sign eyJkb21haW4i... --as alice.sso\n')
    .action(signFor);
}

async function runWithWallet(options: OwnWalletOptions): Promise<void> {
  const key = await readKeyFile(walletFile({ wallet: options.wallet, data: undefined }));
  using wallet = closing(signerOf(key));
  await run(options, wallet);
}

async function run(options: ServeOptions, wallet: PublisherKey | undefined): Promise<void> {
  const output = createOutput(options.json === true);
  const log = createLog(options.logLevel, 'sso');
  using lifecycle = watchLifecycle();
  const { startIssuer } = await load();
  await using opened = openLedger(options, [NAMES, STORE, CLIENTS]);
  const outside = { policy: opened.policy, purpose: CLIENTS };
  await using issuer = await startIssuer({
    dataDir: path.resolve(options.data),
    port: options.port,
    address: options.address,
    issuer: options.issuer,
    gateway: options.gateway,
    store: storeOf(options.store),
    wallet,
    ledger: opened.ledger,
    fetch: opened.policy.fetch(NAMES),
    connect: (target, how) => opened.policy.connect(STORE, target, how),
    outside: { strangers: fetchFromStrangers(outside), thisMachine: fetchFromThisMachine(outside) },
    clock: systemClock,
    log,
  });
  const { walletLink } = issuer;
  output.value({ event: 'ready', issuer: issuer.issuer, port: issuer.port, walletLink, ready: true });
  output.line(
    `The issuer is ${issuer.issuer}\nSites find everything at ${issuer.issuer}/.well-known/openid-configuration\nPeople see and end what they allowed at ${issuer.issuer}/account\n${walletLink === undefined ? '' : `To sign in with the wallet of this machine, open once in your browser: ${walletLink}\n`}${options.gateway === undefined ? 'Without --gateway, neither .web3 sites nor profiles are known here beyond their names.\n' : ''}Ctrl-C stops it.`,
  );
  await lifecycle.ended;
}

/** What is wrong with it is said without saying it: a password may be in it. @throws RelaymintError INVALID_CONFIG. */
function storeOf(text: string | undefined): URL | undefined {
  if (text === undefined) return undefined;
  try {
    return parseText({ grammar: storeUrl }, text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RelaymintError('INVALID_CONFIG', '--store is not the address of a store.', { remedy: error.message });
  }
}

async function signFor(code: string, options: SignOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const challenge = readChallenge(code, systemClock.now());
  const key = await readKeyFile(walletFile(options));
  using signer = closing(signerOf(key));
  const { address } = signer;
  if (options.yes !== true) {
    if (!canAsk()) {
      throw new RelaymintError('INVALID_ARGUMENT', 'There is nobody to ask whether to sign.', {
        remedy: 'Look at what is asked, and give --yes.',
      });
    }
    process.stderr.write(
      `${printableLines(challenge.statement)}\n  at      ${printableLines(challenge.uri)}\n  wallet  ${address}\n${options.as === undefined ? '' : `  as      ${options.as}\n`}`,
    );
    if (!(await confirm('Did you open that page yourself, and sign in there?'))) {
      throw new RelaymintError('ABORTED', 'Nothing was signed.');
    }
  }
  const answer = await answerByHand(challenge, signer, options.as);
  output.value({ address, answer });
  output.line(answer);
}

function closing<T extends { close(): void }>(one: T): T & Disposable {
  return Object.assign(one, { [Symbol.dispose]: () => one.close() });
}

/** What oidc-provider prints on Node 20, on which it works all the same: test/sites/sso. */
export const UNKNOWN_RUNTIME = 'oidc-provider WARNING: Unsupported runtime';

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function load(): Promise<typeof SsoModule> {
  return withoutLine(UNKNOWN_RUNTIME, () => import('../../app/sso/index.ts'));
}

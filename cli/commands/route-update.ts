/** `relaymint route update`: says what is now, once or line by line. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { onAbort } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { MAX_ENTRY_CONTENT_BYTES } from '../../core/limits.ts';
import { printable } from '../../core/printable.ts';
import { diskError } from '../../platform/disk/disk-error.ts';
import { watchLifecycle, type Lifecycle } from '../../app/lifecycle.ts';
import {
  durationBetween,
  flagsOnly,
  list,
  name as anyName,
  node as nodeGrammar,
  optional,
  standard,
  toggle,
  words,
  type ValuesOf,
} from '../../app/config/index.ts';
import { baseSection, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type * as AccountsModule from '../../app/roles/accounts.ts';
import type * as AuthoringModule from '../../app/roles/authoring.ts';
import type { Author } from '../../app/roles/authoring.ts';
import type * as LiveModule from '../../app/roles/live-updates.ts';
import type { LineNews } from '../../app/roles/live-updates.ts';
import type * as WatchedModule from '../../app/roles/watched-file.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, createStatus, type Output } from '../output.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';

const { relays } = siteRole.settings;
const updateSection = flagsOnly({
  type: optional(
    '--type <media type>',
    words,
    'what it is (default: by the ending of the file; application/geo+json for standard input)',
  ),
  watch: toggle('--watch', 'say it again whenever the file changes, until Ctrl-C'),
  life: standard('--life <duration>', durationBetween('1s', '7d'), 'how long it counts if nothing newer comes', '10m'),
  host: list('--host <node>', nodeGrammar, 'bring it to this host (repeatable; default: those that keep the name)'),
  relays,
});

type UpdateOptions = CommonOptions & BaseValues & ValuesOf<typeof updateSection>;

const STANDARD_INPUT = '-';
const TYPES: Readonly<Record<string, string>> = {
  '.geojson': 'application/geo+json',
  '.json': 'application/json',
  '.txt': 'text/plain',
  '.csv': 'text/csv',
};

export function routeUpdateCommand(route: Command): void {
  const command = route
    .command('update')
    .summary('say what is now in a name')
    .description(
      'Signs an update with the wallet that has the name and brings it to the hosts that keep it, which tell it to all who follow. It takes the\n' +
        'place of the one before. With --watch, that happens each time the file changes, as what tracks a ship writes it. With "-", each line of standard input is one update, of JSON, until the input ends or Ctrl-C: when they come\n' +
        'faster than hosts take them, only the newest one that waits is brought. A line that is none is said and skipped; the exit code is then 1.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .argument(
      '[file]',
      `what it says, up to ${MAX_ENTRY_CONTENT_BYTES} bytes; "-": lines of standard input (default: "-")`,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  relaymint route update ferry.route now.geojson --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n' +
        '  relaymint route update ferry.route now.geojson --watch --life 30s --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n' +
        '  positions | relaymint route update ferry.route - --life 30s --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addCommonOptions(command), updateSection);
  addSettings(command, baseSection(siteRole)).action(run);
}

async function run(name: string, given: string | undefined, options: UpdateOptions): Promise<void> {
  const file = given ?? STANDARD_INPUT;
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  const mediaType = typeOf(file, options.type);
  const watches = options.watch === true;
  if (watches) await requireWatchable(file, mediaType);
  // Before anything is opened that pays.
  const content = file === STANDARD_INPUT || watches ? undefined : await contentOf(file);
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { authoring, accounts } = await load();
  const { host: hosts, relays: between, life } = options;
  const where = { name, author: name, hosts, relays: between, signal: lifecycle.signal };
  const author = stack.use(await authoring.Author.open(node, where));
  if (content === undefined) {
    const watched = watches ? file : undefined;
    return await sayInput(author, { name, watched, mediaType, life, output, lifecycle });
  }
  const before = output.json ? await accounts.accountsBefore(node) : undefined;
  const said = await author.say({ kind: 'update', topic: '', mediaType, content, lifeMillis: life });
  output.line(
    `${name} says update ${said.sequence}: ${counted(said.hosts.length, 'host')} ${said.hosts.length === 1 ? 'keeps' : 'keep'} it.`,
  );
  const paid = before && (await accounts.accountsOf(node, before));
  output.value({ event: 'said', name, kind: 'update', author: name, ...said, ...paid });
}

interface InputOptions {
  readonly name: string;
  /** The file that is said whenever it changes; undefined: lines of standard input. */
  readonly watched: string | undefined;
  readonly mediaType: string;
  readonly life: number;
  readonly output: Output;
  readonly lifecycle: Lifecycle;
}

async function sayInput(author: Author, options: InputOptions): Promise<void> {
  const { name, watched, mediaType, life, output, lifecycle } = options;
  const { live, watching } = await load();
  const status = createStatus(output.json);
  const onNews = (news: LineNews): void => {
    output.value(news);
    if (news.event !== 'update') {
      status.clear();
      const said = watched === undefined ? `line ${news.line}` : `what ${printable(watched)} says`;
      process.stderr.write(`relaymint: ${said} ${news.event === 'skipped' ? 'is skipped' : 'waits'}: ${news.why}\n`);
    } else if (process.stderr.isTTY) status.show(`update ${news.sequence}, ${counted(news.hosts.length, 'host')}`);
    else output.line(`${news.sequence} ${counted(news.hosts.length, 'host')}`);
  };
  // An input that goes on must not keep a command from ending that was told to.
  using _input = onAbort(lifecycle.signal, () => {
    if (watched === undefined) process.stdin.destroy();
  });
  const input = watched === undefined ? process.stdin : watching.watchedLines(watched, lifecycle.signal);
  output.value({ event: 'ready', name });
  const done = await live
    .sayLines(author, input, { mediaType, lifeMillis: life, signal: lifecycle.signal, onNews })
    .finally(() => status.clear());
  output.value({ event: 'ended', name, ...done });
  output.line(
    `${name}: ${counted(done.updates, 'update')} said, ${done.replaced} gave way to newer ones, ${done.skipped} skipped.`,
  );
  if (done.skipped > 0) process.exitCode = 1;
}

/** Loaded when they are needed. (The compiler leaves an import() beside a `using` as it is.) */
async function load(): Promise<Loaded> {
  const [authoring, accounts, live, watching] = await Promise.all([
    import('../../app/roles/authoring.ts'),
    import('../../app/roles/accounts.ts'),
    import('../../app/roles/live-updates.ts'),
    import('../../app/roles/watched-file.ts'),
  ]);
  return { authoring, accounts, live, watching };
}

interface Loaded {
  readonly authoring: typeof AuthoringModule;
  readonly accounts: typeof AccountsModule;
  readonly live: typeof LiveModule;
  readonly watching: typeof WatchedModule;
}

/** @throws RelaymintError INVALID_ARGUMENT, STORAGE_FAILED. */
async function requireWatchable(file: string, mediaType: string): Promise<void> {
  if (file === STANDARD_INPUT) {
    throw new RelaymintError('INVALID_ARGUMENT', 'Standard input is no file that could be watched.', {
      remedy: 'Name a file, or leave --watch out: each line that comes is an update.',
    });
  }
  if (!/^application\/(?:[^;]*\+)?json$/.test(mediaType)) {
    throw new RelaymintError('INVALID_ARGUMENT', `What is watched is JSON, and not ${mediaType}.`, {
      remedy: 'Say it once, without --watch; or give --type application/json if that is what it is.',
    });
  }
  const { watching } = await load();
  if (await watching.isThere(file)) return;
  process.stderr.write(`relaymint: ${printable(file)} is not there; it is waited for\n`);
}

/** @throws RelaymintError INVALID_ARGUMENT. */
function typeOf(file: string, given: string | undefined): string {
  const found = given ?? (file === STANDARD_INPUT ? '.geojson' : path.extname(file).toLowerCase());
  const type = given ?? TYPES[found];
  if (type !== undefined) return type;
  throw new RelaymintError('INVALID_ARGUMENT', `What ${file} is does not follow from its name.`, {
    remedy: 'Say it, by --type application/geo+json for example.',
  });
}

/** @throws RelaymintError FILE_NOT_FOUND, LIMIT_EXCEEDED, INVALID_ARGUMENT. */
async function contentOf(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > MAX_ENTRY_CONTENT_BYTES || size === 0) {
      throw new RelaymintError(
        'LIMIT_EXCEEDED',
        `${file} has ${size} bytes; an update says 1 to ${MAX_ENTRY_CONTENT_BYTES}.`,
        {
          remedy: 'Say less: updates carry what changes, and the site what stays.',
        },
      );
    }
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof RelaymintError) throw cause;
    throw diskError(cause, `Reading ${file}`);
  }
}

/** `relaymint post`: threads below names, said and read over paid circuits. */
import { createReadStream } from 'node:fs';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_ENTRY_CONTENT_BYTES, MAX_RELAYS, MAX_THREAD_PROFILES } from '../../core/limits.ts';
import { printable } from '../../core/printable.ts';
import { readUpTo } from '../../platform/disk/bounded-read.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import {
  count,
  flagsOnly,
  grammar,
  list,
  name as anyName,
  node as nodeGrammar,
  optional,
  parseText,
  place,
  required,
  standard,
  toggle,
  type Grammar,
  type ValuesOf,
} from '../../app/config/index.ts';
import type * as AccountsModule from '../../app/roles/accounts.ts';
import type * as AuthoringModule from '../../app/roles/authoring.ts';
import type * as ThreadModule from '../../app/roles/thread.ts';
import { baseSection, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import { isTopic, type EntryId, type PostJson } from '../../sites/feed/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { counted, createOutput, printableLines } from '../output.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { timeText } from './site-history.ts';

const BOOTSTRAP = '--bootstrap NODEID@/ip4/203.0.113.7/tcp/4001';

/** The page that a thread is about. */
const thread: Grammar<string> = grammar((text) => {
  if (text.startsWith('/') && isTopic(text)) return text;
  throw new RangeError('Write the path of the page that it is about: /news/today.');
});
const number: Grammar<number> = count(1, Number.MAX_SAFE_INTEGER);
/** `alice.sso/1790000000000`. */
const post: Grammar<EntryId> = grammar((text) => {
  const [author = '', sequence = '', ...rest] = text.split('/');
  if (rest.length > 0 || sequence === '') throw new RangeError('Write author and number of a post: alice.sso/17.');
  return {
    author: parseText({ grammar: anyName }, author),
    sequence: parseText({ grammar: number }, sequence),
  };
});

const relays = standard(
  '--relays <n>',
  count(0, MAX_RELAYS),
  `paid relays between you and a host, 0 to ${MAX_RELAYS}`,
  '0',
);
const readingSection = flagsOnly({
  relays,
  profiles: toggle(
    '--profiles',
    `also read who the authors are, of the first ${MAX_THREAD_PROFILES}: what they are called, and whom to pay`,
  ),
});
const moderatingSection = flagsOnly({
  host: list('--host <node>', nodeGrammar, 'only this host (repeatable; default: those that say they keep the name)'),
  relays,
});
const authorSection = flagsOnly({
  as: required('--as <name>', anyName, 'your profile, a .sso name of this wallet; or the name itself, if it is yours'),
  ...moderatingSection,
});
const wordsSection = flagsOnly({
  ...authorSection,
  file: optional('--file <file>', place, 'what it says is in this file'),
  markdown: toggle('--markdown', 'it is Markdown, and not plain text'),
});
const writingSection = flagsOnly({
  ...wordsSection,
  answer: optional('--answer <post>', post, 'the post that it answers: alice.sso/17'),
});

type NodeOptions = CommonOptions & BaseValues;
type ReadingOptions = NodeOptions & ValuesOf<typeof readingSection>;
type ModeratingOptions = NodeOptions & ValuesOf<typeof moderatingSection>;
type AuthorOptions = NodeOptions & ValuesOf<typeof authorSection>;
type WordsOptions = NodeOptions & ValuesOf<typeof wordsSection>;
type WritingOptions = NodeOptions & ValuesOf<typeof writingSection>;

export function postCommand(program: Command): void {
  const command = program
    .command('post')
    .summary('say something in a thread, and read what others say')
    .description(
      'Threads are about pages of names. Posts are from profiles (.sso names), signed by their wallets, and pay their authors when they are\n' +
        'read. A name takes posts if its manifest says "comments": "anybody".',
    );
  const below = (name: string, example: string): Command =>
    addCommonOptions(command.command(name))
      .argument('<name>', 'the name that the thread is of', argumentOf(anyName))
      .argument('<path>', 'the path of the page that it is about', argumentOf(thread))
      .addHelpText('after', `\nExample:\n  relaymint post ${name} ${example} ${BOOTSTRAP}\n`);
  const base = baseSection(siteRole);
  addSettings(
    addSettings(
      below('write', 'forum.web3 /talk "Good morning" --as alice.sso')
        .summary('say something')
        .description('Signs it with the wallet of --as and brings it to the hosts that keep the name, for pay.')
        .argument('[text]', 'what it says; - for what comes on standard input'),
      writingSection,
    ),
    base,
  ).action(write);
  addSettings(
    addSettings(
      below('list', 'forum.web3 /talk')
        .summary('read a thread')
        .description(
          'Asks the hosts that keep the name, and pays them and the authors for what it reads. It needs no gateway.',
        ),
      readingSection,
    ),
    base,
  ).action(read);
  addSettings(
    addSettings(
      below('edit', 'forum.web3 /talk 1790000000000 "Good evening" --as alice.sso')
        .summary('say it in other words')
        .description('The words of before are replaced; the thread says that it was edited.')
        .argument('<number>', 'the number of your post', argumentOf(number))
        .argument('[text]', 'what it says now; - for what comes on standard input'),
      wordsSection,
    ),
    base,
  ).action(edit);
  addSettings(
    addSettings(
      below('remove', 'forum.web3 /talk 1790000000000 --as alice.sso')
        .summary('take it back')
        .description(
          'Its hosts delete the words, and gateways that have seen this show them no more. Whoever has read it may still have it.',
        )
        .argument('<number>', 'the number of your post', argumentOf(number)),
      authorSection,
    ),
    base,
  ).action(remove);
  for (const kind of ['hide', 'show'] as const) {
    addSettings(
      addSettings(
        below(kind, 'forum.web3 /talk alice.sso/1790000000000')
          .summary(kind === 'hide' ? 'keep a post from being shown in your name' : 'show a hidden post again')
          .description('Only with the wallet of the name: who has it says what is shown in it.')
          .argument('<post>', 'author and number of the post', argumentOf(post)),
        moderatingSection,
      ),
      base,
    ).action((name: string, path: string, target: EntryId, options: ModeratingOptions) =>
      say(name, path, { ...options, as: name }, { kind, target }),
    );
  }
}

async function write(name: string, path: string, text: string | undefined, options: WritingOptions): Promise<void> {
  await say(name, path, options, { kind: 'post', target: options.answer, ...(await wordsOf(text, options)) });
}

async function edit(
  name: string,
  path: string,
  sequence: number,
  text: string | undefined,
  options: WordsOptions,
): Promise<void> {
  const target = { author: options.as, sequence };
  await say(name, path, options, { kind: 'edit', target, ...(await wordsOf(text, options)) });
}

async function remove(name: string, path: string, sequence: number, options: AuthorOptions): Promise<void> {
  await say(name, path, options, { kind: 'remove', target: { author: options.as, sequence } });
}

async function say(
  name: string,
  path: string,
  options: AuthorOptions,
  saying: Omit<AuthoringModule.Saying, 'topic'>,
): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { Author, accountsBefore, accountsOf } = await loadAuthoring();
  const before = output.json ? await accountsBefore(node) : undefined;
  const { as: author, host: hosts, relays: between } = options;
  const mouth = stack.use(await Author.open(node, { name, author, hosts, relays: between, signal: lifecycle.signal }));
  const { sequence, hosts: keeping } = await mouth.say({ ...saying, topic: path });
  const what = saying.kind === 'post' ? `It is ${author}/${sequence}` : `${saying.kind} of ${idText(saying.target)}`;
  output.line(`${what}, in the thread about ${path} of ${name}. ${counted(keeping.length, 'host')} took it.`);
  const accounts = before && (await accountsOf(node, before));
  output.value({ event: 'said', name, path, kind: saying.kind, author, sequence, hosts: keeping, ...accounts });
}

async function read(name: string, path: string, options: ReadingOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { readThread } = await loadThread();
  const { relays: between, profiles = false } = options;
  const found = await readThread(node, { name, topic: path, relays: between, profiles, signal: lifecycle.signal });
  output.value({ event: 'thread', ...found });
  output.line(threadText(found));
}

/** Loaded when they are needed. (The compiler leaves an import() beside a `using` as it is.) */
async function loadAuthoring(): Promise<typeof AuthoringModule & typeof AccountsModule> {
  const [authoring, accounts] = await Promise.all([
    import('../../app/roles/authoring.ts'),
    import('../../app/roles/accounts.ts'),
  ]);
  return { ...authoring, ...accounts };
}

function loadThread(): Promise<typeof ThreadModule> {
  return import('../../app/roles/thread.ts');
}

async function wordsOf(
  text: string | undefined,
  { file, markdown }: Pick<WordsOptions, 'file' | 'markdown'>,
): Promise<Pick<AuthoringModule.Saying, 'mediaType' | 'content'>> {
  if ((text === undefined) === (file === undefined)) {
    throw new RelaymintError('INVALID_ARGUMENT', 'What it says is to be given once.', {
      remedy: 'Give a text, - for standard input, or --file.',
    });
  }
  const content = file !== undefined ? await fileOf(file) : text === '-' ? await wholeOf(process.stdin) : text;
  const mediaType = markdown === true ? 'text/markdown' : 'text/plain';
  return { mediaType, content: Buffer.from(content ?? '') };
}

async function fileOf(file: string): Promise<Buffer> {
  return await wholeOf(createReadStream(file)).catch((cause: unknown) => {
    if (isRelaymintError(cause)) throw cause;
    throw new RelaymintError('FILE_NOT_FOUND', `${file} cannot be read.`, { remedy: 'Name a file of text.', cause });
  });
}

/** @throws RelaymintError LIMIT_EXCEEDED; what the stream says. */
async function wholeOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const content = await readUpTo(source, MAX_ENTRY_CONTENT_BYTES);
  if (content !== undefined) return content;
  throw new RelaymintError('LIMIT_EXCEEDED', `A post says at most ${MAX_ENTRY_CONTENT_BYTES} bytes.`, {
    remedy: 'Say less, or publish it and say where it is.',
  });
}

/** As people read it. What others wrote is set in, and moves nothing but itself. */
export function threadText({ name, path, open, posts }: ThreadModule.ReadThread): string {
  const head = `${name} ${path}: ${counted(posts.length, 'post')}${open ? '' : '; it takes none from others'}`;
  return [head, ...posts.map(postText)].join('\n\n');
}

function postText({ author, sequence, created, edited, answers, state, text }: PostJson): string {
  const remarks = [
    timeText(created),
    ...(answers === undefined ? [] : [`answers ${idText(answers)}`]),
    ...(edited === undefined ? [] : [`edited ${timeText(edited)}`]),
    ...(state === 'shown' ? [] : [state]),
  ];
  const called = author.profile === undefined ? '' : ` (${printable(author.profile.displayName)})`;
  const head = `${author.name}/${sequence}${called}  ${remarks.join(', ')}`;
  return text === undefined ? head : `${head}\n${printableLines(text)}`;
}

function idText(id: EntryId | undefined): string {
  return id === undefined ? '' : `${id.author}/${id.sequence}`;
}

/** Who may import whom, and who may open a connection. Each rule gives sentences about what breaks it. */
import { isBuiltin } from 'node:module';
import { constants } from 'node:os';
import ts from 'typescript';
import type { Import, SourceFile } from './imports.ts';

/**
 * What each zone may import of ours. `app` is the composition root: the only place where node and sites meet. The sdk
 * stands on core alone, because it runs in browsers.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ['core'],
  platform: ['core', 'platform'],
  ledger: ['core', 'platform', 'ledger'],
  node: ['core', 'platform', 'ledger', 'node'],
  sites: ['core', 'platform', 'ledger', 'sites'],
  testbed: ['core', 'platform', 'node', 'testbed'],
  app: ['core', 'platform', 'ledger', 'node', 'sites', 'testbed', 'app'],
  cli: ['core', 'platform', 'ledger', 'node', 'sites', 'testbed', 'app', 'cli'],
  sdk: ['core', 'sdk'],
};

/** Zones whose folders are parts: what others may use of a part stands in its index.ts, its types alone in its contract.ts. */
const PARTED: readonly string[] = ['ledger', 'node', 'sites', 'app'];

/** Files of parts that others may import besides, each with its reason. */
export const SIDE_DOORS: Readonly<Record<string, string>> = {
  'app/roles': 'a role is one file, which is loaded when it is wanted',
};

/** Zones that run in browsers as well. */
const BROWSER_SAFE: readonly string[] = ['core', 'sdk'];

const DUMPING_GROUNDS: readonly string[] = ['utils', 'util', 'helpers', 'helper', 'common', 'misc', 'shared'];

/** Ways to open a connection: module -> the names that do. '*' stands for any. */
const OPENERS: Readonly<Record<string, readonly string[]>> = {
  net: ['connect', 'createConnection', 'Socket', 'Stream'],
  tls: ['connect'],
  http: ['request', 'get', 'globalAgent', 'WebSocket'],
  https: ['request', 'get', 'globalAgent'],
  http2: ['connect'],
  dgram: ['*'],
  dns: ['*'],
  'dns/promises': ['*'],
  undici: ['*'],
  socks: ['*'],
  ws: ['WebSocket', 'default'],
};

/** The exceptions, each with its reason. */
export const MAY_OPEN: Readonly<Record<string, { readonly what: readonly string[]; readonly why: string }>> = {
  'node/transport/socket.ts': { what: ['net connect'], why: 'the one call; the policy stands before it' },
  'node/transport/strangers.ts': {
    what: ['http request', 'https request', 'tls connect'],
    why: 'one request over a connection that the policy opened and that was checked',
  },
  'node/transport/http.ts': {
    what: ['http request', 'https request', 'tls connect'],
    why: 'HTTP and TLS over connections that the policy opened: its agents make no other',
  },
  'node/transport/tor/socks.ts': {
    what: ['socks SocksClient'],
    why: 'SOCKS over a connection that node/transport/socket.ts opened',
  },
  'node/transport/resolve.ts': {
    what: ['dns/promises lookup'],
    why: 'looks a name up before it is dialled, so that no stranger names a private address; never for an anonymous node',
  },
  'sdk/client.ts': {
    what: ['global fetch'],
    why: 'runs in the page of a site, whose connections the browser opens; no node imports it',
  },
  'app/testing/client.ts': {
    what: ['http request'],
    why: 'what a test asks of its own gateway, at 127.0.0.1; no node imports it',
  },
  'sites/sso/redis-store.ts': { what: ['tls connect'], why: 'TLS over a connection that the policy opened' },
  'node/link/tls.ts': { what: ['tls connect'], why: 'TLS over a connection that the policy opened' },
};

export function zoneOf(path: string): string {
  return path.split('/')[0] ?? '';
}

/** The part that a file belongs to; files of a zone that stand in none are its vocabulary, and a part of their own. */
function partOf(path: string): string {
  const [zone = '', folder = '', ...rest] = path.split('/');
  return PARTED.includes(zone) && rest.length > 0 ? `${zone}/${folder}` : zone;
}

/** Imports of another part that do not go through its door. An index.ts below a part is a door of its own (`ledger/solana/embedded`). */
export function doors(files: readonly SourceFile[]): string[] {
  const broken: string[] = [];
  for (const { path, imports } of files) {
    for (const { file } of imports) {
      if (file === undefined || partOf(file) === partOf(path) || !partOf(file).includes('/')) continue;
      const name = file.split('/').at(-1);
      const isDoor = name === 'index.ts' || file === `${partOf(file)}/contract.ts`;
      if (!isDoor && SIDE_DOORS[partOf(file)] === undefined) {
        broken.push(`${path} imports ${file}: what others may use of ${partOf(file)} stands in its index.ts`);
      }
    }
  }
  return broken;
}

/** A door shows what is its part's own: one home for each name. */
export function borrowed(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, reexports }) =>
    !partOf(path).includes('/')
      ? []
      : reexports
          .filter((file) => partOf(file) !== partOf(path))
          .map((file) => `${path} re-exports ${file}: whoever wants it asks there`),
  );
}

/** Parts that import each other, over others too; the facade of a zone (`ledger/index.ts`), or of the package alone, is no part. */
export function circles(files: readonly SourceFile[]): string[] {
  const links = new Map<string, Set<string>>();
  for (const { path, imports } of files) {
    const from = partOf(path);
    if (path === `${zoneOf(path)}/index.ts` || path === 'app/testing.ts') continue;
    const to = links.get(from) ?? new Set();
    links.set(from, to);
    for (const { file } of imports) if (file !== undefined && partOf(file) !== from) to.add(partOf(file));
  }
  return cyclesIn(links);
}

export function layering(files: readonly SourceFile[]): string[] {
  const broken: string[] = [];
  for (const { path, imports } of files) {
    const zone = zoneOf(path);
    const allowed = MAY_IMPORT[zone] ?? [];
    for (const { file, specifier } of imports) {
      const packageName = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier;
      if (file !== undefined && !allowed.includes(zoneOf(file))) {
        broken.push(`${path} imports ${file}: ${zone} may import ${allowed.join(', ')} only`);
      }
      if (BROWSER_SAFE.includes(zone) && isBuiltin(specifier)) {
        broken.push(`${path} imports ${specifier}: ${zone} runs in browsers too`);
      }
      const isSolana = packageName.startsWith('@solana') || ['litesvm', '@x402/svm'].includes(packageName);
      if (isSolana && !path.startsWith('ledger/solana/')) {
        broken.push(`${path} imports ${specifier}: only ledger/solana knows Solana`);
      }
    }
  }
  return broken;
}

/** Browser-safe files that reach a builtin through what they import by value. */
export function browserSafety(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const broken: string[] = [];
  for (const start of files.filter((file) => BROWSER_SAFE.includes(zoneOf(file.path)))) {
    const seen = new Set<string>();
    const queue = [start.path];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      for (const { specifier, file, values } of byPath.get(path)?.imports ?? []) {
        if (values.length === 0) continue;
        if (file !== undefined) queue.push(file);
        else if (isBuiltin(specifier)) broken.push(`${start.path} reaches ${specifier} through ${path}`);
      }
    }
  }
  return broken;
}

export function outgoing(files: readonly SourceFile[]): string[] {
  const broken: string[] = [];
  for (const { path, imports, globals } of files) {
    const allowed = MAY_OPEN[path]?.what ?? [];
    for (const what of [...imports.flatMap(openersIn), ...globals.map((name) => `global ${name}`)]) {
      if (!allowed.includes(what)) broken.push(`${path} uses ${what}: connections leave through node/transport only`);
    }
  }
  return broken;
}

function openersIn({ specifier, values }: Import): string[] {
  const module = specifier.replace(/^node:/, '');
  const openers = OPENERS[module];
  if (openers === undefined) return [];
  return values
    .filter((name) => name === '*' || openers.includes('*') || openers.includes(name))
    .map((name) => `${module} ${name}`);
}

/** Each cycle once, as "a -> b -> a". Type imports count: a cycle of types is a cycle of thoughts. */
export function cycles(files: readonly SourceFile[]): string[] {
  return cyclesIn(new Map(files.map(({ path, imports }) => [path, imports.flatMap(({ file }) => file ?? [])])));
}

function cyclesIn(imports: ReadonlyMap<string, Iterable<string>>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const at = trail.indexOf(path);
    if (at !== -1) {
      found.push([...trail.slice(at), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const next of imports.get(path) ?? []) if (imports.has(next)) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of imports.keys()) visit(path);
  return found;
}

export function dumpingGrounds(paths: Iterable<string>): string[] {
  const broken = new Set<string>();
  for (const path of paths) {
    for (const part of path.replace(/\.ts$/, '').split('/')) {
      if (DUMPING_GROUNDS.includes(part)) broken.add(`${path}: name "${part}" for what it holds`);
    }
  }
  return [...broken];
}

/** Relative imports that lead nowhere: the rules above would not see what is behind them. */
export function dangling(files: readonly SourceFile[], exists: (path: string) => boolean): string[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter(({ file }) => file !== undefined && !exists(file))
      .map(({ specifier }) => `${path} imports ${specifier}, which is not there`),
  );
}

/** Fields of log lines that hold an error under another name than `err`, which alone is written out, or its message alone. */
export function errorKeys(path: string, text: string): string[] {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (isLogCall(node)) {
      for (const property of fieldsOf(node.arguments[0])) {
        const value = ts.isPropertyAssignment(property) ? property.initializer.getText(tree) : '';
        const isError = ['error', 'cause', 'failure'].includes(property.name?.getText(tree) ?? '');
        if (!isError && !/^messageOf\(|\.message$/.test(value)) continue;
        const line = tree.getLineAndCharacterOfPosition(property.getStart(tree)).line + 1;
        found.push(
          `${path}:${line} logs an error as "${property.getText(tree)}": its field is err, and the error itself its value`,
        );
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function isLogCall(node: ts.Node): node is ts.CallExpression {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  const { expression, name } = node.expression;
  return ['debug', 'info', 'warn', 'error'].includes(name.text) && /(^|[.#])log$/i.test(expression.getText());
}

function fieldsOf(argument: ts.Expression | undefined): readonly ts.ObjectLiteralElementLike[] {
  return argument !== undefined && ts.isObjectLiteralExpression(argument) ? argument.properties : [];
}

interface Home {
  readonly what: string;
  /** Where it lives: a file, or a folder. */
  readonly home: string;
  /** Who does it as well, each with its reason. */
  readonly besides: Readonly<Record<string, string>>;
  readonly shows: (node: ts.Node) => boolean;
}

/** Where a call puts a file under another name. */
const RENAMES: readonly string[] = ['rename', 'renameSync'];
const ERRNOS: ReadonlySet<string> = new Set(Object.keys(constants.errno));
/** Ways to declare an option with commander, and to say that its text is wrong. */
const DECLARES: readonly string[] = ['option', 'requiredOption', 'addOption', 'createOption'];
const OPTION_CLASSES: readonly string[] = ['Option', 'InvalidArgumentError', 'InvalidOptionArgumentError'];
const LEVELS: readonly string[] = ['level', 'classic-level', 'abstract-level'];

/** Every option is a setting, and every text of the command line is read with a grammar of app/config. */
export const COMMAND_LINE = 'options of the command line, and how texts there become values';

/** What is written once, and by what the syntax shows that it is written again. */
export const HOMES: readonly Home[] = [
  {
    what: 'the DER of Ed25519 and X25519 keys',
    home: 'platform/keys/',
    besides: {},
    shows: (node) =>
      (ts.isIdentifier(node) && ['createPrivateKey', 'createPublicKey'].includes(node.text)) ||
      (ts.isStringLiteralLike(node) && /^[0-9a-f]*2b65(?:6e|70)/i.test(node.text)),
  },
  {
    what: 'opening LevelDB',
    home: 'platform/disk/level.ts',
    besides: {},
    shows: (node) =>
      ts.isStringLiteralLike(node) &&
      LEVELS.includes(node.text) &&
      ((ts.isImportDeclaration(node.parent) && node.parent.importClause?.phaseModifier === undefined) ||
        (ts.isCallExpression(node.parent) && node.parent.expression.kind === ts.SyntaxKind.ImportKeyword)),
  },
  {
    what: 'comparing codes of errno',
    home: 'platform/errno.ts',
    besides: {},
    shows: (node) =>
      ts.isBinaryExpression(node) &&
      [ts.SyntaxKind.EqualsEqualsEqualsToken, ts.SyntaxKind.ExclamationEqualsEqualsToken].includes(
        node.operatorToken.kind,
      ) &&
      [node.left, node.right].some((side) => ts.isStringLiteralLike(side) && ERRNOS.has(side.text)),
  },
  {
    what: 'making a file that must not be there yet',
    home: 'platform/',
    besides: {},
    shows: (node) =>
      ts.isStringLiteralLike(node) && /^(?:wx|xw|ax)\+?$/.test(node.text) && ts.isCallExpression(node.parent),
  },
  {
    what: 'failing because a signal ended',
    home: 'core/abort.ts',
    besides: {},
    shows: (node) =>
      (ts.isPropertyAccessExpression(node) && node.name.text === 'throwIfAborted') ||
      (ts.isStringLiteralLike(node) && node.text === 'AbortError'),
  },
  {
    what: 'pauses that double up to a bound',
    home: 'core/backoff.ts',
    besides: {
      'node/circuit/congestion.ts': 'nothing failed: a circuit with little to send is looked at more and more rarely',
    },
    shows: (node) =>
      ts.isCallExpression(node) &&
      ts.isPropertyAccessExpression(node.expression) &&
      node.expression.name.text === 'min' &&
      node.arguments.some(
        (argument) => isDoubled(argument) && /pause|wait|delay|millis|retry/i.test(argument.getText()),
      ),
  },
  {
    what: 'doing something each so often',
    home: 'core/repeat.ts',
    besides: {},
    shows: (node) => ts.isIdentifier(node) && node.text === 'setInterval',
  },
  {
    what: 'waiting for a while',
    home: 'core/abort.ts',
    besides: {},
    shows: (node) =>
      (ts.isStringLiteralLike(node) && /^(?:node:)?timers\/promises$/.test(node.text)) || isTimedPromise(node),
  },
  {
    what: 'listening for the end of a signal',
    home: 'core/abort.ts',
    besides: { 'sdk/posts/keys.ts': 'a transaction of the browser that was not committed, and no signal' },
    shows: (node) =>
      (isCallOf(node, 'addEventListener') && isText(node.arguments[0], 'abort')) ||
      (ts.isBinaryExpression(node) && ts.isPropertyAccessExpression(node.left) && node.left.name.text === 'onabort'),
  },
  {
    what: 'saying that the protocol was broken',
    home: 'core/errors.ts',
    besides: {},
    shows: (node) =>
      ts.isNewExpression(node) &&
      node.expression.getText() === 'RelaymintError' &&
      isText(node.arguments?.[0], 'PROTOCOL_VIOLATION'),
  },
  {
    what: 'putting a written file in the place of another',
    home: 'platform/',
    besides: {
      'ledger/books/level.ts': 'keeps a damaged database under another name',
      'ledger/books/journal.ts': 'a journal that is open, written anew record by record',
      'sites/blocks/block-files.ts': 'blocks by the thousand, which are synced together later',
    },
    shows: (node) =>
      ts.isImportSpecifier(node) &&
      RENAMES.includes((node.propertyName ?? node.name).text) &&
      (node.parent.parent.parent.moduleSpecifier as ts.StringLiteral).text.startsWith('node:fs'),
  },
  {
    what: COMMAND_LINE,
    home: 'cli/settings.ts',
    besides: {},
    shows: (node) =>
      DECLARES.some((name) => isCallOf(node, name)) ||
      (ts.isNewExpression(node) && OPTION_CLASSES.includes(node.expression.getText())) ||
      (isCallOf(node, 'argument') && node.arguments.slice(2).some((parser) => !isCallTo(parser, 'argumentOf'))),
  },
];

function isCallOf(node: ts.Node, name: string): node is ts.CallExpression {
  return (
    ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === name
  );
}

function isCallTo(node: ts.Node, name: string): boolean {
  return ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === name;
}

/** `f(..)` and `a.b.f(..)` are calls of f. */
function calledName({ expression }: ts.CallExpression): string | undefined {
  if (ts.isPropertyAccessExpression(expression)) return expression.name.text;
  return ts.isIdentifier(expression) ? expression.text : undefined;
}

/** A promise that a timer resolves: `new Promise((resolve) => setTimeout(resolve, ..))`. One whose timer only gives up is a deadline. */
function isTimedPromise(node: ts.Node): boolean {
  if (!ts.isCallExpression(node) || calledName(node) !== 'setTimeout') return false;
  const executor = ts.findAncestor(node, (above) => isFunction(above) && ts.isNewExpression(above.parent));
  if (executor === undefined || !isFunction(executor) || !ts.isNewExpression(executor.parent)) return false;
  const [resolve] = executor.parameters;
  return (
    executor.parent.expression.getText() === 'Promise' &&
    resolve !== undefined &&
    resolvesWith(node.arguments[0], resolve.name.getText())
  );
}

function isFunction(node: ts.Node): node is ts.ArrowFunction | ts.FunctionExpression {
  return ts.isArrowFunction(node) || ts.isFunctionExpression(node);
}

/** Is it `resolve`, or a function that does nothing but call it? */
function resolvesWith(act: ts.Expression | undefined, resolve: string): boolean {
  if (act === undefined) return false;
  if (!isFunction(act)) return act.getText() === resolve;
  const only = ts.isBlock(act.body) && act.body.statements.length === 1 ? act.body.statements[0] : act.body;
  const call = only !== undefined && ts.isExpressionStatement(only) ? only.expression : only;
  return call !== undefined && ts.isCallExpression(call) && call.expression.getText() === resolve;
}

function isText(node: ts.Node | undefined, text: string): boolean {
  return node !== undefined && ts.isStringLiteralLike(node) && node.text === text;
}

function isDoubled(node: ts.Node): boolean {
  if (!ts.isBinaryExpression(node)) return false;
  const { left, right, operatorToken } = node;
  if (operatorToken.kind === ts.SyntaxKind.AsteriskAsteriskToken) return true;
  if (operatorToken.kind !== ts.SyntaxKind.AsteriskToken) return false;
  return [left, right].some((side) => isDoubled(side) || (ts.isNumericLiteral(side) && side.text === '2'));
}

/** What a file does that has its home elsewhere, once each. */
export function strays(path: string, text: string): string[] {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found = new Map<Home, number>();
  const visit = (node: ts.Node): void => {
    for (const home of HOMES) {
      if (!found.has(home) && !path.startsWith(home.home) && home.shows(node)) found.set(home, node.getStart(tree));
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return Array.from(found, ([{ what, home }, at]) => {
    return `${path}:${tree.getLineAndCharacterOfPosition(at).line + 1} does by itself what ${home} is for: ${what}`;
  });
}

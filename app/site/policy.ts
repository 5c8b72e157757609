/**
 * Lets what the preview adds to a page through the page's own policy (Content-Security-Policy, level 3), and nothing else: a page that forbids
 * more than the site may use shows the same faults as once it is published.
 */

export interface Admitted {
  /** Address of the script that is added, and what names its bytes: `'sha256-...'`. */
  readonly script: string;
  readonly hash: string;
  /** Address that the script asks. */
  readonly asks: string;
}

/** What a directive allows, by its name; the first of a name counts. */
type Directives = Map<string, readonly string[]>;

/** The page's own origin is allowed. */
const OWN: readonly string[] = ["'self'", '*', 'http:'];
const ELEMENTS = 'script-src-elem';

/** `policy`: policies, with commas between them, each of which counts. */
export function admitting(policy: string, admitted: Admitted): string {
  return policy
    .split(',')
    .map((one) => {
      const directives = parsed(one);
      return admit(directives, admitted) ? textOf(directives) : one;
    })
    .join(',');
}

/** @returns whether something had to be changed. */
function admit(directives: Directives, { script, hash, asks }: Admitted): boolean {
  const scripts = governing(directives, [ELEMENTS, 'script-src', 'default-src']);
  const asking = governing(directives, ['connect-src', 'default-src']);
  const needsScript = scripts !== undefined && (!isOwn(scripts) || scripts.includes("'strict-dynamic'"));
  const needsAsking = asking !== undefined && !isOwn(asking);
  // A hash beside 'unsafe-inline' would take that away from the page's own scripts.
  if (needsScript) directives.set(ELEMENTS, withSource(scripts, isInlineAllowed(scripts) ? script : hash));
  if (needsAsking) directives.set('connect-src', withSource(asking, asks));
  return needsScript || needsAsking;
}

/** What counts: the first of the directives that is there. undefined: anything is allowed. */
function governing(directives: Directives, names: readonly string[]): readonly string[] | undefined {
  const name = names.find((one) => directives.has(one));
  return name === undefined ? undefined : directives.get(name);
}

function isOwn(sources: readonly string[]): boolean {
  return sources.some((source) => OWN.includes(source.toLowerCase()));
}

function isInlineAllowed(sources: readonly string[]): boolean {
  const all = sources.map((source) => source.toLowerCase());
  return all.includes("'unsafe-inline'") && !all.some((one) => /^'(?:nonce-|sha\d{3}-|strict-dynamic')/.test(one));
}

function withSource(sources: readonly string[], source: string): readonly string[] {
  return [...sources.filter((one) => one.toLowerCase() !== "'none'"), source];
}

function parsed(policy: string): Directives {
  const directives: Directives = new Map();
  for (const text of policy.split(';')) {
    const [name, ...values] = text.trim().split(/\s+/);
    const known = name?.toLowerCase() ?? '';
    if (known !== '' && !directives.has(known)) directives.set(known, values);
  }
  return directives;
}

function textOf(directives: Directives): string {
  return Array.from(directives, ([name, values]) => [name, ...values].join(' ')).join('; ');
}

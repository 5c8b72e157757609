/** What an import left out, as one line for people. */
import { printable } from './output.ts';

export interface LeftOut {
  readonly path: string;
  /** For example "a link to nothing". */
  readonly reason: string;
}

/** Paths that are named for each reason. */
const NAMED = 3;

/** "Left out: a link to nothing: a.html, b.html, c.html and 9 more; hidden: .git". Never more than a line. */
export function leftOutText(skipped: readonly LeftOut[]): string {
  const byReason = new Map<string, string[]>();
  for (const { path, reason } of skipped) byReason.set(reason, [...(byReason.get(reason) ?? []), path]);
  const parts = Array.from(byReason, ([reason, paths]) => `${reason}: ${listed(paths)}`);
  return `Left out: ${parts.join('; ')}`;
}

/** "a.html, b.html, c.html and 9 more". */
export function listed(paths: readonly string[]): string {
  const more = paths.length > NAMED ? ` and ${paths.length - NAMED} more` : '';
  return `${paths.slice(0, NAMED).map(printable).join(', ')}${more}`;
}

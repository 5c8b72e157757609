/** What an import left out or wondered at, for people. */
import type { Published } from '../app/market/index.ts';
import { printable } from '../core/printable.ts';

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

/** Files that are not what their names say: a line for each, and how many more there are. */
export function doubtsText(doubts: Published['doubts']): string {
  const lines = doubts.slice(0, NAMED).map(({ path, message, remedy }) => `${path}: ${message} ${remedy}`);
  const more =
    doubts.length > NAMED ? [`.. and ${doubts.length - NAMED} more: relaymint site check has them all.`] : [];
  return [...lines.map(printable), ...more].join('\n');
}

/** "a.html, b.html, c.html and 9 more". */
export function listed(paths: readonly string[]): string {
  const more = paths.length > NAMED ? ` and ${paths.length - NAMED} more` : '';
  return `${paths.slice(0, NAMED).map(printable).join(', ')}${more}`;
}

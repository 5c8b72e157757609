/** Which blocks a host is asked for: each as likely as any other, so that it cannot know which ones it may do without. */
import { randomInt } from 'node:crypto';

/**
 * `count` of them, or all if they are fewer; none twice. A host that lacks a share p of them is asked for one of those with a
 * chance of at least 1 - (1 - p)^count.
 * @param below a whole number from 0 to `end` - 1, each as likely; default: from the system's source
 */
export function sampleOf<T>(
  all: readonly T[],
  count: number,
  below: (end: number) => number = (end) => randomInt(end),
): T[] {
  if (count >= all.length) return [...all];
  const chosen = new Set<number>();
  // Floyd's way: as many draws as samples, however many there are to choose from.
  for (let last = all.length - count; last < all.length; last += 1) {
    const drawn = below(last + 1);
    chosen.add(chosen.has(drawn) ? last : drawn);
  }
  return Array.from(chosen, (index) => all[index] as T);
}

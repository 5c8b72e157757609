/** How long to wait before retrying after a failure. */

export interface Backoff {
  /** The pause after the first failure, milliseconds. */
  readonly first: number;
  /** No pause is longer, milliseconds. */
  readonly last: number;
  /** Factor by which each pause is longer than the previous one. Default 2. */
  readonly factor?: number;
}

/** Milliseconds to wait after this many failures in a row (1 or more). */
export function backoff(failures: number, { first, last, factor = 2 }: Backoff): number {
  return Math.min(first * factor ** (failures - 1), last);
}

/** How long to wait before what failed is tried again. */

export interface Backoff {
  /** The pause after the first failure, milliseconds. */
  readonly first: number;
  /** No pause is longer, milliseconds. */
  readonly last: number;
  /** By so much each pause is longer than the one before. Default 2. */
  readonly factor?: number;
}

/** Milliseconds to wait after that many failures in a row, at least one. */
export function backoff(failures: number, { first, last, factor = 2 }: Backoff): number {
  return Math.min(first * factor ** (failures - 1), last);
}

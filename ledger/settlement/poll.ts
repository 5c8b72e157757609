/** How often a till must be looked at so that no close request runs out unseen. */

/** Looks within a challenge period, at least. */
const LOOKS = 4n;

/** Milliseconds between two looks: `pollMillis`, but a quarter of the challenge period at most. */
export function pollWithin(pollMillis: number, challengeSeconds: bigint): number {
  return Math.min(pollMillis, Number((challengeSeconds * 1000n) / LOOKS));
}

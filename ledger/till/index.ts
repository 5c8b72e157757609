/** A payee's till: what it is funded with, how it grows, and what channels left in it. */
export { collectClaim } from './claim.ts';
export { fundNode } from './funding.ts';
export { growNearlyFull } from './growth.ts';

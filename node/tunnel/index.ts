/** Paths: pools of ready circuits, the guards that a node keeps, and which relays may share a path. */
export type { CircuitPoolSettings, CircuitPoolOptions, CircuitPool } from './contract.ts';
export type { GuardStore, GuardView, Guards } from './guards/contract.ts';
export { guardFile } from './guards/format.ts';
export { createGuards, openGuards } from './guards/guards.ts';
export { sellersOf } from './path.ts';
export { createCircuitPool } from './pool.ts';

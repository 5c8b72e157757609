/** The channels that this wallet pays, and how they are closed. */
export { closeChannels, millisLeft, type ClosedChannels } from './closing.ts';

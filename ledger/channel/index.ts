/** Channels of our own, and how they are closed. */
export { closeChannels, millisLeft, type ClosedChannels } from './closing.ts';

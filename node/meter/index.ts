/** Metering: what each link carried, and the credit window that bounds what its peer may owe. */
export type { ChannelProvider, ContentCount, LinkMeter, Metering, MeteringOptions } from './contract.ts';
export type { Advance, Sponsor } from './sponsor.ts';
export { createMetering } from './metering.ts';
export { unmetered } from './unmetered.ts';
export { freeSponsor } from './sponsor.ts';

/** Publishing: a folder goes to hosts, which are paid to keep it. */
export { publishSite } from './client.ts';
export type { PublishOptions, PublishProgress, PublishResult } from './client.ts';
export { PublishJournal } from './journal.ts';
export type { PublishEntry, PublishStep } from './journal.ts';
export { createPinKeeper } from './pin-keeper.ts';
export type { PinKeeper, PinKeeperOptions } from './pin-keeper.ts';
export { createPublishService } from './server.ts';
export type { PublishPolicy, PublishServiceOptions } from './server.ts';

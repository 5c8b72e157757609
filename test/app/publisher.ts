/** A publisher's node as `site publish` runs it: it does one thing, and has nothing to start. */
import { site, type Role, type SiteValues } from '../../app/roles/index.ts';

export const publisherRole: Role<SiteValues> = {
  ...site,
  summary: '',
  description: '',
  example: '',
  start: async () =>
    await Promise.resolve({ describe: () => '', [Symbol.asyncDispose]: async () => await Promise.resolve() }),
};

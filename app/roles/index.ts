/** The roles that a node can run as. */
import { gateway } from './gateway.ts';
import { host } from './host.ts';
import { relay } from './relay.ts';
import type { Role } from './role.ts';

export { gateway, host, relay };
export { hostsWanted, site, type SiteValues } from './site.ts';
export {
  baseSection,
  earnerSection,
  settingsOf,
  type BaseValues,
  type EarnerValues,
  type Role,
  type RoleFinish,
  type RunningRole,
} from './role.ts';

/** In the order of the help. */
export const ROLES: readonly Role<object>[] = [relay, host, gateway];

/** What clients name, as far as an issuer may ask there. */
import { isLoopback } from '../../node/transport/index.ts';
import type { Outside } from '../../sites/sso/index.ts';

/** Where others can connect, whoever registers need not be on this machine, whatever the issuer calls itself. */
export function outsideAt(address: string, outside: Outside | undefined): Outside | undefined {
  return outside === undefined || isLoopback(address) ? outside : { strangers: outside.strangers };
}

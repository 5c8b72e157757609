/** The setting of roles that take statements for owners; what they then do is in inbox-service.ts. */
import { toggle, type Setting } from '../config/index.ts';

/** In the data folder. */
export const INBOX_FILE = 'inbox.statements';

export const inboxSetting: Setting<true | undefined> = toggle(
  '--inbox',
  "take what hosts state of their deliveries, for the names of this node's wallet (see: relaymint site revenue --inbox)",
);

/** The adversary: every strategy of cheating that is known, and how one is played. Used by its test and by `npm run bench -- hostile`. */
import { chainStrategies } from './strategies/chain.ts';
import { contentStrategies } from './strategies/content.ts';
import { initiatorStrategies } from './strategies/initiators.ts';
import { nettingStrategies } from './strategies/netting.ts';
import { payeeStrategies } from './strategies/payees.ts';
import { payerStrategies } from './strategies/payers.ts';
import { relayStrategies } from './strategies/relays.ts';
import type { Strategy } from './strategy.ts';

export { MAX_ROW_MILLIS, play } from './play.ts';
export { broken } from './strategy.ts';
export type { Row, Strategy } from './strategy.ts';

export const STRATEGIES: readonly Strategy[] = [
  ...payeeStrategies,
  ...payerStrategies,
  ...initiatorStrategies,
  ...relayStrategies,
  ...nettingStrategies,
  ...contentStrategies,
  ...chainStrategies,
];

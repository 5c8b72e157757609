/** Which moves there are and how often each is made. */
import * as bank from './bank-moves.ts';
import * as names from './name-moves.ts';
import * as settling from './settle-moves.ts';
import type { Move, Stage } from './stage.ts';
import * as tills from './till-moves.ts';

const WEIGHTS: readonly (readonly [Move, number])[] = [
  [bank.initialize, 1],
  [bank.buy, 14],
  [bank.redeem, 8],
  [bank.configure, 6],
  [bank.collectFees, 6],
  [bank.gift, 3],
  [bank.burn, 3],
  [bank.purse, 10],
  [tills.openTill, 14],
  [tills.growTill, 8],
  [tills.closeTill, 6],
  [tills.leave, 8],
  [tills.openChannel, 28],
  [tills.topUp, 8],
  [tills.requestClose, 10],
  [tills.closeChannel, 20],
  [tills.setTillTerms, 6],
  [tills.closeByPayee, 14],
  [tills.returnOpening, 12],
  [tills.payClaim, 14],
  [tills.withdraw, 8],
  [settling.settle, 26],
  [settling.settleVerified, 14],
  [settling.replay, 8],
  [settling.twice, 2],
  [settling.resurrect, 4],
  [names.commitName, 12],
  [names.dropCommitment, 8],
  [names.registerName, 24],
  [names.renewName, 4],
  [names.transferName, 5],
  [names.setRecovery, 14],
  [names.beginRecovery, 18],
  [names.cancelRecovery, 8],
  [names.finishRecovery, 4],
  [names.updateName, 12],
  [names.distributeName, 14],
];
const ALL: readonly Move[] = WEIGHTS.flatMap(([move, weight]) => Array<Move>(weight).fill(move));

/** One transaction, mostly of one move. */
export function nextTransaction(stage: Stage): ReturnType<Move> {
  const count = stage.random.once(8) ? 2 + stage.random.number(2) : 1;
  return Array.from({ length: count }, () => stage.random.of(ALL)?.(stage) ?? []).flat();
}

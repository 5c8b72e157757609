/** What a command's node paid its neighbours, said when it is done. */
import type { Amount } from '../../core/units.ts';
import type { Accounts } from '../market/index.ts';
import { ChainView, pairsOf, watchTransports, type RunningNode } from '../node/index.ts';

/** Taken before anything is paid. */
export interface AccountsBefore {
  readonly credits: Amount;
  readonly transports: ReturnType<typeof watchTransports>;
}

export async function accountsBefore(node: RunningNode): Promise<AccountsBefore> {
  const transports = watchTransports(node);
  return { transports, credits: (await node.ledger.balances(node.wallet.address)).credits };
}

/** What it cost, once the books are final. Closes the node's circuits. */
export async function accountsOf(node: RunningNode, { credits, transports }: AccountsBefore): Promise<Accounts> {
  // The books are final once the other end has answered the circuit's end: that frame counts as well.
  await node.circuits.close();
  node.metering.flush();
  const channels = await new ChainView(node).channels();
  return {
    nodeId: node.keys.identity.nodeId,
    wallet: node.wallet.address,
    creditsBefore: credits.toString(),
    pairs: pairsOf(node, channels, transports).filter((pair) => pair.side === 'pays'),
  };
}

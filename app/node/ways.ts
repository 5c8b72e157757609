/** The second phase of a node: its ways out, and the ledger over them. */
import path from 'node:path';
import type { Clock } from '../../core/ports.ts';
import { openSolanaLedger, type SolanaLedger } from '../../ledger/solana/index.ts';
import { hides, isLoopback, type Policy } from '../../node/transport/index.ts';
import { locationsOf, phaseOf, type NodeSettings } from '../config/index.ts';
import type { Identity } from './identity.ts';
import { openOutbound } from './outbound.ts';

export interface Ways {
  readonly policy: Policy;
  readonly ledger: SolanaLedger;
  /** For name look-ups of visitors: they share no connection and no Tor circuit with money. */
  readonly names: SolanaLedger;
  /** Ends every wait. */
  readonly giveUp: () => void;
}

/** Where tor hands visitors over. Short: the path of a socket has no room. */
const TARGET_DIRECTORY = 'in';

export function openWays(settings: NodeSettings, identity: Identity, stack: AsyncDisposableStack, clock: Clock): Ways {
  const { outbound, reach, ledger: place, log } = settings;
  const { serviceKey, places, i2pDestination } = identity;
  const { policy } = stack.use(
    openOutbound(outbound, log, {
      phase: phaseOf(settings),
      prefer: settings.peers.prefer,
      purposes: settings.purposes,
      onionKeys: [serviceKey],
      torrcServices: places.torrcServices,
      i2pDestination,
      onionClients: reach?.onionClient ?? [],
      targetDir: path.join(settings.dataDir, TARGET_DIRECTORY),
      ...(settings.world === undefined ? {} : { transports: settings.world.transports }),
    }),
  );
  const { maxPriorityFee } = settings.node;
  const at = { url: place.ledger, programId: place.program, clock, log };
  const ledger = openSolanaLedger({
    ...at,
    fetch: policy.fetch('ledger'),
    ...(maxPriorityFee === undefined ? {} : { maxPriorityFee }),
  });
  const names = openSolanaLedger({ ...at, fetch: policy.fetch('names') });
  stack.defer(() => names.close());
  return {
    policy,
    ledger,
    names,
    giveUp: () => {
      policy.close();
      ledger.close();
      names.close();
    },
  };
}

/** A node that hides from peers is still seen by a ledger on another machine, together with the wallet that its offer names. */
export function warnOfWhatShows(settings: NodeSettings): void {
  // A URL that is none is refused where it is used, without its text.
  if (!URL.canParse(settings.ledger.ledger)) return;
  const { hostname } = new URL(settings.ledger.ledger);
  if (!hides(locationsOf(settings)) || settings.outbound.anonymize !== undefined || isLoopback(hostname)) return;
  settings.log.warn(
    {},
    'where this node is stays hidden from peers only: it reaches the ledger directly; --anonymize hides it from the ledger too',
  );
}

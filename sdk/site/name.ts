/** The facts of a name, as the gateway reads them from the ledger: a few seconds fresh. */
import { amount, type Amount } from '../../core/units.ts';
import { asked, jsonOf, noGateway, type Client, type Options } from '../client.ts';

export interface NameStatus {
  readonly name: string;
  /** `grace`: it has expired, and its owner may still renew it. `expired`: anybody may register it. */
  readonly status: 'held' | 'grace' | 'expired';
  /** Wallet address. */
  readonly owner: string;
  /** Wallet that may publish for the owner. */
  readonly manager: string;
  /** UNIX seconds. */
  readonly registered: number;
  /** UNIX seconds; undefined: never. */
  readonly expires: number | undefined;
  /** CID of the content; undefined where there is none. */
  readonly root: string | undefined;
  /** CID of the manifest; undefined where there is none. */
  readonly manifest: string | undefined;
  /** Parts of 10,000. */
  readonly royaltyBps: number;
  /** Parts of 10,000 of the royalty. */
  readonly referrerBps: number;
}

export interface Share {
  /** Wallet address. */
  readonly account: string;
  /** Parts of 10,000. */
  readonly bps: number;
  /** Divided, and not paid out yet: base units. */
  readonly owed: Amount;
}

/** In base units of credit (`formatCredits` writes them). What was served lately is not there yet: hosts settle when it is worth a fee. */
export interface Revenue {
  /** All that the name ever earned. */
  readonly earned: Amount;
  /** What of it was not divided among the shares yet. */
  readonly undivided: Amount;
  readonly shares: readonly Share[];
}

/** As the gateway writes it. */
interface Facts extends Omit<NameStatus, 'expires' | 'root' | 'manifest'> {
  readonly expires: number | null;
  readonly root: string | null;
  readonly manifest: string | null;
  readonly earned: string;
  readonly undivided: string;
  readonly splits: readonly { readonly account: string; readonly bps: number; readonly owed: string }[];
}

/**
 * Who has the name, until when, and what it points to.
 * @throws RelaymintError NAME_UNKNOWN (nobody has it), NAME_INVALID, LIMIT_EXCEEDED, LEDGER_UNREACHABLE; CONNECTION_LOST; ABORTED.
 */
export async function status(client: Client, name: string, options: Options = {}): Promise<NameStatus> {
  const facts = await factsOf(client, name, options);
  const { status: state, owner, manager, registered, expires, root, manifest, royaltyBps, referrerBps } = facts;
  return {
    name: facts.name,
    status: state,
    owner,
    manager,
    registered,
    expires: expires ?? undefined,
    root: root ?? undefined,
    manifest: manifest ?? undefined,
    royaltyBps,
    referrerBps,
  };
}

/**
 * What the ledger says that the name earned.
 * @throws as `status`.
 */
export async function revenue(client: Client, name: string, options: Options = {}): Promise<Revenue> {
  const { earned, undivided, splits } = await factsOf(client, name, options);
  try {
    const shares = splits.map(({ account, bps, owed }) => ({ account, bps, owed: amount(BigInt(owed)) }));
    return { earned: amount(BigInt(earned)), undivided: amount(BigInt(undivided)), shares };
  } catch (error) {
    throw noGateway(error);
  }
}

/** Every origin of a gateway tells it of every name: a page asks its own. */
async function factsOf(client: Client, name: string, options: Options): Promise<Facts> {
  const question = { path: `/.relaymint/name/${encodeURIComponent(name)}`, accept: 'application/json' };
  const facts = await asked(client, { ...options, name: client.name ?? name }, question, jsonOf);
  if ((facts as Partial<Facts> | null)?.status === undefined) throw noGateway();
  return facts as Facts;
}

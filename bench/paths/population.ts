/** Networks on paper: offers of honest relays and of relays in one hand. Nobody verifies them, so nothing is signed. */
import { createHash } from 'node:crypto';
import { ledgerAddress, nodeId, type NodeId } from '../../core/ids.ts';
import { USUAL_PRICE } from '../../core/limits.ts';
import { pricePerMiB, unixMillis } from '../../core/units.ts';
import type { SignedOffer } from '../../node/offer/index.ts';

/** How the malicious relays go about it. */
export type Behaviour = 'honest' | 'refusing' | 'expensive' | 'sybil';

export const BEHAVIOURS: readonly Behaviour[] = ['honest', 'refusing', 'expensive', 'sybil'];

export interface Population {
  readonly relays: readonly SignedOffer[];
  readonly host: SignedOffer;
  readonly malicious: ReadonlySet<NodeId>;
}

/** Keys that a malicious operator runs behind its one wallet and in its one network. */
const SYBIL_KEYS = 25;
/** The most, in usual prices, that both ends of a circuit can ask together with an honest relay between them: see `defaultMaxPrice`. */
const DEAREST = 5n;
const FOREVER = unixMillis(Number.MAX_SAFE_INTEGER);

/** Who asks for circuits: no relay's id, and no host's. */
export const CLIENT: NodeId = nodeId(bytesOf('client'));

/** `operators` relays of as many wallets and networks; of the first `malicious` each may run more keys. */
export function populationOf(behaviour: Behaviour, operators: number, malicious: number): Population {
  const relays: SignedOffer[] = [];
  const bad = new Set<NodeId>();
  for (let operator = 0; operator < operators; operator += 1) {
    const isBad = operator < malicious;
    const keys = isBad && behaviour === 'sybil' ? SYBIL_KEYS : 1;
    const price = isBad && behaviour === 'expensive' ? DEAREST * USUAL_PRICE : USUAL_PRICE;
    for (let key = 0; key < keys; key += 1) {
      const offer = offerOf({ operator, key, service: 'relay', price });
      relays.push(offer);
      if (isBad) bad.add(offer.nodeId);
    }
  }
  const host = offerOf({ operator: operators, key: 0, service: 'content', price: USUAL_PRICE });
  return { relays, host, malicious: bad };
}

interface OfferFields {
  readonly operator: number;
  readonly key: number;
  readonly service: string;
  readonly price: bigint;
}

function offerOf({ operator, key, service, price }: OfferFields): SignedOffer {
  const [high, low] = [1 + (operator >> 8), operator & 0xff];
  return {
    nodeId: nodeId(bytesOf(`node ${operator} ${key}`)),
    onionKey: new Uint8Array(32),
    wallet: ledgerAddress(bytesOf(`wallet ${operator}`)),
    walletBinding: new Uint8Array(64),
    addresses: [`/ip4/${high}.${low}.0.${1 + key}/tcp/4001`],
    services: [{ name: service, price: pricePerMiB(price) }],
    sequence: 1n,
    kept: undefined,
    room: undefined,
    expires: FOREVER,
    encoded: new Uint8Array(0),
  };
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(text).digest());
}

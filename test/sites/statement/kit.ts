/** Hosts with keys, and what they state. */
import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '../../../core/ports.ts';
import { bytes, pricePerMiB, unixMillis, type PricePerMiB } from '../../../core/units.ts';
import { walletBindingMessage } from '../../../platform/keys/binding.ts';
import { identityFromSeed, type NodeIdentity } from '../../../platform/keys/identity.ts';
import {
  createStatementSigner,
  readStatement,
  type Delivered,
  type SignedStatement,
  type StatementSigner,
} from '../../../sites/statement/index.ts';
import { wallet, type TestWallet } from '../kit.ts';

export const PRICE: PricePerMiB = pricePerMiB(10_000n);

export interface StatingHost {
  readonly identity: NodeIdentity;
  readonly wallet: TestWallet;
  readonly sign: StatementSigner;
  state(change?: Partial<Delivered>): SignedStatement;
}

/** `seed` is that of its node key; its wallet's is that much further. */
export function statingHost(seed: number, clock: Clock = systemClock): StatingHost {
  const identity = identityFromSeed(new Uint8Array(32).fill(seed));
  const purse = wallet(seed + 100);
  const sign = createStatementSigner({
    identity,
    wallet: purse.address,
    walletBinding: purse.sign(walletBindingMessage(identity.nodeId)),
    price: PRICE,
    clock,
  });
  const state = (change: Partial<Delivered> = {}): SignedStatement =>
    readStatement(
      sign({
        name: 'demo.web3',
        nonce: randomBytes(16),
        bytes: bytes(1_000_000),
        since: unixMillis(clock.now()),
        ...change,
      }),
    );
  return { identity, wallet: purse, sign, state };
}

/** Strategies in which the chain is the stage: the real program on the embedded ledger, real wallets, real settlement. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isRelaymintError } from '../../../core/errors.ts';
import { nodeId } from '../../../core/ids.ts';
import { amount, lamports, pricePerMiB } from '../../../core/units.ts';
import { openAccountBook, openBookStore } from '../../../ledger/accounting/index.ts';
import type { ChannelState, ContentShare, LedgerWallet, SettleItem } from '../../../ledger/contract.ts';
import { delegateFromSeed, signReceipt } from '../../../ledger/receipt/index.ts';
import type { SignedReceipt, Signer } from '../../../ledger/receipt/index.ts';
import { startSettlement } from '../../../ledger/settlement/index.ts';
import {
  EMBEDDED_PROGRAM_ID,
  openSolanaLedger,
  programFile,
  startEmbeddedLedger,
  walletKeyFromSeed,
} from '../../../ledger/solana/index.ts';
import type { EmbeddedLedger, SolanaLedger } from '../../../ledger/solana/index.ts';
import { OPENING, PRICE } from '../node.ts';
import type { Outcome, Strategy } from '../strategy.ts';
import type { Seed } from '../seed.ts';

const SOL = 1_000_000_000n;
const CHALLENGE_SECONDS = 600;
/** A slot that was made or freed rests for a moment. */
const REST_SECONDS = 10;
const DEPOSIT = amount(1_000_000n);
const TERMS = { minDeposit: amount(100_000n), opening: amount(OPENING) };
/** A fraction of the challenge: the settlement engine looks so often by itself. */
const POLL_MILLIS = 50;
const LOOKS = 200;
/** Within the window of a stranger. */
const PART_BYTES = 1 << 19;
const PARTS = 16;
/** Of a transaction with one signature. */
const FEE = 5_000n;
const NAME = 'thief.web3';
/** A CID of no particular content. */
const ROOT = Uint8Array.of(1, 0x55, 0x12, 0x20, ...new Uint8Array(32).fill(7));

interface Chain {
  readonly server: EmbeddedLedger;
  readonly ledger: SolanaLedger;
  readonly seed: Seed;
  /** A wallet with a SOL and 20 credits. */
  wallet(label: string): Promise<LedgerWallet>;
  /** All that a wallet has outside its channels and tills, base units. */
  wealth(wallet: LedgerWallet): Promise<bigint>;
}

async function onChain(seed: Seed, play: (chain: Chain) => Promise<Outcome>): Promise<Outcome> {
  await using server = await startEmbeddedLedger({
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 1n, challengeSeconds: BigInt(CHALLENGE_SECONDS) },
    seed: seed.text,
  });
  const ledger = openSolanaLedger({ fetch, url: server.url, programId: EMBEDDED_PROGRAM_ID });
  try {
    return await play({
      server,
      ledger,
      seed,
      wallet: async (label) => {
        const wallet = ledger.wallet(walletKeyFromSeed(seed.text, label));
        await wallet.airdrop(lamports(SOL));
        await wallet.buy(lamports(20_000_000n));
        return wallet;
      },
      wealth: async (wallet) => {
        const { lamports: rest, credits } = await ledger.balances(wallet.address);
        return rest + credits;
      },
    });
  } finally {
    ledger.close();
  }
}

/**
 * A payer that had eight MiB asks for its channel back at once, with the last half of one signed for or not, and closes as soon as it may.
 */
async function closesOwing(chain: Chain, signs: boolean): Promise<Outcome> {
  const [payee, thief] = [await chain.wallet('payee'), await chain.wallet('thief')];
  await payee.openTill(4, TERMS);
  await chain.server.warp(REST_SECONDS);
  const before = await chain.wealth(thief);
  const delegate = delegateFromSeed(chain.seed.next());
  const channel = await thief.openChannel(payee.address, delegate.address, { deposit: DEPOSIT });
  const folder = await mkdtemp(join(tmpdir(), 'relaymint-adversary-'));
  const store = await openBookStore(join(folder, 'books'));
  const book = openAccountBook({ store, reader: chain.ledger });
  const engine = startSettlement({
    store,
    wallet: payee,
    reader: chain.ledger,
    policy: { pollMillis: POLL_MILLIS, retryMillis: POLL_MILLIS },
    onChannel: (state) => book.update(state),
  });
  const price = pricePerMiB(PRICE);
  const account = book.openEarning({
    peer: nodeId(chain.seed.next()),
    channel,
    price: pricePerMiB(4n * PRICE),
  });
  for (let part = 1; part <= PARTS; part += 1) {
    account.receivedUp(PART_BYTES, price);
    const { up, down, due } = account.counts();
    if (!signs && part === PARTS) break;
    account.receive(signReceipt({ channel: channel.id, amount: due, up, down }, delegate).bytes);
    await account.flushed();
  }
  const { due, signed } = account.counts();
  // As the link does that is told of the close.
  account.onFault = () => account.close();
  await thief.requestClose(channel);
  const isOver = async (): Promise<boolean> => {
    const till = await chain.ledger.till(payee.address);
    return till?.lifetimeEarned === signed && till.channels[0]?.opening === due - signed;
  };
  for (let look = 0; look < LOOKS && !(await isOver()); look += 1) await delay(POLL_MILLIS);
  await engine.close();
  await chain.server.warp(CHALLENGE_SECONDS + 1);
  await thief.closeChannel(channel);
  const earned = (await chain.ledger.till(payee.address))?.lifetimeEarned ?? 0n;
  await book.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
  const spent = before - (await chain.wealth(thief));
  return { honestLoss: due - earned, bound: OPENING, attackerGain: due - spent };
}

export const chainStrategies: readonly Strategy[] = [
  {
    name: 'closing-race',
    role: 'payer',
    what: 'asks for its channel back while the payee holds a receipt that is not settled, and closes as soon as it may',
    ledger: 'chain',
    async play({ scene }) {
      let outcome: Outcome | undefined;
      await scene.during(async () => {
        outcome = await onChain(scene.world.seed, (chain) => closesOwing(chain, true));
      });
      return () => outcome ?? unplayed();
    },
  },
  {
    name: 'closes-owing',
    role: 'payer',
    what: 'asks for its channel back while it owes, signs nothing, and wants what it staked as well',
    ledger: 'chain',
    async play({ scene }) {
      let outcome: Outcome | undefined;
      await scene.during(async () => {
        outcome = await onChain(scene.world.seed, (chain) => closesOwing(chain, false));
      });
      return () => outcome ?? unplayed();
    },
  },
  {
    name: 'farms-return-fees',
    role: 'payee',
    what: 'returns the opening payment of a payer that closes, and pays into it itself to take the fee of that again and again',
    ledger: 'chain',
    async play({ scene }) {
      let outcome: Outcome | undefined;
      await scene.during(async () => {
        outcome = await onChain(scene.world.seed, async (chain) => {
          const [thief, payer] = [await chain.wallet('thief'), await chain.wallet('payer')];
          await thief.openTill(4, TERMS);
          await chain.server.warp(REST_SECONDS);
          const [before, whole] = [await chain.wealth(thief), await chain.wealth(payer)];
          const delegate = delegateFromSeed(chain.seed.next());
          const channel = await payer.openChannel(thief.address, delegate.address, { deposit: DEPOSIT });
          await payer.requestClose(channel);
          for (let time = 0; time < 5; time += 1) {
            const now = await chain.ledger.channel(channel.till, channel.slot);
            if (now === undefined) throw new TypeError('the channel is gone');
            await thief.returnOpenings([{ channel: now, returned: now.opening }]);
            await thief.topUp(now, amount(0n), amount(OPENING));
          }
          await chain.server.warp(CHALLENGE_SECONDS + 1);
          await payer.closeChannel(channel);
          // Its own three transactions, and the fee of one return, are what closing costs an honest payer.
          const lost = whole - (await chain.wealth(payer));
          return {
            honestLoss: lost > 0n ? lost : 0n,
            bound: 4n * FEE,
            attackerGain: (await chain.wealth(thief)) - before,
          };
        });
      });
      return () => outcome ?? unplayed();
    },
  },
  {
    name: 'self-dealing',
    role: 'payee',
    what: 'pays its own till, settles and withdraws, so that credits might come out that were never put in',
    ledger: 'chain',
    async play({ scene }) {
      let outcome: Outcome | undefined;
      await scene.during(async () => {
        outcome = await onChain(scene.world.seed, async (chain) => {
          const [payee, payer] = [await chain.wallet('own till'), await chain.wallet('own payer')];
          const before = (await chain.wealth(payee)) + (await chain.wealth(payer));
          await payee.openTill(4, { minDeposit: amount(1n), opening: amount(0n) });
          await chain.server.warp(REST_SECONDS);
          const delegate = delegateFromSeed(chain.seed.next());
          const channel = await payer.openChannel(payee.address, delegate.address, { deposit: DEPOSIT });
          const signed = signReceipt({ channel: channel.id, amount: DEPOSIT, up: 1n, down: 1n }, delegate);
          const item = itemOf(signed, channel, delegate);
          // The same receipt twice.
          for (let time = 0; time < 2; time += 1) await payee.confirm(await sent(payee, item));
          await payee.withdraw();
          await payer.closeChannel(channel, payee);
          await payee.closeTill();
          const after = (await chain.wealth(payee)) + (await chain.wealth(payer));
          return { honestLoss: 0n, bound: 0n, attackerGain: after - before };
        });
      });
      return () => outcome ?? unplayed();
    },
  },
  {
    name: 'fills-a-till',
    role: 'payer',
    what: 'opens channels in all slots of a till with the least that it takes, so that nobody else can pay there',
    ledger: 'chain',
    async play({ scene }) {
      let outcome: Outcome | undefined;
      await scene.during(async () => {
        outcome = await onChain(scene.world.seed, async (chain) => {
          const slots = 4;
          const [payee, thief, honest] = [
            await chain.wallet('payee'),
            await chain.wallet('thief'),
            await chain.wallet('honest'),
          ];
          await payee.openTill(slots, TERMS);
          await chain.server.warp(REST_SECONDS);
          const [wealth, victim] = [await chain.wealth(thief), await chain.wealth(payee)];
          const channels = [];
          for (let slot = 0; slot < slots; slot += 1) {
            const { address } = delegateFromSeed(chain.seed.next());
            channels.push(await thief.openChannel(payee.address, address, { deposit: TERMS.minDeposit }));
          }
          // The owner has them out one by one, and somebody who wants to pay gets in.
          for (const channel of channels) await payee.closeByPayee(channel);
          // A slot rests for a moment, so that no old receipt comes back to life.
          await chain.server.warp(REST_SECONDS);
          await honest.openChannel(payee.address, delegateFromSeed(chain.seed.next()).address, { deposit: DEPOSIT });
          const honestLoss = victim - (await chain.wealth(payee));
          const spent = wealth - (await chain.wealth(thief));
          return { honestLoss, bound: spent, attackerGain: -spent };
        });
      });
      return () => outcome ?? unplayed();
    },
  },
  {
    name: 'declares-unpaid-royalties',
    role: 'host',
    what: "declares that a name of its own earned more than its receipts pay, so that it is paid out of other payers' deposits",
    ledger: 'chain',
    async play({ scene }) {
      let outcome: Outcome | undefined;
      await scene.during(async () => {
        outcome = await onChain(scene.world.seed, async (chain) => {
          const [host, owner, honest] = [
            await chain.wallet('host'),
            await chain.wallet('owner'),
            await chain.wallet('honest'),
          ];
          await host.openTill(4, TERMS);
          await owner.registerName({ name: NAME, root: ROOT, royaltyBps: 10_000 });
          await chain.server.warp(REST_SECONDS);
          const delegate = delegateFromSeed(chain.seed.next());
          const channel = await honest.openChannel(host.address, delegate.address, { deposit: DEPOSIT });
          const due = amount(OPENING);
          const item = itemOf(
            signReceipt({ channel: channel.id, amount: due, up: 1n, down: 1n }, delegate),
            channel,
            delegate,
          );
          const share = (gross: bigint) => [{ name: NAME, gross: amount(gross), maxRoyaltyBps: 10_000 }];
          // More than was paid, what was paid, and that once more with the same receipt.
          for (const gross of [DEPOSIT, due + 1n, due, due]) await attempt(host, item, share(gross));
          const [till, name] = [await chain.ledger.till(host.address), (await chain.ledger.findNames([NAME]))[0]];
          const taken = (till?.lifetimeEarned ?? 0n) + (name?.lifetime ?? 0n);
          const left = (await chain.ledger.channel(channel.till, channel.slot)) ?? channel;
          if (taken === 0n) throw new TypeError('nothing was settled');
          return { honestLoss: left.settled - due, bound: 0n, attackerGain: taken - due };
        });
      });
      return () => outcome ?? unplayed();
    },
  },
  {
    name: 'settles-an-earlier-generation',
    role: 'payee',
    what: 'keeps the receipts of a channel that was closed, and settles them again in the channel that came after it in its slot',
    ledger: 'chain',
    async play({ scene }) {
      let outcome: Outcome | undefined;
      await scene.during(async () => {
        outcome = await onChain(scene.world.seed, async (chain) => {
          const [payee, payer] = [await chain.wallet('payee'), await chain.wallet('payer')];
          await payee.openTill(1, TERMS);
          await chain.server.warp(REST_SECONDS);
          // The same key signs for both channels: that alone would not tell them apart.
          const delegate = delegateFromSeed(chain.seed.next());
          const due = amount(OPENING);
          const kept = [];
          for (let generation = 0; generation < 2; generation += 1) {
            const channel = await payer.openChannel(payee.address, delegate.address, { deposit: DEPOSIT });
            const signed = signReceipt({ channel: channel.id, amount: due, up: 1n, down: 1n }, delegate);
            for (const old of kept) await attempt(payee, { ...old, slot: channel.slot });
            const item = itemOf(signed, channel, delegate);
            kept.push(item);
            await attempt(payee, item);
            // Closed by the payee, which might settle what is left once more.
            await payee.closeByPayee(channel);
            await attempt(payee, item);
            await chain.server.warp(REST_SECONDS);
          }
          const taken = (await chain.ledger.till(payee.address))?.lifetimeEarned ?? 0n;
          const paid = 2n * due;
          return { honestLoss: taken - paid, bound: 0n, attackerGain: taken - paid };
        });
      });
      return () => outcome ?? unplayed();
    },
  },
];

function itemOf({ bytes }: SignedReceipt, { slot }: ChannelState, delegate: Signer): SettleItem {
  return { slot, delegate: delegate.address, message: bytes.subarray(0, 47), signature: bytes.subarray(47) };
}

async function sent(
  wallet: LedgerWallet,
  item: SettleItem,
  shares: readonly ContentShare[] = [],
): ReturnType<LedgerWallet['prepareSettle']> {
  const prepared = await wallet.prepareSettle([item], shares);
  await wallet.submit(prepared);
  return prepared;
}

/** What the ledger refuses changes nothing. */
async function attempt(wallet: LedgerWallet, item: SettleItem, shares: readonly ContentShare[] = []): Promise<void> {
  try {
    await wallet.confirm(await sent(wallet, item, shares));
  } catch (error) {
    if (!isRelaymintError(error)) throw error;
  }
}

function unplayed(): never {
  throw new TypeError('it was not played');
}

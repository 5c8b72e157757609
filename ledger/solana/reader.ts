/** Reads the chain. */
import { MintLayout, AccountLayout, TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { PublicKey, SYSVAR_CLOCK_PUBKEY } from '@solana/web3.js';
import type { AccountInfo, DataSlice } from '@solana/web3.js';
import bs58 from 'bs58';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import { amount, lamports, unixSeconds } from '../../core/units.ts';
import type { Lamports, UnixSeconds } from '../../core/units.ts';
import type {
  BankState,
  Balances,
  ChannelPlace,
  ChannelState,
  ClaimState,
  Commitment,
  Holdings,
  LedgerReader,
  NameEarnings,
  NameEarningsOptions,
  NameRecord,
  PreparedTransaction,
  TillState,
} from '../contract.ts';
import type { SolanaLedgerOptions } from './options.ts';
import {
  DISCRIMINATORS,
  FILTER_OFFSETS,
  FIRST_NAME,
  SIZES,
  bankAddress,
  claimAddress,
  creditAccountAddress,
  decodeBank,
  decodeClaim,
  decodeName,
  decodeTill,
  decodeTillHead,
  decodeTillSlot,
  mintAddress,
  nameAddress,
  slotOffset,
  tillAddress,
} from './program/index.ts';
import type { BankAccount, TillAccount, TillHead } from './program/index.ts';
import { nameEarnings } from './name-earnings.ts';
import { Rpc } from './rpc.ts';
import { channelState, nameRecord, tillState, toAddress, toKey } from './states.ts';
import type { ChannelContext } from './states.ts';
import { messageOfWire } from './version-one.ts';

type Info = AccountInfo<Buffer>;

/** Of a genesis hash, in a CAIP-2 reference of a Solana chain. */
const CHAIN_LETTERS = 32;

const feeAnswer = z.object({ value: z.number().int().nonnegative().nullable() });
/** Accounts that RPC nodes answer for in one request. */
const ACCOUNTS_AT_ONCE = 100;
/** Requests for slots under way at once. */
const SLOTS_AT_ONCE = 8;
/** The part of a till that says whose it is. */
const HEAD: DataSlice = { offset: 0, length: SIZES.tillHeader };

export class SolanaReader implements LedgerReader {
  readonly programId: LedgerAddress;
  /** For this folder only. */
  readonly program: PublicKey;
  readonly rpc: Rpc;
  /** Tills whose slots were read. */
  readonly #heads = new LRUCache<LedgerAddress, TillHead>({ max: MAX_ACCOUNTS });
  /** Fixed at initialization, so asked for once. */
  #clusterTag: Promise<Uint8Array> | undefined;

  constructor(options: SolanaLedgerOptions) {
    this.programId = options.programId;
    this.program = toKey(options.programId);
    this.rpc = new Rpc(options);
  }

  /** Which chain this is: its CAIP-2 reference, the first 32 letters of its genesis hash. */
  async chain(): Promise<string> {
    const genesis = await this.rpc.ask((connection) => connection.getGenesisHash());
    return genesis.slice(0, CHAIN_LETTERS);
  }

  async now(): Promise<UnixSeconds> {
    const [clock] = await this.accounts([SYSVAR_CLOCK_PUBKEY]);
    return timeOf(clock);
  }

  /** @throws RelaymintError LEDGER_REJECTED when this cluster has no initialized bank. */
  async bank(): Promise<BankState> {
    const address = bankAddress(this.program);
    const mint = mintAddress(this.program);
    const [bankInfo, mintInfo] = await this.accounts([address, mint]);
    const bank = this.#decodedBank(bankInfo);
    if (mintInfo === undefined || !mintInfo.owner.equals(TOKEN_PROGRAM_ID)) throw this.#noBank();
    const { clusterTag, unitsPerLamport, challengeSeconds, bought, redeemed, burned, minted } = bank;
    return {
      address: toAddress(address),
      mint: toAddress(mint),
      clusterTag,
      unitsPerLamport,
      challengeSeconds,
      bought,
      redeemed,
      burned,
      minted,
      openDeposits: bank.openDeposits,
      forgone: bank.forgone,
      unminted: bank.unminted,
      reserve: bank.reserve,
      supply: amount(MintLayout.decode(mintInfo.data).supply),
      admin: bank.admin.equals(PublicKey.default) ? undefined : toAddress(bank.admin),
      treasury: toAddress(bank.treasury),
      feeBps: bank.feeBps,
      fees: bank.fees,
      lifetimeFees: bank.lifetimeFees,
      nameYearPrice: bank.nameYearPrice,
      commitSeconds: bank.commitSeconds,
    };
  }

  /** web3.js reads lamports as a float: above 2^53 (nine million SOL) they are rounded. Credits are exact. */
  async balances(owner: LedgerAddress): Promise<Balances> {
    const key = toKey(owner);
    const [wallet, credits] = await this.accounts([key, creditAccountAddress(this.program, key)]);
    return {
      lamports: lamports(BigInt(wallet?.lamports ?? 0)),
      credits: amount(
        credits?.owner.equals(TOKEN_PROGRAM_ID) === true ? AccountLayout.decode(credits.data).amount : 0n,
      ),
    };
  }

  /** Whether the owner's associated token account can take credits. */
  async hasCreditAccount(owner: LedgerAddress): Promise<boolean> {
    const key = toKey(owner);
    const [info] = await this.accounts([creditAccountAddress(this.program, key)]);
    if (info?.owner.equals(TOKEN_PROGRAM_ID) !== true) return false;
    // Who owns a token account may give it to somebody else.
    return AccountLayout.decode(info.data).owner.equals(key);
  }

  tillAddress(owner: LedgerAddress): LedgerAddress {
    return toAddress(tillAddress(this.program, toKey(owner)));
  }

  async till(owner: LedgerAddress, commitment?: Commitment): Promise<TillState | undefined> {
    const address = tillAddress(this.program, toKey(owner));
    const till = await this.tillAccount(address, commitment);
    return till === undefined ? undefined : tillState(await this.#channelContext(), address, till);
  }

  async holdings(owners: readonly LedgerAddress[]): Promise<readonly Holdings[]> {
    const keys = owners.map(toKey);
    const [credits, heads] = await Promise.all([
      this.slices(
        keys.map((key) => creditAccountAddress(this.program, key)),
        { offset: 0, length: AccountLayout.span },
      ),
      this.slices(
        keys.map((key) => tillAddress(this.program, key)),
        HEAD,
      ),
    ]);
    return owners.map((_, index) => {
      const account = credits[index];
      const held = account?.owner.equals(TOKEN_PROGRAM_ID) === true && account.data.length === AccountLayout.span;
      return {
        credits: amount(held ? AccountLayout.decode(account.data).amount : 0n),
        earned: this.#headOf(heads[index])?.earned,
      };
    });
  }

  async channel(till: LedgerAddress, slot: number): Promise<ChannelState | undefined> {
    const [found] = await this.channels([{ till, slot }]);
    return found;
  }

  async channels(places: readonly ChannelPlace[]): Promise<readonly (ChannelState | undefined)[]> {
    if (places.length === 0) return [];
    const [context] = await Promise.all([this.#channelContext(), this.#readHeads(places)]);
    const bySlot = new Map<number, number[]>();
    for (const [index, { till, slot }] of places.entries()) {
      if (slot < (this.#heads.get(till)?.slots ?? 0)) bySlot.set(slot, [...(bySlot.get(slot) ?? []), index]);
    }
    const found: (ChannelState | undefined)[] = places.map(() => undefined);
    const left = [...bySlot];
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [slot, indexes] = next;
        const keys = indexes.map((index) => toKey((places[index] as ChannelPlace).till));
        const infos = await this.slices(keys, { offset: slotOffset(slot), length: SIZES.slot });
        for (const [at, index] of indexes.entries()) {
          const head = this.#heads.get((places[index] as ChannelPlace).till);
          const info = infos[at];
          if (head === undefined || info === undefined || !this.#isOwnPart(info, SIZES.slot)) continue;
          const state = decodeTillSlot(info.data, slot);
          if (state.open) found[index] = channelState(context, keys[at] as PublicKey, head, state);
        }
      }
    };
    await Promise.all(Array.from({ length: SLOTS_AT_ONCE }, work));
    return found;
  }

  async channelsOf(payer: LedgerAddress): Promise<readonly ChannelState[]> {
    const key = toKey(payer);
    const context = await this.#channelContext();
    // A payer may stand in any slot, so the node cannot filter by it: all tills are read and looked through here.
    const tills = await this.#ownAccounts(DISCRIMINATORS.till);
    return tills.flatMap(({ pubkey, account }) => {
      const till = decodeTill(account.data);
      return till.slots
        .filter((slot) => slot.open && slot.payer.equals(key))
        .map((slot) => channelState(context, pubkey, till, slot));
    });
  }

  async claim(payer: LedgerAddress): Promise<ClaimState | undefined> {
    const [info] = await this.accounts([claimAddress(this.program, toKey(payer))]);
    if (info === undefined || !info.owner.equals(this.program)) return undefined;
    return { payer, amount: decodeClaim(info.data).amount, lamports: lamports(BigInt(info.lamports)) };
  }

  async name(name: string): Promise<NameRecord | undefined> {
    return (await this.findNames([name]))[0];
  }

  async findNames(names: readonly string[]): Promise<readonly NameRecord[]> {
    const addresses = names.map((name) => nameAddress(this.program, name));
    const [clock, ...infos] = await this.accounts([SYSVAR_CLOCK_PUBKEY, ...addresses]);
    return addresses.flatMap((address, index) => {
      const info = infos[index];
      return info?.owner.equals(this.program) === true
        ? [nameRecord(address, decodeName(info.data), timeOf(clock))]
        : [];
    });
  }

  async names(): Promise<readonly NameRecord[]> {
    const known = [FIRST_NAME.discriminator, DISCRIMINATORS.name];
    // All but the version, which the program does not change until it has to.
    const all = await this.#ownAccounts(DISCRIMINATORS.name.subarray(0, -1));
    const found = all.filter(({ account: { data } }) =>
      known.some((each) => each.every((byte, at) => data[at] === byte)),
    );
    if (found.length === 0) return [];
    const now = await this.now();
    return found
      .map(({ pubkey, account }) => nameRecord(pubkey, decodeName(account.data), now))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  nameEarnings(name: string, options?: NameEarningsOptions): Promise<NameEarnings> {
    return nameEarnings(this, name, options);
  }

  /** What the network takes for a transaction as it is. @throws RelaymintError TIMEOUT when it has expired. */
  async feeOf({ wire }: Pick<PreparedTransaction, 'wire'>): Promise<Lamports> {
    const message = Buffer.from(messageOfWire(wire)).toString('base64');
    const { value } = await this.rpc.call('getFeeForMessage', [message, { commitment: 'confirmed' }], feeAnswer);
    if (value !== null) return lamports(value);
    throw new RelaymintError('TIMEOUT', 'The transaction expired before its fee was known.', { remedy: 'Try again.' });
  }

  /** For this folder only: the current accounts, undefined where there is none. */
  async accounts(
    keys: readonly PublicKey[],
    commitment: Commitment = 'confirmed',
  ): Promise<readonly (Info | undefined)[]> {
    const found = await this.rpc.ask((connection) => connection.getMultipleAccountsInfo([...keys], commitment));
    return keys.map((_, index) => found[index] ?? undefined);
  }

  /** For this folder only: as `accounts`, of however many. With `dataSlice` no more than that part comes over the wire. */
  async slices(keys: readonly PublicKey[], dataSlice?: DataSlice): Promise<readonly (Info | undefined)[]> {
    const infos: (Info | undefined)[] = [];
    for (let from = 0; from < keys.length; from += ACCOUNTS_AT_ONCE) {
      const some = keys.slice(from, from + ACCOUNTS_AT_ONCE);
      const found = await this.rpc.ask((connection) =>
        connection.getMultipleAccountsInfo(some, { commitment: 'confirmed', ...(dataSlice && { dataSlice }) }),
      );
      infos.push(...some.map((_, index) => found[index] ?? undefined));
    }
    return infos;
  }

  /** Reads whose tills these are, where that is not known. Neither owner nor layout of a till ever changes; it only grows. */
  async #readHeads(places: readonly ChannelPlace[]): Promise<void> {
    const unknown = new Set(
      places.filter(({ till, slot }) => slot >= (this.#heads.get(till)?.slots ?? 0)).map(({ till }) => till),
    );
    const tills = [...unknown];
    const infos = await this.slices(tills.map(toKey), HEAD);
    for (const [index, till] of tills.entries()) {
      const head = this.#headOf(infos[index]);
      if (head === undefined) this.#heads.delete(till);
      else this.#heads.set(till, head);
    }
  }

  /** undefined for what is no till of this program. */
  #headOf(info: Info | undefined): TillHead | undefined {
    if (info === undefined || !this.#isOwnPart(info, SIZES.tillHeader)) return undefined;
    try {
      return decodeTillHead(info.data);
    } catch (error) {
      if (isRelaymintError(error, 'INVALID_ENCODING')) return undefined;
      throw error;
    }
  }

  #isOwnPart({ owner, data }: Info, length: number): boolean {
    return owner.equals(this.program) && data.length === length;
  }

  /** For this folder: a till with its free slots too. */
  async tillAccount(address: PublicKey, commitment?: Commitment): Promise<TillAccount | undefined> {
    const [info] = await this.accounts([address], commitment);
    return info?.owner.equals(this.program) === true ? decodeTill(info.data) : undefined;
  }

  async #channelContext(): Promise<ChannelContext> {
    this.#clusterTag ??= this.accounts([bankAddress(this.program)])
      .then(([info]) => this.#decodedBank(info).clusterTag)
      .catch((error: unknown) => {
        this.#clusterTag = undefined;
        throw error;
      });
    return { programId: this.program, clusterTag: await this.#clusterTag };
  }

  async #ownAccounts(discriminator: Uint8Array): Promise<readonly { pubkey: PublicKey; account: Info }[]> {
    const memcmp = { offset: FILTER_OFFSETS.discriminator, bytes: bs58.encode(discriminator) };
    return this.rpc.ask((connection) => connection.getProgramAccounts(this.program, { filters: [{ memcmp }] }));
  }

  #decodedBank(info: Info | undefined): BankAccount {
    if (info === undefined || !info.owner.equals(this.program)) throw this.#noBank();
    return decodeBank(info.data);
  }

  #noBank(): RelaymintError {
    return new RelaymintError('LEDGER_REJECTED', `There is no Relaymint bank of program ${this.programId} here.`, {
      remedy: 'Check the ledger URL and the program id: they may belong to different clusters.',
    });
  }
}

/** The Clock sysvar: slot, epoch start, epoch, leader schedule epoch, Unix time; eight bytes each. */
const CLOCK_BYTES = 40;

function timeOf(clock: Info | undefined): UnixSeconds {
  if (clock?.data.length === CLOCK_BYTES) return unixSeconds(clock.data.readBigInt64LE(CLOCK_BYTES - 8));
  throw new RelaymintError('LEDGER_REJECTED', 'The ledger does not tell the time.', {
    remedy: 'Check that the URL is that of a Solana RPC node.',
  });
}

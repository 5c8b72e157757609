/** Reads the chain. */
import { MintLayout, AccountLayout, TOKEN_PROGRAM_ID } from '@solana/spl-token';
import { PublicKey, SYSVAR_CLOCK_PUBKEY, VersionedTransaction } from '@solana/web3.js';
import type { AccountInfo } from '@solana/web3.js';
import bs58 from 'bs58';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { amount, lamports, unixSeconds } from '../../core/units.ts';
import type { Lamports, UnixSeconds } from '../../core/units.ts';
import type {
  BankState,
  Balances,
  ChannelState,
  ClaimState,
  Commitment,
  LedgerReader,
  NameRecord,
  PreparedTransaction,
  TillState,
} from '../contract.ts';
import type { SolanaLedgerOptions } from './options.ts';
import {
  DISCRIMINATORS,
  FILTER_OFFSETS,
  bankAddress,
  claimAddress,
  creditAccountAddress,
  decodeBank,
  decodeClaim,
  decodeName,
  decodeTill,
  mintAddress,
  nameAddress,
  tillAddress,
} from './program/index.ts';
import type { BankAccount, TillAccount } from './program/index.ts';
import { Rpc } from './rpc.ts';
import { channelState, nameRecord, tillState, toAddress, toKey } from './states.ts';
import type { ChannelContext } from './states.ts';

type Info = AccountInfo<Buffer>;

export class SolanaReader implements LedgerReader {
  readonly programId: LedgerAddress;
  /** For this folder only. */
  readonly program: PublicKey;
  readonly rpc: Rpc;
  /** Fixed at initialization, so asked for once. */
  #clusterTag: Promise<Uint8Array> | undefined;

  constructor(options: SolanaLedgerOptions) {
    this.programId = options.programId;
    this.program = toKey(options.programId);
    this.rpc = new Rpc(options);
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

  async channel(till: LedgerAddress, slot: number): Promise<ChannelState | undefined> {
    const address = toKey(till);
    const account = await this.tillAccount(address);
    const found = account?.slots[slot];
    if (account === undefined || found?.open !== true) return undefined;
    return channelState(await this.#channelContext(), address, account, found);
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
    const found = await this.#ownAccounts(DISCRIMINATORS.name);
    if (found.length === 0) return [];
    const now = await this.now();
    return found
      .map(({ pubkey, account }) => nameRecord(pubkey, decodeName(account.data), now))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** What the network takes for a transaction as it is. @throws RelaymintError TIMEOUT when it has expired. */
  async feeOf({ wire }: Pick<PreparedTransaction, 'wire'>): Promise<Lamports> {
    const { message } = VersionedTransaction.deserialize(wire);
    const { value } = await this.rpc.ask((connection) => connection.getFeeForMessage(message));
    if (value !== null) return lamports(value);
    throw new RelaymintError('TIMEOUT', 'The transaction expired before its fee was known.', { remedy: 'Try again.' });
  }

  /** For this folder: accounts as they are now, undefined where there is none. */
  async accounts(
    keys: readonly PublicKey[],
    commitment: Commitment = 'confirmed',
  ): Promise<readonly (Info | undefined)[]> {
    const found = await this.rpc.ask((connection) => connection.getMultipleAccountsInfo([...keys], commitment));
    return keys.map((_, index) => found[index] ?? undefined);
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

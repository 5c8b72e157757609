/** SPL Token accounts and mints as the RPC shows them ("jsonParsed", token balances). */
import {
  ACCOUNT_SIZE,
  AccountLayout,
  AccountState,
  MINT_SIZE,
  MULTISIG_SIZE,
  MintLayout,
  TOKEN_2022_PROGRAM_ID,
  TOKEN_PROGRAM_ID,
} from '@solana/spl-token';
import type { AccountState as Account } from './machine.ts';

export const TOKEN_PROGRAM: string = TOKEN_PROGRAM_ID.toBase58();
export const TOKEN_2022_PROGRAM: string = TOKEN_2022_PROGRAM_ID.toBase58();
/** Both programs; the second's extensions are not shown. */
export const TOKEN_PROGRAMS: readonly string[] = [TOKEN_PROGRAM, TOKEN_2022_PROGRAM];
/** Where Token-2022 says what an account with extensions is: right after the longest base layout. */
const ACCOUNT_TYPE_OFFSET = ACCOUNT_SIZE;
const TYPE_MINT = 1;
const TYPE_ACCOUNT = 2;
const STATES = ['uninitialized', 'initialized', 'frozen'];

export interface TokenAmount {
  readonly amount: string;
  readonly decimals: number;
  /** For display; loses precision by nature. */
  readonly uiAmount: number | null;
  readonly uiAmountString: string;
}

export interface TokenAccount {
  readonly mint: string;
  readonly owner: string;
  readonly amount: bigint;
  readonly delegate: string | undefined;
  readonly delegatedAmount: bigint;
  readonly state: string;
  /** Lamports kept for rent when it wraps SOL. */
  readonly nativeReserve: bigint | undefined;
  readonly closeAuthority: string | undefined;
}

export interface Mint {
  readonly mintAuthority: string | undefined;
  readonly freezeAuthority: string | undefined;
  readonly supply: bigint;
  readonly decimals: number;
  readonly isInitialized: boolean;
}

export interface TokenBalance {
  readonly accountIndex: number;
  readonly mint: string;
  readonly owner: string;
  readonly programId: string;
  readonly uiTokenAmount: TokenAmount;
}

/** undefined if the account is not an initialized token account. */
export function tokenAccount(account: Account | undefined): TokenAccount | undefined {
  if (account === undefined || !TOKEN_PROGRAMS.includes(account.owner)) return undefined;
  if (!hasLayout(account.data, ACCOUNT_SIZE, TYPE_ACCOUNT)) return undefined;
  const raw = AccountLayout.decode(account.data);
  if (raw.state === AccountState.Uninitialized) return undefined;
  return {
    mint: raw.mint.toBase58(),
    owner: raw.owner.toBase58(),
    amount: raw.amount,
    delegate: raw.delegateOption === 0 ? undefined : raw.delegate.toBase58(),
    delegatedAmount: raw.delegatedAmount,
    state: STATES[raw.state] ?? 'initialized',
    nativeReserve: raw.isNativeOption === 0 ? undefined : raw.isNative,
    closeAuthority: raw.closeAuthorityOption === 0 ? undefined : raw.closeAuthority.toBase58(),
  };
}

/** undefined if the account is not an initialized mint. */
export function mintOf(account: Account | undefined): Mint | undefined {
  if (account === undefined || !TOKEN_PROGRAMS.includes(account.owner)) return undefined;
  if (!hasLayout(account.data, MINT_SIZE, TYPE_MINT)) return undefined;
  const raw = MintLayout.decode(account.data);
  if (!raw.isInitialized) return undefined;
  return {
    mintAuthority: raw.mintAuthorityOption === 0 ? undefined : raw.mintAuthority.toBase58(),
    freezeAuthority: raw.freezeAuthorityOption === 0 ? undefined : raw.freezeAuthority.toBase58(),
    supply: raw.supply,
    decimals: raw.decimals,
    isInitialized: raw.isInitialized,
  };
}

export function tokenAmount(amount: bigint, decimals: number): TokenAmount {
  const digits = amount.toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  const uiAmountString = fraction === '' ? whole : `${whole}.${fraction}`;
  return { amount: amount.toString(), decimals, uiAmount: Number(uiAmountString), uiAmountString };
}

/** The `parsed` member of a "jsonParsed" token account or mint; undefined for every other account. */
export function parsedTokenData(account: Account, lookup: (key: string) => Account | undefined): object | undefined {
  const program = account.owner === TOKEN_PROGRAM ? 'spl-token' : 'spl-token-2022';
  const mint = mintOf(account);
  if (mint !== undefined) {
    const info = {
      mintAuthority: mint.mintAuthority ?? null,
      supply: mint.supply.toString(),
      decimals: mint.decimals,
      isInitialized: true,
      freezeAuthority: mint.freezeAuthority ?? null,
    };
    return { program, parsed: { type: 'mint', info }, space: account.data.length };
  }
  const token = tokenAccount(account);
  if (token === undefined) return undefined;
  const decimals = mintOf(lookup(token.mint))?.decimals ?? 0;
  const info = {
    mint: token.mint,
    owner: token.owner,
    state: token.state,
    isNative: token.nativeReserve !== undefined,
    tokenAmount: tokenAmount(token.amount, decimals),
    ...(token.nativeReserve === undefined ? {} : { rentExemptReserve: tokenAmount(token.nativeReserve, decimals) }),
    ...(token.delegate === undefined
      ? {}
      : { delegate: token.delegate, delegatedAmount: tokenAmount(token.delegatedAmount, decimals) }),
    ...(token.closeAuthority === undefined ? {} : { closeAuthority: token.closeAuthority }),
  };
  return { program, parsed: { type: 'account', info }, space: account.data.length };
}

/** The token balances among a transaction's accounts. */
export function tokenBalances(
  keys: readonly string[],
  lookup: (key: string) => Account | undefined,
): readonly TokenBalance[] {
  return keys.flatMap((key, accountIndex) => {
    const account = lookup(key);
    const token = tokenAccount(account);
    if (account === undefined || token === undefined) return [];
    const decimals = mintOf(lookup(token.mint))?.decimals ?? 0;
    return [
      {
        accountIndex,
        mint: token.mint,
        owner: token.owner,
        programId: account.owner,
        uiTokenAmount: tokenAmount(token.amount, decimals),
      },
    ];
  });
}

function hasLayout(data: Uint8Array, baseSize: number, type: number): boolean {
  if (data.length === baseSize) return true;
  return data.length > ACCOUNT_TYPE_OFFSET && data.length !== MULTISIG_SIZE && data[ACCOUNT_TYPE_OFFSET] === type;
}

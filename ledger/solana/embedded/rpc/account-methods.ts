/** Methods that read accounts. */
import { z } from 'zod';
import { parse, addressText, checkContext, inContext, queryConfig, queryFields } from './method.ts';
import type { MethodTable } from './method.ts';
import { dataSliceField, encodeAccountJson, encodingField, filtersField } from './account-encoding.ts';
import type { AccountEncoding } from './account-encoding.ts';
import type { Chain } from '../chain.ts';
import { RpcError } from '../rpc-error.ts';
import { mintOf, tokenAccount, tokenAmount } from '../tokens.ts';
import { TOKEN_PROGRAMS } from '../tokens.ts';
import type { AccountState } from '../machine.ts';

const MAX_ACCOUNTS_PER_QUERY = 100;
const LARGEST_ACCOUNTS = 20;
/** The longest account there can be: 10 MiB. */
const MAX_ACCOUNT_BYTES = 10 * 1024 * 1024;

const accountConfig = z.looseObject({ ...queryFields, encoding: encodingField, dataSlice: dataSliceField }).nullish();
const programConfig = z
  .looseObject({
    ...queryFields,
    encoding: encodingField,
    dataSlice: dataSliceField,
    filters: filtersField,
    withContext: z.boolean().nullish(),
  })
  .nullish();
const tokenFilter = z.union([z.object({ mint: addressText }), z.object({ programId: addressText })]);

type AccountConfig = z.infer<typeof accountConfig>;

export const accountMethods: MethodTable = {
  getAccountInfo(chain, params) {
    const [key, config] = parse(params, addressText, accountConfig);
    checkContext(chain, config);
    return inContext(chain, show(chain, chain.account(key), config));
  },

  getMultipleAccounts(chain, params) {
    const keys = z.array(addressText).max(MAX_ACCOUNTS_PER_QUERY, {
      message: `Too many inputs provided; max ${MAX_ACCOUNTS_PER_QUERY}`,
    });
    const [list, config] = parse(params, keys, accountConfig);
    checkContext(chain, config);
    return inContext(
      chain,
      list.map((key) => show(chain, chain.account(key), config, 'base64')),
    );
  },

  getBalance(chain, params) {
    const [key, config] = parse(params, addressText, queryConfig);
    checkContext(chain, config);
    return inContext(chain, chain.account(key)?.lamports ?? 0n);
  },

  getMinimumBalanceForRentExemption(chain, params) {
    const [size] = parse(params, z.number().int().nonnegative().max(MAX_ACCOUNT_BYTES));
    return chain.machine.minimumRent(size);
  },

  getProgramAccounts(chain, params) {
    const [owner, config] = parse(params, addressText, programConfig);
    checkContext(chain, config);
    const found = chain.machine
      .programAccounts(owner)
      .filter(([, state]) => (config?.filters ?? []).every((passes) => passes(state)))
      .map(([pubkey, state]) => ({ account: show(chain, state, config), pubkey }));
    return config?.withContext === true ? inContext(chain, found) : found;
  },

  getTokenAccountBalance(chain, params) {
    const [key, config] = parse(params, addressText, queryConfig);
    checkContext(chain, config);
    const token = tokenAccount(chain.account(key));
    if (token === undefined) throw RpcError.invalidParams('Invalid param: not a Token account');
    return inContext(chain, tokenAmount(token.amount, mintOf(chain.account(token.mint))?.decimals ?? 0));
  },

  getTokenSupply(chain, params) {
    const [key, config] = parse(params, addressText, queryConfig);
    checkContext(chain, config);
    const mint = mintOf(chain.account(key));
    if (mint === undefined) throw RpcError.invalidParams('Invalid param: not a Token mint');
    return inContext(chain, tokenAmount(mint.supply, mint.decimals));
  },

  getTokenLargestAccounts(chain, params) {
    const [key, config] = parse(params, addressText, queryConfig);
    checkContext(chain, config);
    const mint = mintOf(chain.account(key));
    if (mint === undefined) throw RpcError.invalidParams('Invalid param: not a Token mint');
    const holders = tokenAccounts(chain, TOKEN_PROGRAMS, (token) => token.mint === key)
      .map(([address, state]) => ({ address, amount: tokenAccount(state)?.amount ?? 0n }))
      .sort((a, b) => Number(b.amount > a.amount) - Number(b.amount < a.amount))
      .slice(0, LARGEST_ACCOUNTS);
    return inContext(
      chain,
      holders.map(({ address, amount }) => ({ address, ...tokenAmount(amount, mint.decimals) })),
    );
  },

  getTokenAccountsByOwner(chain, params) {
    const [owner, filter, config] = parse(params, addressText, tokenFilter, accountConfig);
    checkContext(chain, config);
    const programs = 'programId' in filter ? TOKEN_PROGRAMS.filter((id) => id === filter.programId) : TOKEN_PROGRAMS;
    if (programs.length === 0) throw RpcError.invalidParams('Invalid param: unrecognized Token program id');
    const found = tokenAccounts(
      chain,
      programs,
      (token) => token.owner === owner && (!('mint' in filter) || token.mint === filter.mint),
    );
    return inContext(
      chain,
      found.map(([pubkey, state]) => ({ account: show(chain, state, config), pubkey })),
    );
  },
};

function show(
  chain: Chain,
  state: AccountState | undefined,
  config: AccountConfig,
  fallback: AccountEncoding = 'binary',
): object | null {
  if (state === undefined) return null;
  const lookup = (key: string): AccountState | undefined => chain.account(key);
  return encodeAccountJson(state, config?.encoding ?? fallback, config?.dataSlice, lookup);
}

function tokenAccounts(
  chain: Chain,
  programs: readonly string[],
  wanted: (token: NonNullable<ReturnType<typeof tokenAccount>>) => boolean,
): readonly (readonly [string, AccountState])[] {
  return programs
    .flatMap((program) => chain.machine.programAccounts(program))
    .filter(([, state]) => {
      const token = tokenAccount(state);
      return token !== undefined && wanted(token);
    });
}

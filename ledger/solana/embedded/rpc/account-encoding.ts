/** Accounts in the encodings of Solana's RPC, and the filters of account queries. */
import bs58 from 'bs58';
import { z } from 'zod';
import { equalBytes } from '../../../../core/codec.ts';
import type { AccountState } from '../machine.ts';
import { RPC, RpcError } from '../rpc-error.ts';
import { parsedTokenData, tokenAccount } from '../tokens.ts';

/** base58 is quadratic work: clusters refuse it for longer data too. */
const MAX_BASE58_BYTES = 128;
const MAX_MEMCMP_BYTES = 128;
const MAX_FILTERS = 4;
/** Rent is never collected any more; clusters show this for every account. */
const RENT_EXEMPT_EPOCH = (1n << 64n) - 1n;

export type AccountEncoding = 'binary' | 'base58' | 'base64' | 'jsonParsed';

export interface DataSlice {
  readonly offset: number;
  readonly length: number;
}

export const encodingField: z.ZodType<AccountEncoding | undefined> = z
  .enum(['binary', 'base58', 'base64', 'jsonParsed'])
  .optional();
export const dataSliceField: z.ZodType<DataSlice | undefined> = z
  .object({ offset: z.number().int().nonnegative(), length: z.number().int().nonnegative() })
  .optional();

export function encodeAccountJson(
  state: AccountState,
  encoding: AccountEncoding,
  slice: DataSlice | undefined,
  lookup: (key: string) => AccountState | undefined,
): object {
  return {
    data: encodeData(state, encoding, slice, lookup),
    executable: state.executable,
    lamports: state.lamports,
    owner: state.owner,
    rentEpoch: RENT_EXEMPT_EPOCH,
    space: state.data.length,
  };
}

function encodeData(
  state: AccountState,
  encoding: AccountEncoding,
  slice: DataSlice | undefined,
  lookup: (key: string) => AccountState | undefined,
): unknown {
  if (encoding === 'jsonParsed') {
    const parsed = parsedTokenData(state, lookup);
    if (parsed !== undefined) return parsed;
  }
  const data = slice === undefined ? state.data : state.data.subarray(slice.offset, slice.offset + slice.length);
  if (encoding === 'binary' || encoding === 'base58') {
    if (data.length > MAX_BASE58_BYTES) {
      throw new RpcError(
        RPC.invalidRequest,
        `Encoded binary (base 58) data should be less than ${MAX_BASE58_BYTES} bytes, please use Base64 encoding.`,
      );
    }
    const text = bs58.encode(data);
    return encoding === 'binary' ? text : [text, 'base58'];
  }
  return [Buffer.from(data).toString('base64'), 'base64'];
}

const memcmpFilter = z.object({
  memcmp: z.object({
    offset: z.number().int().nonnegative(),
    bytes: z.union([
      z.string().max(4 * MAX_MEMCMP_BYTES),
      z.array(z.number().int().min(0).max(255)).max(MAX_MEMCMP_BYTES),
    ]),
    encoding: z.enum(['base58', 'base64', 'bytes']).nullish(),
  }),
});
const filterShape = z.union([
  memcmpFilter,
  z.object({ dataSize: z.number().int().nonnegative() }),
  z.literal('tokenAccountState'),
  z.object({ tokenAccountState: z.unknown() }),
]);

export type AccountFilter = (state: AccountState) => boolean;

/** The `filters` of getProgramAccounts, compiled: an account must pass them all. */
export const filtersField: z.ZodType<readonly AccountFilter[] | undefined | null> = z
  .array(filterShape)
  .max(MAX_FILTERS, { message: `Too many filters provided; max ${MAX_FILTERS}` })
  .transform((filters) => filters.map((filter) => compile(filter)))
  .nullish();

function compile(filter: z.infer<typeof filterShape>): AccountFilter {
  if (typeof filter === 'string' || 'tokenAccountState' in filter) return (state) => tokenAccount(state) !== undefined;
  if ('dataSize' in filter) return (state) => state.data.length === filter.dataSize;
  const { offset, bytes, encoding } = filter.memcmp;
  const wanted = memcmpBytes(bytes, encoding ?? 'base58');
  return (state) => equalBytes(state.data.subarray(offset, offset + wanted.length), wanted);
}

function memcmpBytes(bytes: string | readonly number[], encoding: 'base58' | 'base64' | 'bytes'): Uint8Array {
  let raw: Uint8Array;
  try {
    if (typeof bytes !== 'string') raw = Uint8Array.from(bytes);
    else raw = encoding === 'base64' ? Buffer.from(bytes, 'base64') : bs58.decode(bytes);
  } catch (cause) {
    throw RpcError.invalidParams('Invalid params: the bytes of a memcmp filter do not decode.', cause);
  }
  if (raw.length > MAX_MEMCMP_BYTES) throw RpcError.invalidParams('Invalid params: encoded binary data too long.');
  return raw;
}

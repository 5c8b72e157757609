/** What a name earned, settlement by settlement, as the program said when it happened. */
import { PublicKey, type AccountInfo } from '@solana/web3.js';
import { z } from 'zod';
import { assertNotAborted } from '../../core/abort.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { amount, unixSeconds, type UnixSeconds } from '../../core/units.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { NameEarning, NameEarnings, NameEarningsOptions } from '../contract.ts';
import { decodeName, nameAddress, programEvents, type ProgramEvent } from './program/index.ts';
import type { Rpc } from './rpc.ts';
import { toAddress } from './states.ts';

/** Signatures that a node lists in one answer. */
const PAGE = 1_000;
/** Transactions read at once. */
const READS_AT_ONCE = 8;

const signaturesAnswer = z.array(
  z.object({
    signature: z.string(),
    err: z.unknown(),
    blockTime: z.number().int().nullish(),
  }),
);

const logsAnswer = z.object({ meta: z.object({ logMessages: z.array(z.string()).nullish() }).nullable() }).nullable();

/** What reads the chain. */
interface Chain {
  readonly program: PublicKey;
  readonly rpc: Rpc;
  slices(keys: readonly PublicKey[]): Promise<readonly (AccountInfo<Buffer> | undefined)[]>;
}

interface Listed {
  readonly signature: string;
  readonly at: UnixSeconds | undefined;
}

/** See `LedgerReader.nameEarnings`. */
export async function nameEarnings(
  reader: Chain,
  name: string,
  options: NameEarningsOptions = {},
): Promise<NameEarnings> {
  const address = nameAddress(reader.program, name);
  const listed = await list(reader, address, options);
  const found: { readonly listed: Listed; readonly events: readonly ProgramEvent[] | undefined }[] = [];
  for (let from = 0; from < listed.length; from += READS_AT_ONCE) {
    assertNotAborted(options.signal, 'Reading what a name earned');
    const some = listed.slice(from, from + READS_AT_ONCE);
    const events = await Promise.all(some.map(({ signature }) => eventsOf(reader, signature)));
    found.push(...some.map((one, index) => ({ listed: one, events: events[index] })));
    options.onProgress?.(found.length, listed.length);
  }
  const others = await namesAt(
    reader,
    found.flatMap(({ events = [] }) => events.flatMap(namesIn)),
  );
  const names = new Map([...others, [address.toBase58(), name]]);
  return {
    earnings: found.flatMap((one) => earningsIn(one.listed, one.events ?? [], address, names)),
    transactions: listed.length,
    unread: found.filter(({ events }) => events === undefined).map((one) => one.listed.signature),
  };
}

/** Newest first; failed ones changed nothing. */
async function list({ rpc }: Chain, address: PublicKey, { since, signal }: NameEarningsOptions): Promise<Listed[]> {
  const listed: Listed[] = [];
  const seen = new Set<string>();
  let before: string | undefined;
  for (;;) {
    const known = seen.size;
    assertNotAborted(signal, 'Reading what a name earned');
    const config = { limit: PAGE, commitment: 'confirmed', ...(before !== undefined && { before }) };
    const page = await rpc.call('getSignaturesForAddress', [address.toBase58(), config], signaturesAnswer);
    for (const { signature, err, blockTime } of page) {
      const at = typeof blockTime === 'number' ? unixSeconds(BigInt(blockTime)) : undefined;
      if (since !== undefined && at !== undefined && at < since) return listed;
      // A node that says one twice must not have it counted twice.
      if (!seen.has(signature) && (err === null || err === undefined)) listed.push({ signature, at });
      seen.add(signature);
    }
    before = page.at(-1)?.signature;
    if (page.length < PAGE || before === undefined || seen.size === known) return listed;
  }
}

/** undefined: the node does not have them, or not all. */
async function eventsOf(reader: Chain, signature: string): Promise<readonly ProgramEvent[] | undefined> {
  const config = { commitment: 'confirmed', maxSupportedTransactionVersion: 1, encoding: 'base64' };
  const answer = await reader.rpc.call('getTransaction', [signature, config], logsAnswer);
  const logs = answer?.meta?.logMessages;
  if (logs === undefined || logs === null) return undefined;
  try {
    const { events, complete } = programEvents(reader.program, logs);
    // Shares are followed by the settlement that they are of.
    const open = events.findLastIndex(isEarned) > events.findLastIndex(isSettlement);
    return complete && logs.length > 0 && !open ? events : undefined;
  } catch (error) {
    if (isRelaymintError(error, 'INVALID_ENCODING')) return undefined;
    throw error;
  }
}

function isSettlement({ name }: ProgramEvent): boolean {
  return name === 'settle' || name === 'settleVerified';
}

function isEarned({ name }: ProgramEvent): boolean {
  return name === 'nameEarned';
}

function namesIn(event: ProgramEvent): PublicKey[] {
  return isEarned(event) ? [event.account, event.who].filter((key) => !key.equals(PublicKey.default)) : [];
}

async function namesAt(reader: Chain, keys: readonly PublicKey[]): Promise<ReadonlyMap<string, string>> {
  const distinct = [...new Map(keys.map((key) => [key.toBase58(), key])).values()];
  const infos = await reader.slices(distinct);
  const names = new Map<string, string>();
  for (const [index, key] of distinct.entries()) {
    const info = infos[index];
    if (info?.owner.equals(reader.program) !== true) continue;
    const { name } = decodeName(info.data);
    // Where a name's record is follows from the name: a node cannot pass one off as another.
    if (nameAddress(reader.program, name).equals(key)) names.set(key.toBase58(), name);
  }
  return names;
}

/** The lines of shares stand before that of their settlement, which says whose it was. */
function earningsIn(
  { signature, at }: Listed,
  events: readonly ProgramEvent[],
  address: PublicKey,
  names: ReadonlyMap<string, string>,
): NameEarning[] {
  const earnings: NameEarning[] = [];
  let waiting: ProgramEvent[] = [];
  for (const event of events) {
    if (isEarned(event)) waiting.push(event);
    else if (isSettlement(event)) {
      const seller = toAddress(event.who);
      const ours = waiting.filter(({ account, who }) => account.equals(address) || who.equals(address));
      earnings.push(...ours.map((share) => earningOf(share, { signature, at, seller }, names)));
      waiting = [];
    }
  }
  return earnings;
}

function earningOf(
  { account, who, values }: ProgramEvent,
  settled: { readonly signature: string; readonly at: UnixSeconds | undefined; readonly seller: LedgerAddress },
  names: ReadonlyMap<string, string>,
): NameEarning {
  const { gross = 0n, royalty = 0n, referred = 0n } = values;
  return {
    ...settled,
    name: names.get(account.toBase58()) ?? account.toBase58(),
    ...(!who.equals(PublicKey.default) && { referrer: names.get(who.toBase58()) ?? who.toBase58() }),
    gross: amount(gross),
    royalty: amount(royalty),
    referred: amount(referred),
  };
}

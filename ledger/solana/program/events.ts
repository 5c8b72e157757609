/**
 * The program's log lines: one for each instruction that changed something. 96 bytes: tag u8 (the instruction's),
 * version u8, slot u16, generation u32, account, who, then three u64 that `EVENTS` names.
 */
import { PublicKey } from '@solana/web3.js';
import { Reader } from '../../../core/codec.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { TAGS } from './encoding.ts';

/** Beside the instructions: what one does for each of several. */
export const EVENT_TAGS: typeof TAGS & { readonly nameEarned: 128 } = { ...TAGS, nameEarned: 128 };

export type EventName = keyof typeof EVENT_TAGS;

export interface ProgramEvent {
  /** The instruction that wrote it. */
  readonly name: EventName;
  /** Of the channel; undefined where the event is not about one. */
  readonly channel: { readonly slot: number; readonly generation: number } | undefined;
  /** The account that changed: till, bank, name, commitment or claim. */
  readonly account: PublicKey;
  /** Whose it is, or who did it: see `EVENTS`. */
  readonly who: PublicKey;
  /** By the names that `EVENTS` gives them: base units, lamports, seconds, slots or counts. */
  readonly values: Readonly<Record<string, bigint>>;
}

/** What `account` and `who` are, and what the three numbers mean. Unused numbers are 0. */
export interface EventLayout {
  readonly account: 'bank' | 'till' | 'name' | 'commitment' | 'claim';
  readonly who: string;
  readonly values: readonly string[];
  /** Slot and generation are a channel's. */
  readonly channel?: true;
}

export const EVENTS: Readonly<Record<EventName, EventLayout>> = {
  initialize: { account: 'bank', who: 'admin', values: ['unitsPerLamport', 'challengeSeconds', 'feeBps'] },
  buy: { account: 'bank', who: 'buyer', values: ['lamports', 'units'] },
  redeem: { account: 'bank', who: 'owner', values: ['amount', 'lamports'] },
  openTill: { account: 'till', who: 'owner', values: ['slots', 'minDeposit', 'opening'] },
  openChannel: { account: 'till', who: 'payer', values: ['deposit', 'opening', 'rent'], channel: true },
  topUp: { account: 'till', who: 'funder', values: ['amount', 'opening'], channel: true },
  settle: { account: 'till', who: 'owner', values: ['total', 'fee', 'royalties'] },
  withdraw: { account: 'till', who: 'owner', values: ['amount'] },
  requestClose: { account: 'till', who: 'payer', values: ['closeAt', 'closeSlot'], channel: true },
  closeChannel: { account: 'till', who: 'payer', values: ['settled', 'refund', 'rent'], channel: true },
  registerName: { account: 'name', who: 'owner', values: ['price', 'expiresAt', 'seq'] },
  updateName: { account: 'name', who: 'owner', values: ['seq', 'flags'] },
  distributeName: { account: 'name', who: 'owner', values: ['divided', 'paid', 'accrued'] },
  settleVerified: { account: 'till', who: 'owner', values: ['total', 'fee', 'royalties'] },
  growTill: { account: 'till', who: 'owner', values: ['slots'] },
  closeTill: { account: 'till', who: 'owner', values: ['lamports'] },
  configure: { account: 'bank', who: 'admin', values: ['flags'] },
  collectFees: { account: 'bank', who: 'treasury', values: ['amount'] },
  commitName: { account: 'commitment', who: 'committer', values: ['committedAt'] },
  renewName: { account: 'name', who: 'owner', values: ['price', 'expiresAt', 'seq'] },
  transferName: { account: 'name', who: 'newOwner', values: ['seq'] },
  dropCommitment: { account: 'commitment', who: 'committer', values: ['lamports'] },
  setTillTerms: { account: 'till', who: 'owner', values: ['minDeposit', 'opening', 'slotRent'] },
  closeByPayee: { account: 'till', who: 'payer', values: ['settled', 'rest', 'rent'], channel: true },
  payClaim: { account: 'claim', who: 'payer', values: ['amount', 'lamports'] },
  returnOpening: { account: 'till', who: 'payer', values: ['amount', 'kept', 'fee'], channel: true },
  setRecovery: { account: 'name', who: 'recoveryKey', values: ['delay', 'seq'] },
  beginRecovery: { account: 'name', who: 'newOwner', values: ['recoverAt', 'recoverSlot', 'seq'] },
  cancelRecovery: { account: 'name', who: 'signer', values: ['seq'] },
  finishRecovery: { account: 'name', who: 'newOwner', values: ['seq'] },
  // Before the line of the settlement that it is a part of.
  nameEarned: { account: 'name', who: 'referrer', values: ['gross', 'royalty', 'referred'] },
};

/** Bytes of a line. */
export const EVENT_SIZE = 96;
const EVENT_VERSION = 1;
const DATA_PREFIX = 'Program data: ';

const BY_TAG: ReadonlyMap<number, EventName> = new Map(
  Object.entries(EVENT_TAGS).map(([name, tag]) => [tag, name as EventName]),
);

/** @throws RelaymintError INVALID_ENCODING when it is no line of a version known here. */
export function decodeEvent(line: Uint8Array): ProgramEvent {
  if (line.length !== EVENT_SIZE) throw malformed(`it has ${line.length} bytes, not ${EVENT_SIZE}`);
  const reader = new Reader(line, 'event');
  const tag = reader.u8();
  const name = BY_TAG.get(tag);
  const version = reader.u8();
  if (name === undefined || version !== EVENT_VERSION) throw malformed(`tag ${tag}, version ${version} are unknown`);
  const layout = EVENTS[name];
  const slot = reader.u16();
  const generation = reader.u32();
  return {
    name,
    channel: layout.channel === true ? { slot, generation } : undefined,
    account: new PublicKey(reader.bytes(32)),
    who: new PublicKey(reader.bytes(32)),
    values: Object.fromEntries(layout.values.map((value) => [value, reader.u64()])),
  };
}

/**
 * The program's own lines among a transaction's logs, in their order. Lines that other programs wrote are left out,
 * whatever they look like. A log that the node cut short ends the list: `complete` says whether it was whole. The logs of a
 * failed transaction tell of nothing that lasted: look at its error first.
 */
export function programEvents(
  programId: PublicKey,
  logs: readonly string[],
): { readonly events: readonly ProgramEvent[]; readonly complete: boolean } {
  const ours = programId.toBase58();
  /** Programs that run, the innermost last. */
  const running: string[] = [];
  const events: ProgramEvent[] = [];
  for (const line of logs) {
    if (line === 'Log truncated') return { events, complete: false };
    const invoked = /^Program (\w+) invoke \[\d+\]$/.exec(line)?.[1];
    if (invoked !== undefined) running.push(invoked);
    else if (/^Program \w+ (?:success$|failed: )/.test(line)) running.pop();
    else if (line.startsWith(DATA_PREFIX) && running.at(-1) === ours) {
      events.push(decodeEvent(Buffer.from(line.slice(DATA_PREFIX.length), 'base64')));
    }
  }
  return { events, complete: true };
}

function malformed(detail: string): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `Malformed event: ${detail}.`);
}

/**
 * The program's fixed layouts: one row a field, little-endian, offsets in bytes. The Rust side keeps the same figures in
 * `ledger/program/src/state.rs`; a test compares both with `ledger/program/idl.json`.
 */

/** `text64`: one length byte and 63 bytes of room. `pad`: zero today, reserved for later versions. */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'i64' | 'pubkey' | 'bytes' | 'text64' | 'pad' | 'list';

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly offset: number;
  readonly size: number;
}

/** Last byte of each discriminator is the layout's version. */
export const DISCRIMINATORS: Readonly<Record<'bank' | 'till' | 'name' | 'commitment' | 'claim', Uint8Array>> = {
  bank: discriminator('RMbank', 3),
  till: discriminator('RMtill', 2),
  name: discriminator('RMname', 2),
  commitment: discriminator('RMcmit', 1),
  claim: discriminator('RMowed', 1),
};

/** Names of before there was recovery, which lack its fields: the program goes on with them, and they grow when they get a recovery key. */
export const FIRST_NAME: { readonly discriminator: Uint8Array; readonly size: number } = {
  discriminator: discriminator('RMname', 1),
  size: 768,
};

/** Account sizes in bytes. */
export const SIZES = {
  bank: 288,
  tillHeader: 128,
  slot: 136,
  name: 800,
  split: 48,
  commitment: 88,
  claim: 56,
} as const;

/** Where `getProgramAccounts` filters look. Offsets in bytes from the start of the account. */
export const FILTER_OFFSETS = {
  discriminator: 0,
  tillOwner: 16,
  nameOwner: 80,
  nameManager: 112,
  committer: 16,
} as const;

/** Slots of a till: beyond some, reading it for every channel costs more than a second till. 1,024 are 139,392 bytes. */
export const MAX_SLOTS = 1024;
/** Slots that one instruction may add: with a new till's header they fill the 10,240 bytes it may allocate. */
export const MAX_NEW_SLOTS = 74;
/** Receipts in one settle instruction: as many as 4,096 bytes hold. A transaction of 1,232 bytes holds fewer. */
export const MAX_BATCH_RECEIPTS = 64;
/** Receipts in one settleVerified instruction. */
export const MAX_VERIFIED_RECEIPTS = 8;
/** Shares of content names in one settle or settleVerified instruction. */
export const MAX_BATCH_SHARES = 8;
/** Name accounts in one of them: each share's name and its referrer. */
export const MAX_BATCH_NAMES: number = 2 * MAX_BATCH_SHARES;
/** Splits of one name. */
export const MAX_SPLITS = 8;
/** Bytes of a name: with its dots and hyphens escaped it must still fit a 63-byte host label. */
export const MAX_NAME_BYTES = 58;
/** Bytes of a binary CID kept on chain. */
export const MAX_ROOT_BYTES = 63;
/** 10,000 basis points are the whole. */
export const BPS_WHOLE = 10_000;
/** Decimals of the credit mint. */
export const CREDIT_DECIMALS = 6;
/** 90 days: longer would lock a payer's money without protecting anybody more. */
export const MAX_CHALLENGE_SECONDS = 7_776_000n;
/** The bank holds that many times its rent from the start, so that the cluster's price may rise as much. */
export const BANK_RENT_CUSHION = 10n;
/** Slots that must pass for each second of a challenge period: a cluster makes 2.5 or more. */
export const CHALLENGE_SLOTS_PER_SECOND = 2n;
/** An hour: longer would only delay registrations. */
export const MAX_COMMIT_SECONDS = 3_600;
/** Base units. Keeps every price that is computed from it within 64 bits. */
export const MAX_NAME_YEAR_PRICE: bigint = 1n << 40n;
/** Seconds between the beginning of a recovery and its end: a day to 90 days. */
export const RECOVERY_DELAYS = { least: 86_400, most: 7_776_000 } as const;
/** A tenth: the admin, who sets the fee, can never take more. */
export const MAX_FEE_BPS = 1_000;
/** tag 1, channel id 22, amount 8, up 8, down 8. */
export const RECEIPT_BYTES = 47;

export const BANK_FIELDS: readonly Field[] = layout([
  ['discriminator', 'bytes', 8],
  ['bump', 'u8', 1],
  ['pad0', 'pad', 7],
  ['admin', 'pubkey', 32],
  ['clusterTag', 'bytes', 16],
  ['unitsPerLamport', 'u64', 8],
  ['challengeSeconds', 'u64', 8],
  ['bought', 'u64', 8],
  ['redeemed', 'u64', 8],
  ['burned', 'u64', 8],
  ['minted', 'u64', 8],
  ['openDeposits', 'u64', 8],
  ['unminted', 'u64', 8],
  ['reserve', 'u64', 8],
  ['treasury', 'pubkey', 32],
  ['fees', 'u64', 8],
  ['nameYearPrice', 'u64', 8],
  ['feeBps', 'u16', 2],
  ['feeCarry', 'u16', 2],
  ['commitSeconds', 'u32', 4],
  ['lifetimeFees', 'u64', 8],
  ['address', 'pubkey', 32],
  ['mint', 'pubkey', 32],
  ['forgone', 'u64', 8],
  ['rent', 'u64', 8],
  ['slotRents', 'u64', 8],
]);

export const TILL_FIELDS: readonly Field[] = layout([
  ['discriminator', 'bytes', 8],
  ['bump', 'u8', 1],
  ['pad0', 'pad', 3],
  ['slotCount', 'u32', 4],
  ['owner', 'pubkey', 32],
  ['earned', 'u64', 8],
  ['lifetimeEarned', 'u64', 8],
  ['address', 'pubkey', 32],
  ['minDeposit', 'u64', 8],
  ['opening', 'u64', 8],
  ['slotRent', 'u64', 8],
  ['spare', 'pad', 8],
]);

export const SLOT_FIELDS: readonly Field[] = layout([
  ['payer', 'pubkey', 32],
  ['delegate', 'pubkey', 32],
  ['deposit', 'u64', 8],
  ['settled', 'u64', 8],
  ['up', 'u64', 8],
  ['down', 'u64', 8],
  ['generation', 'u32', 4],
  ['flags', 'u32', 4],
  ['closeAt', 'i64', 8],
  ['closeSlot', 'u64', 8],
  ['opening', 'u64', 8],
  ['rent', 'u64', 8],
]);

export const NAME_FIELDS: readonly Field[] = layout([
  ['discriminator', 'bytes', 8],
  ['bump', 'u8', 1],
  ['name', 'text64', 64],
  ['pad0', 'pad', 7],
  ['owner', 'pubkey', 32],
  ['manager', 'pubkey', 32],
  ['registeredAt', 'i64', 8],
  ['expiresAt', 'i64', 8],
  ['seq', 'u64', 8],
  ['root', 'text64', 64],
  ['manifest', 'text64', 64],
  ['royaltyBps', 'u16', 2],
  ['royaltyCarry', 'u16', 2],
  ['splitCount', 'u8', 1],
  ['pad1', 'pad', 1],
  ['referrerBps', 'u16', 2],
  ['splits', 'list', MAX_SPLITS * SIZES.split],
  ['accrued', 'u64', 8],
  ['lifetime', 'u64', 8],
  ['referrerCarry', 'u16', 2],
  ['pad2', 'pad', 2],
  ['transfers', 'u32', 4],
  ['recoveryKey', 'pubkey', 32],
  ['newOwner', 'pubkey', 32],
  ['recoverAt', 'i64', 8],
  ['recoverSlot', 'u64', 8],
  ['recoveryDelay', 'u32', 4],
  ['spare', 'pad', 4],
]);

export const SPLIT_FIELDS: readonly Field[] = layout([
  ['account', 'pubkey', 32],
  ['bps', 'u16', 2],
  ['pad0', 'pad', 6],
  ['owed', 'u64', 8],
]);

export const COMMITMENT_FIELDS: readonly Field[] = layout([
  ['discriminator', 'bytes', 8],
  ['bump', 'u8', 1],
  ['pad0', 'pad', 7],
  ['committer', 'pubkey', 32],
  ['hash', 'bytes', 32],
  ['committedAt', 'i64', 8],
]);

export const CLAIM_FIELDS: readonly Field[] = layout([
  ['discriminator', 'bytes', 8],
  ['bump', 'u8', 1],
  ['pad0', 'pad', 7],
  ['payer', 'pubkey', 32],
  ['amount', 'u64', 8],
]);

/** Bytes of a till account with that many slots. */
export function tillSize(slots: number): number {
  return SIZES.tillHeader + slots * SIZES.slot;
}

/** Where a slot begins in a till account. */
export function slotOffset(slot: number): number {
  return tillSize(slot);
}

function layout(rows: readonly (readonly [string, FieldType, number])[]): readonly Field[] {
  let offset = 0;
  return rows.map(([name, type, size]) => {
    const field = { name, type, offset, size };
    offset += size;
    return field;
  });
}

function discriminator(text: string, version: number): Uint8Array {
  return Uint8Array.from([...new TextEncoder().encode(text), 0, version]);
}

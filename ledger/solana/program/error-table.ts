/** The program's own error codes. A number is never reused; `ledger/program/src/error.rs` holds the same list. */
import type { ErrorCode } from '../../../core/errors.ts';

export interface ProgramErrorEntry {
  /** The custom error code that the chain reports. */
  readonly number: number;
  readonly name: string;
  /** What happened. */
  readonly message: string;
  /** What to do about it. */
  readonly remedy: string;
  /** The project-wide code that callers act on. */
  readonly code: ErrorCode;
}

/** They start where no other program's do, so that a token program's error inside ours is told apart. */
export const FIRST_PROGRAM_ERROR = 6000;

type Row = readonly [name: string, message: string, remedy: string, code?: ErrorCode];

const CLIENT = 'Use instructions built by the client of the same version as the program.';
const REFRESH = 'Read the till again and retry with what it says now.';
const RECEIPT = 'Settle only receipts that were verified when they were taken.';

/** 6000 .. 6027: accounts, the bank, tills and receipts. */
const ROWS: readonly Row[] = [
  ['InvalidInstruction', 'The instruction data are malformed.', CLIENT],
  ['WrongAccountCount', 'The instruction was given too few or too many accounts.', CLIENT],
  ['NotSigner', 'An account that must sign did not.', 'Sign the transaction with every key it names.'],
  ['NotWritable', 'An account that the instruction changes was passed read-only.', CLIENT],
  ['WrongAddress', 'An account is not at the address the program expects.', 'Check the program id and the cluster.'],
  ['WrongOwner', 'An account belongs to another program.', 'Check that the account exists on this cluster.'],
  ['WrongAccountType', 'An account is of another kind or layout version.', CLIENT],
  ['AlreadyExists', 'What should be created exists already.', 'Nothing needs to be done.'],
  [
    'InvalidConfiguration',
    'A setting is outside its range.',
    'See the limits in idl.json: price, periods, fee, treasury.',
  ],
  ['ZeroAmount', 'An amount of 0 was given.', 'Give an amount above 0.', 'INVALID_ARGUMENT'],
  ['Overflow', 'A sum does not fit 64 bits.', 'Give a smaller amount.'],
  [
    'NotWholeLamports',
    'The amount to redeem is not a whole number of lamports.',
    "Redeem a multiple of the bank's units per lamport.",
    'INVALID_ARGUMENT',
  ],
  ['ReserveTooLow', 'The bank would no longer back every credit.', 'Report this: it must never happen.'],
  [
    'WrongTokenAccount',
    'The token account is not a credit account of the expected owner.',
    'Create the associated token account of the credit mint first.',
  ],
  [
    'InvalidSlotCount',
    'A till has 1 to 1024 slots, grows by at most 90 at once and never shrinks.',
    'Choose a number of slots in that range.',
    'INVALID_ARGUMENT',
  ],
  ['SlotOutOfRange', 'The till has no slot of that number.', REFRESH, 'CHANNEL_UNKNOWN'],
  ['SlotInUse', 'The slot already holds a channel.', 'Read the till again and choose a free slot.'],
  ['SlotNotOpen', 'The slot holds no open channel.', REFRESH, 'CHANNEL_UNKNOWN'],
  ['WrongGeneration', 'The channel was closed and its slot is in use again.', REFRESH, 'CHANNEL_UNKNOWN'],
  ['InvalidDelegate', 'The delegate key is all zeros.', 'Name the key that will sign receipts.', 'INVALID_ARGUMENT'],
  [
    'InvalidBatch',
    'A batch has 1 to 64 receipts (8 that the precompile verified) and at most 8 shares.',
    'Split the batch.',
    'LIMIT_EXCEEDED',
  ],
  [
    'MissingSignatures',
    'The instruction before settleVerified is not the ed25519 precompile.',
    'Put the signature instruction right before settleVerified.',
  ],
  ['SignatureCount', 'The precompile checked a different number of signatures than the batch has.', CLIENT],
  ['ForeignSignatureData', 'The precompile read its data from another instruction.', CLIENT],
  ['InvalidReceipt', 'A receipt does not have the 47-byte format.', RECEIPT, 'RECEIPT_INVALID'],
  ['WrongDelegate', "A receipt was not signed by the channel's delegate key.", RECEIPT, 'RECEIPT_INVALID'],
  ['WrongChannel', 'A receipt belongs to another channel, generation or cluster.', RECEIPT, 'RECEIPT_INVALID'],
  [
    'DepositExceeded',
    'A receipt is for more than its channel holds.',
    'Top the channel up, or settle an earlier receipt.',
    'DEPOSIT_EXHAUSTED',
  ],
];

/** 6029 .. 6049: shares, closes, names and aggregates. 6028 was an error once. */
const SHARE_AND_NAME_ROWS: readonly Row[] = [
  ['ZeroShare', 'A content share of 0 was given.', 'Leave that name out of the batch.', 'INVALID_ARGUMENT'],
  [
    'ShareExceedsBatch',
    'The content shares are more than the batch earned.',
    'Check whether this batch was settled before; if so, nothing needs to be done.',
  ],
  ['DuplicateName', 'A name appears twice in a batch.', 'Add its shares up.', 'INVALID_ARGUMENT'],
  [
    'ClosePending',
    'Closing of this channel was already requested.',
    'Wait until its challenge period ends.',
    'CHANNEL_CLOSING',
  ],
  ['NotPayer', "The signer is not the channel's payer.", 'Sign with the wallet that opened the channel.'],
  ['NotTillOwner', "The signer is not the till's owner.", 'Sign with the wallet that owns the till.'],
  [
    'ChallengePending',
    'The challenge period has not ended.',
    "Wait until it ends, or have the till's owner sign too.",
    'CHANNEL_CLOSING',
  ],
  ['CloseNotRequested', 'Closing was not requested.', "Request it first, or have the till's owner sign too."],
  [
    'InvalidName',
    'The name breaks the rules for names.',
    'Use label.tld: a-z, 0-9 and inner hyphens, ending in web3, sso, image, video, map or route.',
    'NAME_INVALID',
  ],
  ['NameTaken', 'The name is registered already.', 'Choose another name.', 'NAME_TAKEN'],
  ['FieldTooLong', 'A CID is longer than 63 bytes.', 'Use a sha2-256 CID.', 'INVALID_ARGUMENT'],
  ['InvalidRoyalty', 'A royalty is at most 10000 basis points.', 'Give 0 to 10000.', 'INVALID_ARGUMENT'],
  [
    'InvalidSplits',
    'The splits do not sum to 10000, or name an account twice.',
    'Give 1 to 8 different accounts whose basis points sum to 10000.',
    'INVALID_ARGUMENT',
  ],
  ['NotNameOwner', 'The signer neither owns nor manages the name.', "Sign with the owner's wallet."],
  ['ManagerForbidden', 'A manager may change root and manifest only.', "Sign with the owner's wallet."],
  ['StaleSequence', 'The name was changed since it was read.', 'Read it again and repeat the update.'],
  [
    'SplitsPending',
    'The current splits have revenue to be paid.',
    'Pay out what it earned until nothing is owed (relaymint name distribute), then retry.',
  ],
  [
    'MalformedAggregate',
    'A key or signature of the batch is not a point on the curve, or its scalar is too large.',
    RECEIPT,
    'RECEIPT_INVALID',
  ],
  [
    'WrongAggregate',
    'The aggregated signature of the batch is wrong.',
    'Settle only receipts that were verified when they were taken, of channels as the till shows them now.',
    'RECEIPT_INVALID',
  ],
];

/** 6050 .. 6059: tills that grow and close, and the bank's configuration. */
const TILL_AND_BANK_ROWS: readonly Row[] = [
  ['TillInUse', 'The till still holds open channels.', 'Settle and close them first ("relaymint till evict").'],
  ['TillNotEmpty', 'The till still holds earnings.', 'Withdraw them first.'],
  [
    'TillTooFresh',
    'A slot of the till was created or freed just now.',
    'Try again in a few seconds: until then old receipts could come back to life.',
  ],
  ['NotAdmin', "The signer is not the bank's admin.", 'Sign with the wallet that "relaymint bank show" names.'],
  ['ConfigurationFinal', "The bank's admin gave it up: its settings are final.", 'Nothing can change them any more.'],
  ['DepositBelowTerms', 'The deposit is below the least that the till takes.', 'Read the till again and deposit more.'],
  [
    'OpeningBelowTerms',
    'The opening payment is below the least that the till takes.',
    'Read the till again and pay what it asks now, or use another payee.',
  ],
  [
    'SlotRentMissing',
    "The slot's rent was not paid.",
    'Read the till again and transfer its slot rent to the bank in the same transaction, before openChannel.',
  ],
  [
    'NotUpgradeAuthority',
    "The signer is not the program's upgrade authority.",
    'Initialize the bank with the wallet that deployed the program, before it is made final.',
  ],
  [
    'OpeningExceeded',
    'The amount to return is more than the opening payment still held.',
    'Read the channel again: another process of this wallet may have returned it.',
  ],
];

/** 6060 .. 6070: names' terms and commitments, referrers. */
const NAME_ROWS: readonly Row[] = [
  [
    'NoCommitment',
    'This wallet has not committed to the name with this salt.',
    'Commit to it first, and register it with the same wallet and salt.',
  ],
  ['CommitmentTooYoung', 'The commitment to the name is too young.', 'Wait as long as the bank asks, then retry.'],
  ['CommitmentTooOld', 'The commitment to the name is older than a day.', 'Drop it and commit again.'],
  [
    'NotCommitter',
    "The commitment is another wallet's and can still be used.",
    'Drop it when it is older than a day, or sign with the wallet that made it.',
  ],
  ['InvalidYears', 'A name is paid for 1 to 10 years.', 'Give a whole number from 1 to 10.', 'INVALID_ARGUMENT'],
  ['TermTooLong', 'A name is held at most 10 years ahead.', 'Renew for fewer years, or later.', 'LIMIT_EXCEEDED'],
  [
    'NameExpired',
    'The name has expired and its grace period is over.',
    'Register it again: anybody may.',
    'NAME_EXPIRED',
  ],
  ['PriceAboveMaximum', 'The name costs more than the transaction allows.', 'Ask for the price again and agree to it.'],
  ['InvalidOwner', 'The new owner is an address of zeros.', "Give the new owner's wallet address.", 'INVALID_ARGUMENT'],
  ['InvalidReferrerShare', "A referrer's share is at most 10000 basis points.", 'Give 0 to 10000.', 'INVALID_ARGUMENT'],
  [
    'SelfReferral',
    'A name is its own referrer.',
    'Leave the referrer out: then the name gets all of its royalty.',
    'INVALID_ARGUMENT',
  ],
  [
    'InvalidRecovery',
    "A recovery key is another wallet than the owner's, with a delay of 1 to 90 days.",
    'Give such a wallet and such a delay; no delay to take the key away.',
    'INVALID_ARGUMENT',
  ],
  [
    'NotRecoveryKey',
    "The signer is not the name's recovery key.",
    'Sign with the wallet that the name shows as its recovery key.',
  ],
  [
    'RecoveryPending',
    'A recovery of this name was begun already.',
    'Wait until it can be finished, or cancel it first.',
  ],
  ['NoRecovery', 'No recovery of this name was begun.', 'Begin it with the recovery key.'],
  [
    'RecoveryNotDue',
    'The delay of this recovery is not over.',
    'Wait until it is: the name shows when. Meanwhile its owner may cancel it.',
  ],
];

function entries(first: number, rows: readonly Row[]): readonly ProgramErrorEntry[] {
  return rows.map(([name, message, remedy, code], index) => ({
    number: first + index,
    name,
    message,
    remedy,
    code: code ?? 'PROGRAM_ERROR',
  }));
}

export const PROGRAM_ERRORS: readonly ProgramErrorEntry[] = [
  ...entries(FIRST_PROGRAM_ERROR, ROWS),
  ...entries(6029, SHARE_AND_NAME_ROWS),
  ...entries(6050, TILL_AND_BANK_ROWS),
  ...entries(6060, NAME_ROWS),
];

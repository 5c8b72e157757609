/**
 * Typed client of the on-chain program: addresses, one builder per instruction, account decoders, errors.
 * It knows nothing about connections: the caller that sends the instructions brings one.
 */
export {
  bankAddress,
  channelId,
  claimAddress,
  commitmentAddress,
  commitmentHash,
  creditAccountAddress,
  mintAddress,
  nameAddress,
  programDataAddress,
  tillAddress,
} from './addresses.ts';
export type { ChannelCoordinates } from './addresses.ts';
export {
  decodeBank,
  decodeClaim,
  decodeCommitment,
  decodeName,
  decodeTill,
  decodeTillHead,
  decodeTillSlot,
} from './accounts.ts';
export type {
  BankAccount,
  ClaimAccount,
  CommitmentAccount,
  NameAccount,
  NameRecoveryFields,
  NameSplit,
  TillAccount,
  TillHead,
  TillSlot,
} from './accounts.ts';
export { buy, collectFees, configure, initialize, redeem, withdraw } from './bank.ts';
export type {
  BuyArguments,
  CollectFeesArguments,
  ConfigureArguments,
  InitializeArguments,
  RedeemArguments,
  WithdrawArguments,
} from './bank.ts';
export {
  closeByPayee,
  closeChannel,
  closeTill,
  growTill,
  openChannel,
  openTill,
  payClaim,
  paySlotRent,
  requestClose,
  RETURN_FEE,
  returnOpening,
  setTillTerms,
  topUp,
} from './till.ts';
export type {
  CloseByPayeeArguments,
  CloseChannelArguments,
  CloseTillArguments,
  GrowTillArguments,
  OpenChannelArguments,
  OpenTillArguments,
  PayClaimArguments,
  RequestCloseArguments,
  ReturnOpeningArguments,
  SetTillTermsArguments,
  TopUpArguments,
} from './till.ts';
export { settle, settleReceiptBytes, settleVerified } from './settle.ts';
export type { SettleArguments, SettleReceipt, SettleShare, SettleVerifiedArguments } from './settle.ts';
export { distributeName, registerName, renewName, transferName, updateName } from './name.ts';
export type {
  DistributeNameArguments,
  RegisterNameArguments,
  RenewNameArguments,
  SplitPayout,
  SplitShare,
  TransferNameArguments,
  UpdateNameArguments,
} from './name.ts';
export { beginRecovery, cancelRecovery, finishRecovery, setRecovery } from './recovery.ts';
export type {
  BeginRecoveryArguments,
  CancelRecoveryArguments,
  FinishRecoveryArguments,
  SetRecoveryArguments,
} from './recovery.ts';
export { commitName, dropCommitment } from './commitment.ts';
export type { CommitNameArguments, DropCommitmentArguments } from './commitment.ts';
export { ed25519BatchInstruction } from './ed25519.ts';
export type { SignedReceiptBytes } from './ed25519.ts';
export { EVENTS, EVENT_SIZE, EVENT_TAGS, decodeEvent, programEvents } from './events.ts';
export type { EventLayout, EventName, ProgramEvent } from './events.ts';
export { decodeProgramError, programError } from './errors.ts';
export { FIRST_PROGRAM_ERROR, PROGRAM_ERRORS } from './error-table.ts';
export type { ProgramErrorEntry } from './error-table.ts';
export * from './layout.ts';

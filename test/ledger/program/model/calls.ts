/** An instruction as the model, the wire and a reader see it: the accounts that may vary, and the arguments, by idl.json's names. */

/** Who or what has an address, in words: "ann", "till of ann", "purse of ann", "name one.web3". */
export type Label = string;

/** A receipt with its signature, and what it really says. */
export interface SignedReceipt {
  readonly till: Label;
  readonly slot: number;
  readonly generation: number;
  readonly amount: bigint;
  readonly up: bigint;
  readonly down: bigint;
  readonly delegate: Label;
  /** Signed for the bank's cluster, with the tag of a receipt; else its signature holds and it is worth nothing. */
  readonly kind: 'receipt' | 'of another cluster' | 'with another tag';
  /** False: the signature does not hold. */
  readonly holds: boolean;
  /** 47 bytes. */
  readonly message: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** What `settle` is told of a receipt; it may lie. */
export interface Claim {
  readonly slot: number;
  readonly amount: bigint;
  readonly up: bigint;
  readonly down: bigint;
  readonly signed: SignedReceipt;
}

/** What a name's content earned where a referrer showed it, and the greatest royalty that the seller agrees to. */
export interface ContentShare {
  /** Places among the name accounts; NO_REFERRER stands for none. */
  readonly name: number;
  readonly referrer: number;
  readonly gross: bigint;
  readonly maxRoyaltyBps: number;
}

export const NO_REFERRER = 0xff;

export interface Share {
  readonly account: Label | null;
  readonly bps: number;
}

type Shared = { readonly till: Label; readonly tillOwner: Label | undefined; readonly names: readonly Label[] };
type Terms = { readonly minDeposit: bigint; readonly opening: bigint };
type Channel = { readonly slot: number; readonly generation: number };
type Paid = { readonly years: number; readonly maxPrice: bigint };

/** Accounts that are always the same (bank, mint, programs) are left out. `undefined`: absent. */
export interface Calls {
  initialize: {
    accounts: { readonly admin: Label };
    args: {
      readonly clusterTag: Uint8Array;
      readonly unitsPerLamport: bigint;
      readonly challengeSeconds: bigint;
      readonly nameYearPrice: bigint;
      readonly commitSeconds: number;
      readonly feeBps: number;
      readonly treasury: Label | null;
    };
  };
  buy: { accounts: { readonly buyer: Label; readonly destination: Label }; args: { readonly lamports: bigint } };
  redeem: { accounts: { readonly owner: Label; readonly source: Label }; args: { readonly amount: bigint } };
  configure: {
    accounts: { readonly admin: Label; readonly newAdmin: Label | undefined };
    args: {
      readonly flags: number;
      readonly feeBps: number;
      readonly treasury: Label | null;
      readonly nameYearPrice: bigint;
      readonly commitSeconds: number;
      readonly newAdmin: Label | null;
    };
  };
  collectFees: { accounts: { readonly destination: Label }; args: Record<string, never> };
  openTill: { accounts: { readonly owner: Label; readonly till: Label }; args: { readonly slots: number } & Terms };
  growTill: { accounts: { readonly owner: Label; readonly till: Label }; args: { readonly slots: number } };
  setTillTerms: { accounts: { readonly owner: Label; readonly till: Label }; args: Terms };
  closeTill: { accounts: { readonly owner: Label; readonly till: Label }; args: Record<string, never> };
  openChannel: {
    accounts: { readonly payer: Label; readonly till: Label; readonly source: Label };
    args: {
      readonly slot: number;
      readonly delegate: Label | null;
      readonly deposit: bigint;
      readonly opening: bigint;
    };
  };
  topUp: {
    accounts: { readonly funder: Label; readonly till: Label; readonly source: Label };
    args: Channel & { readonly amount: bigint; readonly opening: bigint };
  };
  requestClose: { accounts: { readonly payer: Label; readonly till: Label }; args: Channel };
  closeChannel: {
    accounts: {
      readonly payer: Label;
      readonly till: Label;
      readonly destination: Label;
      readonly tillOwner: Label | undefined;
    };
    args: Channel;
  };
  closeByPayee: {
    accounts: { readonly owner: Label; readonly till: Label; readonly claim: Label };
    args: Channel;
  };
  returnOpening: {
    accounts: { readonly owner: Label; readonly till: Label };
    args: Channel & { readonly amount: bigint };
  };
  payClaim: {
    accounts: { readonly payer: Label; readonly claim: Label; readonly destination: Label };
    args: Record<string, never>;
  };
  withdraw: {
    accounts: { readonly owner: Label; readonly till: Label; readonly destination: Label };
    args: Record<string, never>;
  };
  settle: {
    accounts: Shared;
    args: {
      readonly receiptCount: number;
      readonly scalar: Uint8Array;
      /** What the scalar was made from. */
      readonly scalarOf: 'these receipts' | 'others' | 'a number too great';
      readonly receipts: readonly Claim[];
      readonly shares: readonly ContentShare[];
    };
  };
  settleVerified: {
    accounts: Shared;
    args: { readonly slots: readonly number[]; readonly shares: readonly ContentShare[] };
  };
  commitName: {
    accounts: { readonly committer: Label; readonly commitment: Label };
    args: { readonly hash: Uint8Array };
  };
  dropCommitment: {
    accounts: { readonly signer: Label; readonly commitment: Label; readonly committer: Label };
    args: Record<string, never>;
  };
  registerName: {
    accounts: { readonly owner: Label; readonly name: Label; readonly commitment: Label; readonly source: Label };
    args: Paid & {
      readonly salt: Uint8Array;
      readonly name: string;
      readonly root: Uint8Array;
      readonly manifest: Uint8Array;
      readonly royaltyBps: number;
      readonly referrerBps: number;
      readonly manager: Label | null;
      readonly splits: readonly Share[];
    };
  };
  renewName: { accounts: { readonly payer: Label; readonly name: Label; readonly source: Label }; args: Paid };
  transferName: {
    accounts: { readonly owner: Label; readonly name: Label };
    args: { readonly newOwner: Label | null };
  };
  setRecovery: {
    accounts: { readonly owner: Label; readonly name: Label };
    args: { readonly key: Label | null; readonly delay: number };
  };
  beginRecovery: {
    accounts: { readonly key: Label; readonly name: Label };
    args: { readonly newOwner: Label | null };
  };
  cancelRecovery: { accounts: { readonly signer: Label; readonly name: Label }; args: Record<string, never> };
  finishRecovery: { accounts: { readonly name: Label }; args: Record<string, never> };
  updateName: {
    accounts: { readonly signer: Label; readonly name: Label };
    args: {
      readonly seq: bigint;
      readonly flags: number;
      readonly root: Uint8Array;
      readonly manifest: Uint8Array;
      readonly royaltyBps: number;
      readonly referrerBps: number;
      readonly manager: Label | null;
      readonly splits: readonly Share[];
    };
  };
  distributeName: {
    accounts: { readonly name: Label; readonly destinations: readonly (Label | undefined)[] };
    args: Record<string, never>;
  };
}

export type InstructionName = keyof Calls;
export type CallOf<N extends InstructionName> = { readonly instruction: N } & Readonly<Calls[N]>;
export type Call = { [N in InstructionName]: CallOf<N> }[InstructionName];

/** What other programs do in between, as far as it matters to ours. */
export type Foreign =
  /** The precompile's check of receipts. */
  | { readonly foreign: 'verify'; readonly receipts: readonly SignedReceipt[] }
  /** A holder burns credits of its own, which the bank does not see. */
  | { readonly foreign: 'burn'; readonly owner: Label; readonly amount: bigint }
  /** Lamports to any address. */
  | { readonly foreign: 'gift'; readonly from: Label; readonly to: Label; readonly lamports: bigint }
  /** The owner's token account comes and, once empty, goes. Its rent is the sponsor's. */
  | { readonly foreign: 'make purse'; readonly owner: Label }
  | { readonly foreign: 'close purse'; readonly owner: Label };

export type Step = Call | Foreign;

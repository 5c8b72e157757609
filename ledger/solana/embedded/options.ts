/** The options and the handle of the embedded ledger. */
import type { LedgerAddress } from '../../../core/ids.ts';
import type { Clock, Log } from '../../../core/ports.ts';
import type { Amount } from '../../../core/units.ts';
import type { WalletKey } from '../keys.ts';

export interface EmbeddedLedgerOptions {
  /** Where the state is kept (created 0700 when missing). Without it everything is in memory and dies with the process. */
  readonly dataDir?: string;
  /** Address to listen on; anything but loopback hands the faucet to the network. Default 127.0.0.1. */
  readonly host?: string;
  /** JSON-RPC over HTTP *and* WebSocket on this one port; 0 (default) takes any free one. */
  readonly port?: number;
  /**
   * A second port for WebSocket only. web3.js looks for it at the RPC port + 1 unless it is given a `wsEndpoint`; set
   * this when a client cannot be told.
   */
  readonly wsPort?: number;
  /** The Relaymint program, present from genesis: path of `relaymint.so`. Without it the ledger is a bare Solana. */
  readonly programPath?: string;
  /** Where the program lives; required with `programPath`. */
  readonly programId?: LedgerAddress;
  /** What the bank is initialized with at first start; ignored later. */
  readonly bank?: {
    /** Base units of credit for one lamport. Default 1. */
    readonly unitsPerLamport?: bigint;
    /** Seconds between a payer's close request and its close. Default 3600. */
    readonly challengeSeconds?: bigint;
    /** What the treasury gets of every settlement, basis points. Default 0. */
    readonly feeBps?: number;
    /** What a name costs a year. Default 0. */
    readonly nameYearPrice?: Amount;
    /** How old a commitment to a name must be, seconds. Default 1: nobody here front-runs anybody. */
    readonly commitSeconds?: number;
    /** Whose credit account the fees go to. Default the admin. */
    readonly treasury?: LedgerAddress;
  };
  /** The newest version of transactions that this ledger takes. 0 stands for a cluster that has none of 4,096 bytes. Default 1. */
  readonly maxTransactionVersion?: 0 | 1;
  /** Makes the admin key, the genesis hash and the cluster tag of a new ledger reproducible; random otherwise. */
  readonly seed?: string;
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface EmbeddedLedger extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `ws://127.0.0.1:PORT` (the same port unless `wsPort` was given). */
  readonly wsUrl: string;
  readonly genesisHash: string;
  /** The bank's first admin, whose key was made with the ledger. */
  readonly admin: WalletKey;
  /** Moves the chain's clock (and its slots) forward, as tests of challenge periods need. Whole seconds, >= 0. @throws RangeError; RelaymintError CLOSED. */
  warp(seconds: number): Promise<void>;
  /** Sets `maxTransactionVersion` from now on. */
  takeTransactions(maxTransactionVersion: 0 | 1): void;
  /** Answers what is under way, makes the state durable, releases port and files. */
  close(): Promise<void>;
}

/**
 * What the benchmark and the processes of its rows say to each other. Each process is told what it is on its command
 * line, says where it can be reached once it is ready, then answers one question after the other.
 */
import type { LedgerAddress, NodeId } from '../../core/ids.ts';

/** What the last node of a path serves: as many bytes as are asked for. */
export const SOURCE_SERVICE = 'source';

/** Where a process of a row is reached by the one before it. */
export interface Where {
  readonly nodeId: NodeId;
  /** Of a plain end: its source, then its echo. Of a node: the addresses of its offer. */
  readonly addresses: readonly string[];
}

/** By what the processes of a row reach each other; endpoints as texts. */
export type Way =
  | { readonly transport: 'tcp' }
  | { readonly transport: 'tor'; readonly socks: string; readonly control: string }
  | { readonly transport: 'i2p'; readonly sam: string };

/** An end of a path without circuits. */
export interface PlainPeer {
  readonly kind: 'plain';
  readonly way: Way;
  readonly tls: boolean;
  /** The other end; undefined: this is the one that serves. */
  readonly to: Where | undefined;
}

/** A node of a circuit. */
export interface NodePeer {
  readonly kind: 'node';
  readonly way: Way;
  readonly part: 'initiator' | 'relay' | 'host';
  readonly label: string;
  readonly dataDir: string;
  readonly ledgerUrl: string;
  readonly programId: LedgerAddress;
  readonly metered: boolean;
  /** Of the initiator: the circuit's hops, first one first. */
  readonly path: readonly Where[];
}

/** Nodes of several rows in one process: they share its compiled code and its memory, by which processes differ. */
export interface SharedPeer {
  readonly kind: 'shared';
  readonly nodes: readonly NodePeer[];
}

export type PeerConfig = PlainPeer | NodePeer | SharedPeer;

/** What a process of a row turns out to be. */
export interface Peer {
  readonly where: Where;
  readonly commands: PeerCommands;
}

/** What the payees of a row put on chain. */
export interface Settled {
  readonly transactions: number;
  readonly receipts: number;
}

/** What can be asked of a process; each answers what fits its part. */
export interface PeerCommands {
  /** User and system time since its start, microseconds. */
  cpuMicros?(): Promise<number>;
  /** What it holds in memory, bytes. */
  residentBytes?(): Promise<number>;
  /** Initiator: opens the path, or opens it again after `leave`. */
  join?(): Promise<void>;
  /** Initiator: fetches bytes from the source. @returns milliseconds. */
  transfer?(bytes: number): Promise<number>;
  /** Initiator: that many messages there and back. @returns microseconds. */
  pingPong?(count: number): Promise<{ readonly p50: number; readonly p99: number }>;
  /** Node: ends what is under way, pays what is due, closes its links. First the initiator, then the hops in order. */
  leave?(): Promise<void>;
  /** Hop: links with the next one, as relays that deal with each other are. What EXTEND may have it dial in a minute is little. */
  meet?(next: Where): Promise<void>;
  /** Payee: settles all it holds. */
  settle?(): Promise<Settled>;
}

export type CommandName = keyof PeerCommands;
export type CommandArgs<Name extends CommandName> = Parameters<NonNullable<PeerCommands[Name]>>;
export type CommandResult<Name extends CommandName> = Awaited<ReturnType<NonNullable<PeerCommands[Name]>>>;

export interface Question {
  readonly id: number;
  /** Which of the process's peers is asked; 0 where there is one. */
  readonly peer: number;
  readonly command: CommandName;
  readonly args: readonly unknown[];
}

export type Word =
  | { readonly type: 'ready'; readonly where: readonly Where[] }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly error: string };

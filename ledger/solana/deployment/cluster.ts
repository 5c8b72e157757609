/** Which cluster answers, and what tells its receipts from every other cluster's. */
import { sha256 } from '@noble/hashes/sha2.js';
import bs58 from 'bs58';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import type { SolanaReader } from '../reader.ts';

export interface ClusterInfo {
  /** Of the public clusters; undefined for any other. */
  readonly name: string | undefined;
  /** base58. */
  readonly genesisHash: string;
  readonly slot: number;
  /** Of the node that answers. */
  readonly version: string;
}

const PUBLIC_CLUSTERS: Readonly<Record<string, string>> = {
  '5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d': 'mainnet-beta',
  '4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY': 'testnet',
  EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG: 'devnet',
};
const CLUSTER_TAG_DOMAIN = 'relaymint:cluster:v1';
const CLUSTER_TAG_BYTES = 16;

/** @throws RelaymintError LEDGER_UNREACHABLE, LEDGER_REJECTED. */
export async function readCluster({ rpc }: SolanaReader): Promise<ClusterInfo> {
  const [genesisHash, slot, version] = await Promise.all([
    rpc.ask((connection) => connection.getGenesisHash()),
    rpc.ask((connection) => connection.getSlot()),
    rpc.ask((connection) => connection.getVersion()),
  ]);
  return { name: PUBLIC_CLUSTERS[genesisHash], genesisHash, slot, version: version['solana-core'] };
}

/** 16 bytes for the bank: first of SHA-256 over a domain string and the genesis hash. */
export function clusterTagOf(genesisHash: string): Uint8Array {
  return sha256(concatBytes(utf8(CLUSTER_TAG_DOMAIN), bs58.decode(genesisHash))).slice(0, CLUSTER_TAG_BYTES);
}

/** Where the program keeps things. Every address follows from the program id alone. */
import { sha256 } from '@noble/hashes/sha2.js';
import { getAssociatedTokenAddressSync } from '@solana/spl-token';
import { PublicKey } from '@solana/web3.js';
import { concatBytes, utf8 } from '../../../core/codec.ts';
import { RelaymintError } from '../../../core/errors.ts';
import { CHANNEL_ID_BYTES, channelId as toChannelId } from '../../../core/ids.ts';
import type { ChannelId } from '../../../core/ids.ts';
import { MAX_NAME_BYTES } from './layout.ts';

const CHANNEL_DOMAIN = 'relaymint:channel:v1';
const COMMITMENT_DOMAIN = 'relaymint:name-commitment:v1';
const SALT_BYTES = 32;
const UPGRADEABLE_LOADER = new PublicKey('BPFLoaderUpgradeab1e11111111111111111111111');

/** The two addresses that nearly every instruction names: finding one takes about a millisecond. */
const fixed = new WeakMap<PublicKey, { readonly bank: PublicKey; readonly mint: PublicKey }>();

export function bankAddress(programId: PublicKey): PublicKey {
  return fixedAddresses(programId).bank;
}

/** The credit mint: an SPL Token mint with 6 decimals whose authority is the bank. */
export function mintAddress(programId: PublicKey): PublicKey {
  return fixedAddresses(programId).mint;
}

export function tillAddress(programId: PublicKey, owner: PublicKey): PublicKey {
  return derive([utf8('till'), owner.toBytes()], programId);
}

/** @throws RelaymintError NAME_INVALID when it is empty or longer than any name can be. */
export function nameAddress(programId: PublicKey, name: string): PublicKey {
  return derive([utf8('name'), sha256(nameBytes(name))], programId);
}

/** Hides the name from everybody who does not know the salt, and serves nobody but that owner. 32 bytes. */
export function commitmentHash(owner: PublicKey, salt: Uint8Array, name: string): Uint8Array {
  if (salt.length !== SALT_BYTES) throw new RangeError(`a salt has ${SALT_BYTES} bytes, not ${salt.length}`);
  return sha256(concatBytes(utf8(COMMITMENT_DOMAIN), owner.toBytes(), salt, nameBytes(name)));
}

export function commitmentAddress(programId: PublicKey, committer: PublicKey, hash: Uint8Array): PublicKey {
  return derive([utf8('commit'), sha256(concatBytes(committer.toBytes(), hash))], programId);
}

/** What the payer gets of channels that their payees closed. */
export function claimAddress(programId: PublicKey, payer: PublicKey): PublicKey {
  return derive([utf8('claim'), payer.toBytes()], programId);
}

/** Where the upgradeable loader keeps the program's code, and who may replace it. */
export function programDataAddress(programId: PublicKey): PublicKey {
  return derive([programId.toBytes()], UPGRADEABLE_LOADER);
}

/** The owner's associated token account for credits. `owner` may itself be a program's address. */
export function creditAccountAddress(programId: PublicKey, owner: PublicKey): PublicKey {
  return getAssociatedTokenAddressSync(mintAddress(programId), owner, true);
}

/** What a channel's id is computed from. */
export interface ChannelCoordinates {
  /** 16 bytes, from the bank. */
  readonly clusterTag: Uint8Array;
  readonly till: PublicKey;
  readonly slot: number;
  readonly generation: number;
}

/** First 22 bytes of SHA-256 over the domain, the cluster, the program, the till, the slot and its generation. */
export function channelId(programId: PublicKey, channel: ChannelCoordinates): ChannelId {
  const place = new DataView(new ArrayBuffer(6));
  place.setUint16(0, channel.slot, true);
  place.setUint32(2, channel.generation, true);
  const digest = sha256(
    concatBytes(
      utf8(CHANNEL_DOMAIN),
      channel.clusterTag,
      programId.toBytes(),
      channel.till.toBytes(),
      new Uint8Array(place.buffer),
    ),
  );
  return toChannelId(digest.subarray(0, CHANNEL_ID_BYTES));
}

/** The bytes of a name as the chain stores them. The program judges the rest of the rules. */
export function nameBytes(name: string): Uint8Array {
  const raw = utf8(name);
  if (raw.length === 0 || raw.length > MAX_NAME_BYTES) {
    throw new RelaymintError('NAME_INVALID', `A name has 1 to ${MAX_NAME_BYTES} bytes, this one ${raw.length}.`, {
      remedy: 'Choose a shorter one, for example news.web3.',
    });
  }
  return raw;
}

function fixedAddresses(programId: PublicKey): { readonly bank: PublicKey; readonly mint: PublicKey } {
  const known = fixed.get(programId);
  if (known !== undefined) return known;
  const found = { bank: derive([utf8('bank')], programId), mint: derive([utf8('credit')], programId) };
  fixed.set(programId, found);
  return found;
}

function derive(seeds: readonly Uint8Array[], programId: PublicKey): PublicKey {
  return PublicKey.findProgramAddressSync([...seeds], programId)[0];
}

/** Compiled against the packed package, in a project of its own: what its types promise. */
import { parseName } from 'relaymint';
import { RelaymintError, createClient, siteUrl, type ErrorCode } from 'relaymint/sdk';
import { signIn, type Wallet } from 'relaymint/sdk/wallet';
import { defineElements } from 'relaymint/sdk/elements';
import { ownership, type Ownership } from 'relaymint/sdk/media';
import { createTestnet } from 'relaymint/sdk/testing';
import { openSolanaLedger } from 'relaymint/ledger';

export const url: string = siteUrl(parseName('demo.web3').name, 8402);
export const code: ErrorCode = new RelaymintError('TIMEOUT', 'It took too long.').code;
export const open: typeof openSolanaLedger = openSolanaLedger;
// @ts-expect-error a port is a number
siteUrl('demo.web3', '8402');

/** Who forgets that a second click may be needed does not compile. */
export async function signature(wallet: Wallet): Promise<Uint8Array | undefined> {
  const answer = await signIn(wallet, { nonce: 'a1b2c3d4' });
  // @ts-expect-error there may be none
  const { length } = answer.signature;
  return answer.needsGesture === true || length === 0 ? undefined : answer.signature;
}

/** Who forgets that nobody may have said anything does not compile. */
export async function creatorOf(url: string): Promise<string> {
  const client = createClient();
  defineElements({ client });
  const told: Ownership | undefined = await ownership(client, url);
  // @ts-expect-error there may be none
  return told.creator;
}

/** The clients of a test network are clients of the SDK. */
export async function creatorInTest(): Promise<string | undefined> {
  const testnet = await createTestnet({ relays: 1 });
  return (await ownership(testnet.clientOf('demo.web3'), '/'))?.creator;
}

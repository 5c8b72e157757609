/**
 * What oidc-provider keeps, in an issuer's store. Codes and tokens are kept as their hash only; ids of sessions and
 * interactions open nothing without a cookie that is signed by what is not in the store. Secrets of clients are there as they are. Keys:
 *
 *   r:MODEL:HASH -> record           c:MODEL:HASH -> claimed by whoever consumed it
 *   g:GRANT:MODEL:HASH -> ''         what hangs on a grant
 *   u:UID -> HASH                    sessions by what tokens say of them
 *   a:WALLET:MODEL:HASH -> ''        grants and sessions that one wallet signed in for, for its owner to see
 *   o:CLIENT -> ''                   somebody signed in at that client not long ago
 *   m:CLIENT -> HASH                 the token by which its registration is changed
 */
import { createHash } from 'node:crypto';
import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import { z } from 'zod';
import type { Clock } from '../../core/ports.ts';
import { unixMillis, type UnixMillis } from '../../core/units.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import type { IssuerStore } from './contract.ts';
import { parseAccountId } from './subject.ts';

/** Longest identifier that is looked up: what is longer was not made here. */
const MAX_ID = 512;
/** Records that hang on one grant, or belong to one account, that are looked at in one go. */
const LISTED = 1_000;
/** What has no time of its own: registered clients set theirs. */
const LONG_MILLIS = 365 * 24 * 3_600_000;
/** How long it is remembered that a code or a refresh token was used: longer than it would be good. */
const USED_CODE_MILLIS = 3_600_000;
const USED_TOKEN_MILLIS = 31 * 24 * 3_600_000;
/** A moment after the library holds it for over, so that clocks of several issuers need not agree to the second. */
const GRACE_MILLIS = 60_000;

/** How long a client with which nobody has signed in is kept. */
const UNUSED_MILLIS = 24 * 3_600_000;
/** After that its use is noted anew, which renews its year. */
const NOTED_MILLIS = 180 * 24 * 3_600_000;
/** Opens the registration of a client to its owner. */
const MANAGER = 'RegistrationAccessToken';
const OF_GRANTS: readonly string[] = ['AccessToken', 'AuthorizationCode', 'RefreshToken'];
const OF_ACCOUNTS: readonly string[] = ['Grant', 'Session'];

const payloadSchema: z.ZodType<AdapterPayload> = z.looseObject({
  grantId: z.string().optional(),
  uid: z.string().optional(),
  accountId: z.string().optional(),
});

export class Records implements Adapter {
  readonly #model: string;
  readonly #store: IssuerStore;
  readonly #clock: Clock;

  constructor(model: string, store: IssuerStore, clock: Clock) {
    this.#model = model;
    this.#store = store;
    this.#clock = clock;
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const hash = hashOf(id);
    const until = await this.#untilOf(hash, payload, expiresIn);
    // Sessions are also found by their uid, and then have to say their id.
    const { jti: _hidden, ...rest } = payload;
    const kept = this.#model === 'Session' ? payload : rest;
    const { grantId, uid, accountId } = payload;
    const hangs = grantId !== undefined && OF_GRANTS.includes(this.#model);
    const belongs = accountId !== undefined && OF_ACCOUNTS.includes(this.#model);
    if (hangs) await this.#store.put(`g:${hashOf(grantId)}:${this.#model}:${hash}`, '', until);
    if (belongs) await this.#store.put(ofWallet(walletOf(accountId), this.#model) + hash, '', until);
    if (this.#model === MANAGER) await this.#store.put(managerKey(hashOf(String(payload['clientId']))), hash, until);
    if (uid !== undefined && this.#model === 'Session') await this.#store.put(`u:${hashOf(uid)}`, hash, until);
    // Last: what leads nowhere is passed over, and what nothing leads to could not be ended.
    await this.#store.put(this.#key(hash), JSON.stringify(kept), until);
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    if (id.length > MAX_ID) return undefined;
    const found = await this.#read(hashOf(id));
    return found && { ...found, ...(this.#model !== 'Session' && { jti: id }) };
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const hash = await this.#store.get(`u:${hashOf(uid)}`);
    return hash === undefined ? undefined : await this.#read(hash);
  }

  /** Device codes are not issued here. */
  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** Once, among all issuers on this store. @throws errors.InvalidGrant for everybody but the first. */
  async consume(id: string): Promise<void> {
    const millis = this.#model === 'AuthorizationCode' ? USED_CODE_MILLIS : USED_TOKEN_MILLIS;
    const until = unixMillis(this.#clock.now() + millis);
    if (!(await this.#store.claim(this.#consumed(hashOf(id)), until))) {
      throw new errors.InvalidGrant('it was used already');
    }
  }

  /** Somebody signed in at this client: from now on it is kept, with the token by which it is changed. */
  async use(id: string): Promise<void> {
    const hash = hashOf(id);
    const noted = unixMillis(this.#clock.now() + NOTED_MILLIS);
    const kept = await this.#store.get(this.#key(hash));
    if (kept === undefined || !(await this.#store.claim(usedKey(hash), noted))) return;
    await this.#store.put(this.#key(hash), kept, this.#until(undefined));
    const token = await this.#store.get(managerKey(hash));
    const manager = token && (await this.#store.get(`r:${MANAGER}:${token}`));
    if (token === undefined || manager === undefined) return;
    await this.#store.put(`r:${MANAGER}:${token}`, manager, this.#until(undefined));
    await this.#store.put(managerKey(hash), token, this.#until(undefined));
  }

  async destroy(id: string): Promise<void> {
    await this.#destroy(hashOf(id));
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await revokeGrant(this.#store, hashOf(grantId));
  }

  async #read(hash: string): Promise<AdapterPayload | undefined> {
    const kept = await this.#store.get(this.#key(hash));
    if (kept === undefined) return undefined;
    const payload = payloadSchema.parse(JSON.parse(kept));
    const consumed = (await this.#store.get(this.#consumed(hash))) !== undefined;
    return consumed ? { ...payload, consumed: true } : payload;
  }

  async #destroy(hash: string): Promise<void> {
    const payload = await this.#read(hash);
    await this.#store.delete(this.#key(hash));
    if (payload?.accountId !== undefined) {
      await this.#store.delete(ofWallet(walletOf(payload.accountId), this.#model) + hash);
    }
    if (payload?.uid !== undefined) await this.#store.delete(`u:${hashOf(payload.uid)}`);
  }

  #key(hash: string): string {
    return `r:${this.#model}:${hash}`;
  }

  #consumed(hash: string): string {
    return `c:${this.#model}:${hash}`;
  }

  /** A client and what opens its registration stay for a day, until somebody signs in there. */
  async #untilOf(hash: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<UnixMillis> {
    const ofManager = this.#model === MANAGER ? hashOf(String(payload['clientId'])) : undefined;
    const client = this.#model === 'Client' ? hash : ofManager;
    const isNew = client !== undefined && (await this.#store.get(usedKey(client))) === undefined;
    return isNew ? unixMillis(this.#clock.now() + UNUSED_MILLIS) : this.#until(expiresIn);
  }

  #until(expiresIn: number | undefined): UnixMillis {
    const millis = expiresIn === undefined ? LONG_MILLIS : expiresIn * 1000 + GRACE_MILLIS;
    return unixMillis(this.#clock.now() + millis);
  }
}

/** What a site was allowed. */
export interface HeldGrant {
  /** For `endGrant`; opens nothing. */
  readonly handle: string;
  readonly clientId: string;
  readonly accountId: string;
  /** The profile that was signed in; undefined: the wallet by itself. */
  readonly profile: string | undefined;
  readonly scopes: readonly string[];
  readonly issuedAt: UnixMillis;
}

const grantSchema = z.looseObject({
  accountId: z.string(),
  clientId: z.string(),
  iat: z.number(),
  openid: z.object({ scope: z.string().optional() }).optional(),
});

/** What sites were allowed by this wallet, newest first. */
export async function grantsOf(store: IssuerStore, wallet: LedgerAddress): Promise<readonly HeldGrant[]> {
  const prefix = ofWallet(wallet, 'Grant');
  const held: HeldGrant[] = [];
  for (const key of await store.keys(prefix, LISTED)) {
    const handle = key.slice(prefix.length);
    const kept = await store.get(`r:Grant:${handle}`);
    if (kept === undefined) continue;
    const { accountId, clientId, iat, openid } = grantSchema.parse(JSON.parse(kept));
    const profile = parseAccountId(accountId)?.profile?.name;
    const scopes = openid?.scope?.split(' ') ?? [];
    held.push({ handle, clientId, accountId, profile, scopes, issuedAt: unixMillis(iat * 1000) });
  }
  return held.toSorted((a, b) => b.issuedAt - a.issuedAt);
}

const sessionSchema = z.looseObject({
  authorizations: z
    .record(z.string(), z.looseObject({ sid: z.string().optional(), grantId: z.string().optional() }))
    .optional(),
});

/** Of the visits of this wallet for which a grant counts: as tokens call them, by its handle. */
export async function sidsOf(
  store: IssuerStore,
  wallet: LedgerAddress,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const prefix = ofWallet(wallet, 'Session');
  const sids = new Map<string, string[]>();
  for (const key of await store.keys(prefix, LISTED)) {
    const kept = await store.get(`r:Session:${key.slice(prefix.length)}`);
    const { authorizations = {} } = kept === undefined ? {} : sessionSchema.parse(JSON.parse(kept));
    for (const { sid, grantId } of Object.values(authorizations)) {
      if (sid === undefined || grantId === undefined) continue;
      const handle = hashOf(grantId);
      sids.set(handle, [...(sids.get(handle) ?? []), sid]);
    }
  }
  return sids;
}

/** Ends what a site was allowed, and every token that hangs on it. @returns false if this wallet allowed no such thing. */
export async function endGrant(store: IssuerStore, wallet: LedgerAddress, handle: string): Promise<boolean> {
  const key = ofWallet(wallet, 'Grant') + handle;
  if ((await store.get(key)) === undefined) return false;
  await store.delete(`r:Grant:${handle}`);
  await revokeGrant(store, handle);
  await store.delete(key);
  return true;
}

/** Ends all that sites were allowed by this wallet. */
export async function endGrants(store: IssuerStore, wallet: LedgerAddress): Promise<void> {
  const prefix = ofWallet(wallet, 'Grant');
  for (let keys = await store.keys(prefix, LISTED); keys.length > 0; keys = await store.keys(prefix, LISTED)) {
    for (const key of keys) await endGrant(store, wallet, key.slice(prefix.length));
  }
}

/** Signs a wallet out in every browser. */
export async function endSessions(store: IssuerStore, wallet: LedgerAddress): Promise<void> {
  const prefix = ofWallet(wallet, 'Session');
  for (let keys = await store.keys(prefix, LISTED); keys.length > 0; keys = await store.keys(prefix, LISTED)) {
    for (const key of keys) {
      await store.delete(`r:Session:${key.slice(prefix.length)}`);
      await store.delete(key);
    }
  }
}

async function revokeGrant(store: IssuerStore, grant: string): Promise<void> {
  const prefix = `g:${grant}:`;
  for (let keys = await store.keys(prefix, LISTED); keys.length > 0; keys = await store.keys(prefix, LISTED)) {
    for (const key of keys) {
      await store.delete(`r:${key.slice(prefix.length)}`);
      await store.delete(key);
    }
  }
}

function usedKey(client: string): string {
  return `o:${client}`;
}

function managerKey(client: string): string {
  return `m:${client}`;
}

function ofWallet(wallet: string, model: string): string {
  return `a:${wallet}:${model}:`;
}

function walletOf(accountId: string): string {
  return parseAccountId(accountId)?.wallet ?? hashOf(accountId);
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url');
}

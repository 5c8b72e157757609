/** Names for an issuer: what the ledger says of them, and what their owners signed, read through a gateway that nobody has to trust. */
import { isIP } from 'node:net';
import { LRUCache } from 'lru-cache';
import { deadline, orAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { MAX_MANIFEST_BYTES, MAX_PROFILE_BYTES } from '../../core/limits.ts';
import { inlineName } from '../../core/name.ts';
import type { Clock } from '../../core/ports.ts';
import { unixSeconds } from '../../core/units.ts';
import { Questions } from '../../core/questions.ts';
import type { LedgerReader, NameRecord } from '../../ledger/contract.ts';
import { checkManifest, decodeManifest, manifestCid } from '../../sites/manifest/index.ts';
import { PROFILE_PATH, checkProfile, decodeProfile, payoutOf, type Profile } from '../../sites/profile/index.ts';
import type { Directory, NameClient, NameHolding, PublicProfile } from '../../sites/sso/index.ts';

export interface DirectoryOptions {
  readonly ledger: Pick<LedgerReader, 'name'>;
  /** Whose pages are below it: http://localhost:8402, or https://example.org. Absent: only the ledger is asked. */
  readonly gateway: URL | undefined;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
}

/** Strangers name the names that are looked up. */
const QUESTIONS = { atOnce: 32, restMillis: 20, kept: 4_096 };
/** Whoever asks for clients that are none keeps nobody from signing in. */
const LANES = ['people', 'sites'] as const;
type Lane = (typeof LANES)[number];
/** How long what the ledger said counts. */
const KNOWN_MILLIS = 5_000;
/** The same for what was found under one state of a record: what was missing may come. */
const FILE_MILLIS = 60_000;
const FETCH_MILLIS = 8_000;
const LOOKING_UP = 'Looking up a name';
const MANIFEST = '/.well-known/relaymint/manifest.cbor';

/** @throws RelaymintError INVALID_CONFIG: nothing can be below that gateway's address. */
export function createDirectory({ ledger, gateway, fetch, clock }: DirectoryOptions): Directory {
  if (gateway !== undefined && isIP(gateway.hostname.replace(/^\[|\]$/g, '')) !== 0) {
    throw new RelaymintError('INVALID_CONFIG', `Sites are below a name, not below ${gateway.hostname}.`, {
      remedy: 'Give the name of the gateway: http://localhost:8402.',
    });
  }
  const records = new Questions<NameRecord | undefined>({ ...QUESTIONS, lanes: LANES, now: () => clock.now() });
  const [manifests, profiles] = [filesOf(clock), filesOf(clock)];

  const recordOf = async (name: string, lane: Lane, signal: AbortSignal): Promise<NameRecord | undefined> => {
    const known = records.known(name, KNOWN_MILLIS);
    if (known !== undefined) return known.answer;
    return await orAborted(records.ask(name, () => ledger.name(name), lane) ?? busy(), signal, LOOKING_UP);
  };

  const fetched = async (name: string, path: string, most: number): Promise<Uint8Array | undefined> => {
    if (gateway === undefined) return undefined;
    const url = new URL(path, gateway);
    url.hostname = `${inlineName(name)}.${gateway.hostname}`;
    using limit = deadline(FETCH_MILLIS, 'Asking the gateway');
    const response = await fetch(url, { signal: limit.signal });
    if (response.status === 404) return undefined;
    if (response.status !== 200 || response.body === null) {
      throw new RelaymintError('CONNECTION_LOST', `The gateway answered ${response.status} for ${name}.`, {
        remedy: 'Check that it runs and reaches hosts of that name.',
      });
    }
    return await readUpTo(response.body, most);
  };

  /** The newest that was seen of each owner's tenure: a gateway that shows an older one brings back no wallet. */
  const newest = new LRUCache<string, number>({ max: QUESTIONS.kept });
  /** undefined: it is none that counts. */
  const publicProfile = (encoded: Uint8Array, record: NameRecord): PublicProfile | undefined => {
    const held = `${record.name} ${record.registeredAt} ${record.owner}`;
    try {
      const signed = decodeProfile(record.name, encoded);
      checkProfile(signed, record, { now: clock.now(), known: newest.get(held) });
      newest.set(held, signed.profile.sequence);
      return toPublic(signed.profile);
    } catch (error) {
      if (isRelaymintError(error, 'PROFILE_INVALID') || isRelaymintError(error, 'PROFILE_STALE')) return undefined;
      throw error;
    }
  };

  return {
    holding: async (name, signal) => {
      const record = await recordOf(name, 'people', signal);
      return record && holdingOf(record);
    },
    profile: async ({ name }, signal) => {
      const record = await recordOf(name, 'people', signal);
      if (record === undefined || record.root.length === 0) return undefined;
      const encoded = await kept(profiles, record, () => fetched(name, `/${PROFILE_PATH}`, MAX_PROFILE_BYTES), signal);
      return encoded && publicProfile(encoded, record);
    },
    client: async (name, signal): Promise<NameClient | undefined> => {
      const record = await recordOf(name, 'sites', signal);
      if (record === undefined || record.status === 'expired' || record.manifest.length === 0) return undefined;
      const block = await kept(manifests, record, () => fetched(name, MANIFEST, MAX_MANIFEST_BYTES), signal);
      if (block === undefined) return undefined;
      const signed = decodeManifest(name, manifestCid(name, record.manifest), block);
      checkManifest(signed, record);
      const { title, signIn } = signed.manifest;
      return signIn && { holding: holdingOf(record), title, ...signIn };
    },
  };
}

type Files = Questions<Uint8Array | undefined>;

function filesOf(clock: Clock): Files {
  return new Questions<Uint8Array | undefined>({ ...QUESTIONS, now: () => clock.now() });
}

/** What a name has under this state of its record. */
async function kept(
  files: Files,
  { name, seq }: NameRecord,
  ask: () => Promise<Uint8Array | undefined>,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const about = `${name} ${seq}`;
  const known = files.known(about, FILE_MILLIS);
  return known === undefined ? await orAborted(files.ask(about, ask) ?? busy(), signal, LOOKING_UP) : known.answer;
}

function toPublic(profile: Profile): PublicProfile {
  const { displayName, about, avatar, links, wallets, sequence } = profile;
  return {
    displayName,
    about,
    avatar,
    links: links.map(({ to }) => to),
    payout: payoutOf(profile),
    wallets: wallets.map(({ wallet }) => wallet),
    updated: unixSeconds(Math.floor(sequence / 1_000)),
  };
}

function busy(): Promise<never> {
  return Promise.reject(
    new RelaymintError('LIMIT_EXCEEDED', 'Too many names are looked up now.', { remedy: 'Try again in a moment.' }),
  );
}

function holdingOf({ name, owner, registeredAt, transfers, status }: NameRecord): NameHolding {
  return { name, owner, registeredAt, transfers, isActive: status !== 'expired' };
}

async function readUpTo(body: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > most) {
      throw new RelaymintError('LIMIT_EXCEEDED', `The gateway answered with more than ${most} bytes.`, {
        remedy: 'Ask another gateway.',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The host's side of the `publish` service: who may publish, and a commit that keeps a root only when all of it is here. */
import { randomBytes } from 'node:crypto';
import { RelaymintError, isRelaymintError, type ErrorCode } from '../../core/errors.ts';
import { ledgerAddress, nodeIdBytes, type NodeId } from '../../core/ids.ts';
import { CONTENT_IDLE_MILLIS, MAX_ROOTS_PER_NAME } from '../../core/limits.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import { formatBytes, type Bytes } from '../../core/units.ts';
import type { LedgerReader, NameRecord } from '../../ledger/contract.ts';
import { isSignedBy } from '../../ledger/receipt/index.ts';
import { equalBytes } from '../../core/codec.ts';
import { isManifestCodec, verifyBlock } from '../blocks/index.ts';
import type { BlockStore, ImportSession, Pin, ServiceHandler, ServiceStream } from '../blocks/contract.ts';
import {
  NONCE_BYTES,
  decodePublishParams,
  encodeHello,
  encodePublishAnswer,
  publishClaim,
  readClaim,
  readPublishRequest,
  type Claim,
  type PublishRequest,
} from './protocol.ts';
import { ByteReader, IdleTimer, writeAll } from '../wire/index.ts';

/** What a host takes in: `open`, any wallet may bring a name that nobody has registered yet; `names`, only these names. */
export type PublishPolicy =
  { readonly policy: 'open' } | { readonly policy: 'names'; readonly names: readonly string[] };

export interface PublishServiceOptions {
  readonly store: BlockStore;
  readonly ledger: Pick<LedgerReader, 'name'>;
  /** This host's node id: part of what the publisher signs. */
  readonly host: NodeId;
  /** A registered name is taken from its owner or manager only, whatever the policy. */
  readonly accept: PublishPolicy;
  /** Most bytes one root of a name may have. */
  readonly quotaPerName?: Bytes;
  /** Called before the publisher is answered. */
  readonly onPinned?: (pin: Pin) => void;
  readonly log?: Log;
}

/** Time for a refusal to be read before the stream is torn down, milliseconds. */
const LINGER_MILLIS = 5000;
const NO_QUOTA = (1n << 64n) - 1n;

/** Handler of the `publish` service. */
export function createPublishService(options: PublishServiceOptions): ServiceHandler {
  const log = options.log ?? silentLog;
  /** That this host can store nothing is logged once until it can again, however often publishers try. */
  let troubled = false;
  const onPinned = (pin: Pin): void => {
    troubled = false;
    options.onPinned?.(pin);
  };
  return (stream, params) => {
    stream.on('error', (error) => log.debug({ err: error }, 'A publish stream ended early.'));
    take({ ...options, onPinned }, stream, params, log).catch((error: unknown) => {
      if (!isRelaymintError(error)) log.error({ err: error }, 'A publish failed; the stream was reset.');
      else if (isOwnTrouble(error)) {
        if (!troubled)
          log.warn({ err: error }, 'Uploads from publishers cannot be stored: publishers are sent to other hosts.');
        troubled = true;
      }
      refuse(stream, error);
    });
  };
}

/** The disk or the quota of this host is full, which its operator must fix; the limit of one name concerns only its publisher. */
function isOwnTrouble(error: RelaymintError): boolean {
  return isRelaymintError(error, 'STORAGE_FULL', 'STORAGE_FAILED') && error.details['name'] === undefined;
}

async function take(
  options: PublishServiceOptions,
  stream: ServiceStream,
  params: Uint8Array,
  log: Log,
): Promise<void> {
  decodePublishParams(params);
  const idle = new IdleTimer(stream, CONTENT_IDLE_MILLIS, 'publisher');
  const reader = new ByteReader(stream, () => idle.touch());
  const nonce = randomBytes(NONCE_BYTES);
  await writeAll(stream, encodeHello(nonce));
  const claim = await readClaim(reader);
  await authorize(options, claim, nonce);
  await writeAll(stream, encodePublishAnswer({ kind: 'welcome', quotaLeft: BigInt(options.quotaPerName ?? NO_QUOTA) }));
  const session = options.store.begin();
  try {
    for (;;) {
      const request = await readPublishRequest(reader);
      if (request === undefined) break;
      await apply(options, session, stream, claim.name, request, log);
    }
    stream.end();
  } finally {
    await session.close();
  }
}

async function apply(
  options: PublishServiceOptions,
  session: ImportSession,
  stream: ServiceStream,
  name: string,
  request: PublishRequest,
  log: Log,
): Promise<void> {
  if (request.kind === 'have') {
    const present: boolean[] = [];
    for (const cid of request.cids) present.push(await session.hold(cid));
    await writeAll(stream, encodePublishAnswer({ kind: 'have', present }));
    return;
  }
  if (request.kind === 'block') {
    verifyBlock(request.cid, request.block);
    checkQuota(options, name, session.added + request.block.length);
    await session.put(request.cid, request.block);
    return;
  }
  const { store, ledger } = options;
  const pin = await session.pin(name, request.root);
  try {
    checkQuota(options, name, pin.bytes);
  } catch (error) {
    await store.unpin(name, request.root);
    throw error;
  }
  await makeRoom(store, await ledger.name(name), pin);
  log.info(
    { name: pin.name, root: pin.root.toString(), blocks: pin.blocks, bytes: pin.bytes },
    isManifestCodec(pin.root) ? 'Keeps a manifest.' : 'Keeps a site.',
  );
  options.onPinned?.(pin);
  await writeAll(stream, encodePublishAnswer({ kind: 'done', blocks: pin.blocks, bytes: BigInt(pin.bytes) }));
}

/** Keeps the root on chain, the new one, and the youngest of the others; and of manifests as many. */
async function makeRoom(store: BlockStore, record: NameRecord | undefined, newest: Pin): Promise<void> {
  const isManifest = isManifestCodec(newest.root);
  const named = isManifest ? record?.manifest : record?.root;
  const others = store
    .pins(newest.name)
    .filter((pin) => isManifestCodec(pin.root) === isManifest)
    .filter((pin) => !pin.root.equals(newest.root) && !(named && equalBytes(named, pin.root.bytes)));
  const spare = MAX_ROOTS_PER_NAME - 2;
  for (const pin of others.slice(0, Math.max(0, others.length - spare))) await store.unpin(pin.name, pin.root);
}

async function authorize(options: PublishServiceOptions, claim: Claim, nonce: Uint8Array): Promise<void> {
  const wallet = ledgerAddress(claim.wallet);
  if (!isSignedBy(wallet, publishClaim(nodeIdBytes(options.host), nonce, claim.name), claim.signature)) {
    throw refused(
      `the proof for ${claim.name} is not signed by ${wallet}`,
      'Publish with the wallet that owns the name.',
    );
  }
  if (options.accept.policy === 'names' && !options.accept.names.includes(claim.name)) {
    throw refused(
      `this host does not take ${claim.name}`,
      'Publish to another host, or have its operator allow the name.',
    );
  }
  const record = await options.ledger.name(claim.name);
  // A publisher registers a free name after publishing; content of names that nobody registers is removed after a day.
  if (record === undefined || record.status === 'expired') return;
  if (wallet === record.owner || wallet === record.manager) return;
  throw refused(`${claim.name} belongs to another wallet`, 'Publish with the wallet that owns the name.');
}

function checkQuota(options: PublishServiceOptions, name: string, bytes: number): void {
  if (options.quotaPerName === undefined || bytes <= options.quotaPerName) return;
  throw new RelaymintError('STORAGE_FULL', `${name} may use at most ${formatBytes(options.quotaPerName)} here.`, {
    remedy: 'Publish less, or to another host.',
    details: { name },
  });
}

function refused(why: string, remedy: string): RelaymintError {
  return new RelaymintError('CONTENT_REFUSED', `The host refused the publish: ${why}.`, { remedy });
}

/** Errors whose text is sent to the publisher. The text of others may reveal things about this host: its ledger node, its folders. */
const TOLD: readonly ErrorCode[] = [
  'CONTENT_CORRUPT',
  'CONTENT_NOT_FOUND',
  'CONTENT_REFUSED',
  'INVALID_ENCODING',
  'LIMIT_EXCEEDED',
  'NAME_INVALID',
  'PROTOCOL_VIOLATION',
  'STORAGE_FULL',
  'STREAM_RESET',
  'TIMEOUT',
  'VERSION_UNSUPPORTED',
];

/** Sends the reason and lets the publisher read it: what the publisher still sends is discarded. */
function refuse(stream: ServiceStream, error: unknown): void {
  if (stream.destroyed || stream.writableEnded) {
    stream.destroy();
    return;
  }
  stream.end(encodePublishAnswer({ kind: 'refused', ...toldOf(error) }));
  stream.resume();
  const timer = setTimeout(() => stream.destroy(), LINGER_MILLIS);
  stream.once('close', () => clearTimeout(timer));
}

function toldOf(error: unknown): { readonly code: string; readonly message: string } {
  if (!isRelaymintError(error) || !TOLD.includes(error.code)) {
    return { code: 'INTERNAL', message: 'The host failed. Try again, or publish to another host.' };
  }
  // The remedy for the disk is for the operator.
  if (isOwnTrouble(error)) return { code: error.code, message: 'It has no more room.' };
  return { code: error.code, message: error.message };
}

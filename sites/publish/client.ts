/** The publisher's side of the `publish` service: proves the wallet, sends what the host lacks, commits the root. */
import type { Duplex } from 'node:stream';
import type { CID } from 'multiformats/cid';
import { abortError, assertNotAborted, onAbort } from '../../core/abort.ts';
import { RelaymintError, violation, type ErrorCode } from '../../core/errors.ts';
import { ledgerAddressBytes, nodeIdBytes, type NodeId } from '../../core/ids.ts';
import { CONTENT_IDLE_MILLIS, MAX_HAVE_BATCH } from '../../core/limits.ts';
import { bytes, type Bytes } from '../../core/units.ts';
import { PUBLISH_SERVICE, type BlockStore, type OpenStream, type PublisherKey } from '../blocks/contract.ts';
import {
  encodeBlockHead,
  encodeClaim,
  encodeCommit,
  encodeHave,
  encodePublishParams,
  publishClaim,
  readHello,
  readPublishAnswer,
  type PublishAnswer,
} from './protocol.ts';
import { ByteReader, IdleTimer, writeAll } from '../wire/index.ts';

export interface PublishProgress {
  readonly sentBlocks: number;
  /** Blocks that the host had already. */
  readonly skippedBlocks: number;
  readonly sentBytes: number;
}

export interface PublishResult extends PublishProgress {
  /** As the host counted them after walking the root. */
  readonly blocks: number;
  readonly bytes: Bytes;
}

export interface PublishOptions {
  readonly openStream: OpenStream;
  readonly host: NodeId;
  /** Keeps `root` (see importSite). */
  readonly store: BlockStore;
  readonly name: string;
  readonly root: CID;
  /** Also kept in `store`; the host takes it before the root. Absent: the name has none. */
  readonly manifest?: CID | undefined;
  readonly publisher: PublisherKey;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PublishProgress) => void;
}

const PUBLISHING = 'Publishing';
const RESUMES = 'Start it again: it resumes.';

/** Codes that a host may state; any other becomes CONTENT_REFUSED. */
const HOST_CODES: readonly ErrorCode[] = [
  'CONTENT_NOT_FOUND',
  'CONTENT_CORRUPT',
  'STORAGE_FULL',
  'STORAGE_FAILED',
  'LIMIT_EXCEEDED',
  'NAME_INVALID',
  'LEDGER_UNREACHABLE',
  'VERSION_UNSUPPORTED',
];

/**
 * Sends a kept root to a host. Blocks that the host has are skipped, so calling it again after a failure resumes.
 * @throws RelaymintError CONTENT_REFUSED (with the host's reason), STORAGE_FULL, CONTENT_NOT_FOUND, STREAM_RESET, TIMEOUT, ABORTED.
 */
export async function publishSite(options: PublishOptions): Promise<PublishResult> {
  const { signal } = options;
  assertNotAborted(signal, PUBLISHING, RESUMES);
  const stream = await options.openStream(PUBLISH_SERVICE, encodePublishParams(), { ...(signal && { signal }) });
  stream.on('error', () => undefined);
  using _stop = onAbort(signal, () => {
    if (signal !== undefined) stream.destroy(abortError(signal, PUBLISHING, RESUMES));
  });
  try {
    return await new Publish(stream, options).run();
  } finally {
    if (!stream.destroyed) stream.destroy();
  }
}

class Publish {
  readonly #stream: Duplex;
  readonly #options: PublishOptions;
  readonly #reader: ByteReader;
  readonly #idle: IdleTimer;
  /** The host's next message, awaited all the time: a refusal may come while blocks are sent. */
  #answer: Promise<PublishAnswer> | undefined;
  #sentBlocks = 0;
  #skippedBlocks = 0;
  #sentBytes = 0;

  constructor(stream: Duplex, options: PublishOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#idle = new IdleTimer(stream, CONTENT_IDLE_MILLIS, 'host');
    this.#reader = new ByteReader(stream, () => this.#idle.touch());
  }

  async run(): Promise<PublishResult> {
    const { root, manifest, name, host, publisher } = this.#options;
    const nonce = await readHello(this.#reader);
    const signature = await publisher.sign(publishClaim(nodeIdBytes(host), nonce, name));
    await this.#write(encodeClaim({ name, wallet: ledgerAddressBytes(publisher.address), signature }));
    this.#listen();
    await this.#expect('welcome');
    if (manifest !== undefined) await this.#bring(manifest);
    const done = await this.#bring(root);
    this.#stream.end();
    return { ...this.#progress(), blocks: done.blocks, bytes: bytes(Number(done.bytes)) };
  }

  /** What the host lacks of a root, which it keeps then. */
  async #bring(root: CID): Promise<Extract<PublishAnswer, { kind: 'done' }>> {
    const { store } = this.#options;
    let batch: CID[] = [];
    for await (const cid of store.blocksOf(root)) {
      batch.push(cid);
      if (batch.length < MAX_HAVE_BATCH) continue;
      await this.#send(batch);
      batch = [];
    }
    if (batch.length > 0) await this.#send(batch);
    await this.#write(encodeCommit(root));
    return await this.#expect('done');
  }

  async #send(batch: readonly CID[]): Promise<void> {
    await this.#write(encodeHave(batch));
    const { present } = await this.#expect('have');
    if (present.length !== batch.length) throw unexpected();
    for (const [index, cid] of batch.entries()) {
      if (present[index] === true) {
        this.#skippedBlocks += 1;
        continue;
      }
      const block = await this.#options.store.get(cid);
      await this.#write(encodeBlockHead(cid, block.length), block);
      this.#sentBlocks += 1;
      this.#sentBytes += block.length;
      this.#options.onProgress?.(this.#progress());
    }
    this.#options.onProgress?.(this.#progress());
  }

  #progress(): PublishProgress {
    return { sentBlocks: this.#sentBlocks, skippedBlocks: this.#skippedBlocks, sentBytes: this.#sentBytes };
  }

  #listen(): void {
    const answer = readPublishAnswer(this.#reader).then((said) => {
      if (said.kind !== 'refused') return said;
      const error = refusal(this.#options.host, said.code, said.message);
      // Also wakes a write that waits for room.
      this.#stream.destroy(error);
      throw error;
    });
    answer.catch(() => undefined);
    this.#answer = answer;
  }

  async #expect<K extends PublishAnswer['kind']>(kind: K): Promise<Extract<PublishAnswer, { kind: K }>> {
    const said = await this.#answer;
    if (said?.kind !== kind) throw unexpected();
    this.#listen();
    return said as Extract<PublishAnswer, { kind: K }>;
  }

  async #write(...parts: readonly Uint8Array[]): Promise<void> {
    try {
      await writeAll(this.#stream, ...parts);
    } catch (error) {
      // The host may have said why before it hung up.
      await this.#answer;
      throw error;
    }
    this.#idle.touch();
  }
}

function refusal(host: NodeId, code: string, message: string): RelaymintError {
  const known = HOST_CODES.find((candidate) => candidate === code) ?? 'CONTENT_REFUSED';
  if (known === 'STORAGE_FULL') {
    // There is a disk at this end too, so the message says which one is full.
    return new RelaymintError(known, `The host ${host} did not take it: ${message}`, {
      remedy: 'Choose another host with --host.',
    });
  }
  return new RelaymintError(known, message);
}

function unexpected(): RelaymintError {
  return violation('The host sent an unexpected answer.', 'Publish to another host.');
}

/**
 * The guards on disk: JSON, so that people can read it. `checksum` is the SHA-256 of the text of `owner` and `guards`: a spoiled character
 * is noticed, and no other guards are drawn silently. `owner` is the node and wallet that they belong to. Times are UNIX milliseconds.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { RelaymintError } from '../../../core/errors.ts';
import { nodeId, type NodeId } from '../../../core/ids.ts';
import { MAX_COUNTED_RELAYS, MAX_GUARDS } from '../../../core/limits.ts';
import { readWhole, replaceFile } from '../../../platform/disk/atomic-file.ts';
import type { Counts, GuardStore } from './contract.ts';

const FORMAT = 'relaymint-guards';
const VERSION = 2;
/** Every guard with as many counted relays as there may be is about 400 KB. */
const MAX_FILE_BYTES = 1024 * 1024;

const node = z.string().transform((text, context): NodeId => {
  try {
    return nodeId(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'not a node id' });
    return z.NEVER;
  }
});
const time = z.int().min(0);
const count = z.number().min(0).max(1e9);
const counts = { tried: count, failed: count };

/** Guards see whose circuits they carry: the same ones for two of these would tie them to each other. */
export interface GuardOwner {
  readonly node: NodeId;
  /** The wallet that pays; absent if there is none. */
  readonly wallet?: string | undefined;
}

export interface FiledGuard extends Counts {
  readonly node: NodeId;
  readonly sampledAt: number;
  readonly expiresAt: number;
  /** When an offer of it was last known. */
  readonly listedAt: number;
  /** When a circuit first stood through it. */
  readonly confirmedAt?: number | undefined;
  /** When it was given up. */
  readonly droppedAt?: number | undefined;
  /** When the counts were last made smaller. */
  readonly fadedAt: number;
  readonly relays: readonly FiledRelay[];
}

/** What circuits came to over a relay behind this guard. */
export interface FiledRelay extends Counts {
  readonly node: NodeId;
}

const guardSchema: z.ZodType<FiledGuard> = z.strictObject({
  node,
  sampledAt: time,
  expiresAt: time,
  listedAt: time,
  confirmedAt: time.optional(),
  droppedAt: time.optional(),
  ...counts,
  fadedAt: time,
  relays: z.array(z.strictObject({ node, ...counts })).max(MAX_COUNTED_RELAYS),
});

const fileSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  checksum: z.string(),
  owner: z.strictObject({ node, wallet: z.string().optional() }),
  guards: z.array(guardSchema).max(MAX_GUARDS),
});

export function encodeGuards(guards: readonly FiledGuard[], { node: ownNode, wallet }: GuardOwner): Uint8Array {
  const owner = { node: ownNode, ...(wallet === undefined ? {} : { wallet }) };
  const file = { format: FORMAT, version: VERSION, checksum: checksumOf(owner, guards), owner, guards };
  return Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`);
}

/** @throws RelaymintError INVALID_ENCODING (damaged), VERSION_UNSUPPORTED, INVALID_CONFIG (somebody else's). */
export function decodeGuards(content: Uint8Array, name: string, owner: GuardOwner): FiledGuard[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(content).toString('utf8'));
  } catch (cause) {
    throw damaged(name, 'it is not JSON', cause);
  }
  const head = z
    .looseObject({ format: z.literal(FORMAT), version: z.int(), owner: z.unknown(), guards: z.unknown() })
    .safeParse(value);
  if (!head.success) throw damaged(name, 'it is not a list of guards', head.error);
  if (head.data.version !== VERSION) {
    throw new RelaymintError(
      'VERSION_UNSUPPORTED',
      `${name} has format version ${head.data.version}, this program knows ${VERSION}.`,
      {
        remedy: 'Use the version that wrote it, or move the file away: new guards are then drawn.',
      },
    );
  }
  const file = fileSchema.safeParse(value);
  if (!file.success) throw damaged(name, z.prettifyError(file.error), file.error);
  if (file.data.checksum !== checksumOf(head.data.owner, head.data.guards))
    throw damaged(name, 'its checksum is wrong');
  const nodes = new Set(file.data.guards.map((guard) => guard.node));
  if (nodes.size !== file.data.guards.length) throw damaged(name, 'it contains a guard twice');
  ensureOwn(file.data.owner, owner, name);
  return file.data.guards;
}

function ensureOwn(found: GuardOwner, own: GuardOwner, name: string): void {
  if (found.node === own.node && found.wallet === own.wallet) return;
  const what = found.node === own.node ? 'another wallet' : `another node, ${found.node}`;
  throw new RelaymintError('INVALID_CONFIG', `The guards in ${name} belong to ${what}.`, {
    remedy:
      'Put back the keys that they belong to, or move the file away: new guards are then drawn. With the same guards, relays could tell that both are yours.',
  });
}

/** A file that only its owner may read, replaced as a whole: after a kill or a power cut there is the old one or the new one. */
export function guardFile(file: string): GuardStore {
  return {
    name: file,
    read: () =>
      readWhole(file, (size) => {
        if (size > MAX_FILE_BYTES) throw damaged(file, `it has ${size} bytes`);
      }),
    write: (content) => replaceFile(file, content),
  };
}

function checksumOf(owner: unknown, guards: unknown): string {
  return createHash('sha256').update(JSON.stringify({ owner, guards })).digest('hex');
}

function damaged(name: string, what: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `The guards in ${name} cannot be read: ${what}.`, {
    remedy:
      'Restore the file from a copy. Without one, move it away: new guards are then drawn, and more relays learn where this node is.',
    cause,
  });
}

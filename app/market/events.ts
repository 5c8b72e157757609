/** The JSON lines that long-running commands print with `--json`, as the marketplace and scripts read them. */
import { z } from 'zod';

export interface LedgerReady {
  readonly event: 'ready';
  readonly url: string;
  readonly programId: string;
}

export interface NodeReady {
  readonly event: 'ready';
  readonly role: 'relay' | 'host' | 'gateway';
  readonly label: string;
  readonly nodeId: string;
  readonly wallet: string;
  /** Multiaddrs that others can dial; empty for a gateway. */
  readonly addresses: readonly string[];
  /** Where visitors go; a gateway's only. */
  readonly gateway?: string | undefined;
}

/** What a command of an owner paid its neighbours. */
export interface Accounts {
  readonly nodeId: string;
  readonly wallet: string;
  /** Credits of the owner's wallet before anything was paid, base units. */
  readonly creditsBefore: string;
  /** The command's own accounts: what it paid whom. */
  readonly pairs: readonly {
    readonly peer: string;
    readonly transport: string;
    readonly channel: string;
    readonly counts: { readonly up: string; readonly down: string };
    readonly owed: string;
  }[];
}

/** What `relaymint site publish --json` prints when it is done. */
export interface Published extends Accounts {
  readonly event: 'published';
  readonly name: string;
  readonly cid: string;
  readonly files: number;
  readonly bytes: number;
  /** Of `bytes`, those that were read: the others are of files that did not change since they were read last. */
  readonly readBytes: number;
  /** Files that changed while they were read. */
  readonly changed: readonly string[];
  /** Blocks that the hosts lacked, and their bytes, all hosts together. */
  readonly sentBlocks: number;
  readonly sentBytes: number;
  /** Files of the folder that were left out, and why. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  /** Files that are not what their names say, and what to do about it, 100 at most; they were published all the same. */
  readonly doubts: readonly { readonly path: string; readonly message: string; readonly remedy: string }[];
  /** Node ids of those that have all of it. */
  readonly hosts: readonly string[];
  /** Node ids of those that say they keep the name, stay, and were not brought this update; visitors may get an older state from them. */
  readonly stale: readonly string[];
  /** "registered", "updated" or "unchanged". */
  readonly record: string;
  /** CID of the manifest that the name has now; absent: it has none. */
  readonly manifest?: string | undefined;
  /** Base units burned for the name's term; "0" when it was not registered now. */
  readonly paid: string;
  /** When the name expires, Unix seconds by the ledger's clock, and whole days until then; absent when it never does. */
  readonly expiresAt?: string | undefined;
  readonly daysLeft?: number | undefined;
}

/** What `relaymint site rollback --json` prints when it is done. */
export interface RolledBack
  extends
    Accounts,
    Pick<Published, 'name' | 'cid' | 'hosts' | 'stale' | 'sentBlocks' | 'sentBytes' | 'record' | 'manifest'> {
  readonly event: 'rolled back';
  /** Where the name pointed before; absent: to nothing. */
  readonly from?: string;
}

/** What `relaymint post write --json` and `relaymint route update --json` print when hosts have what was said. */
export interface Said extends Accounts {
  readonly event: 'said';
  readonly name: string;
  readonly author: string;
  readonly sequence: number;
  /** Node ids of those that keep it. */
  readonly hosts: readonly string[];
}

/** Author and number of a post. */
export type PostId = Pick<Said, 'author' | 'sequence'>;

/** What `relaymint post list --json` prints, as far as a marketplace looks at it. */
export interface Thread {
  readonly event: 'thread';
  readonly posts: readonly {
    readonly author: { readonly name: string };
    readonly sequence: number;
    readonly text?: string | undefined;
  }[];
}

/** What `relaymint sso wallet --json` prints when it begins. */
export interface IssuerReady {
  readonly event: 'ready';
  readonly issuer: string;
  readonly port: number;
  /** A secret. */
  readonly walletLink: string;
}

/** What `relaymint route update --watch --json` prints when it begins. */
export interface Following {
  readonly event: 'ready';
  readonly name: string;
}

export const issuerReadySchema: z.ZodType<IssuerReady> = z.object({
  event: z.literal('ready'),
  issuer: z.string(),
  port: z.int(),
  walletLink: z.string(),
});

const decimal = z.string().regex(/^\d+$/);

const accounts = {
  nodeId: z.string(),
  wallet: z.string(),
  creditsBefore: decimal,
  pairs: z.array(
    z.object({
      peer: z.string(),
      transport: z.string(),
      channel: z.string(),
      counts: z.object({ up: decimal, down: decimal }),
      owed: decimal,
    }),
  ),
};

export const ledgerReadySchema: z.ZodType<LedgerReady> = z.object({
  event: z.literal('ready'),
  url: z.url(),
  programId: z.string(),
});

export const nodeReadySchema: z.ZodType<NodeReady> = z.object({
  event: z.literal('ready'),
  role: z.enum(['relay', 'host', 'gateway']),
  label: z.string(),
  nodeId: z.string(),
  wallet: z.string(),
  addresses: z.array(z.string()),
  gateway: z.url().optional(),
});

export const publishedSchema: z.ZodType<Published> = z.object({
  event: z.literal('published'),
  name: z.string(),
  cid: z.string(),
  files: z.number().int(),
  bytes: z.number().int(),
  readBytes: z.number().int(),
  changed: z.array(z.string()),
  sentBlocks: z.number().int(),
  sentBytes: z.number().int(),
  skipped: z.array(z.object({ path: z.string(), reason: z.string() })),
  doubts: z.array(z.object({ path: z.string(), message: z.string(), remedy: z.string() })),
  hosts: z.array(z.string()),
  stale: z.array(z.string()),
  ...accounts,
  record: z.string(),
  manifest: z.string().optional(),
  paid: decimal,
  expiresAt: decimal.optional(),
  daysLeft: z.number().int().optional(),
});

export const saidSchema: z.ZodType<Said> = z.object({
  event: z.literal('said'),
  name: z.string(),
  author: z.string(),
  sequence: z.number().int(),
  hosts: z.array(z.string()),
  ...accounts,
});

export const threadSchema: z.ZodType<Thread> = z.object({
  event: z.literal('thread'),
  posts: z.array(
    z.object({ author: z.object({ name: z.string() }), sequence: z.number().int(), text: z.string().optional() }),
  ),
});

export const followingSchema: z.ZodType<Following> = z.object({ event: z.literal('ready'), name: z.string() });

/** A post as programs read it: at a gateway, and from the command line. */
import type { NameRecord, Split } from '../../ledger/contract.ts';
import type { ProfileJson } from '../profile/index.ts';
import type { EntryId } from './contract.ts';
import type { Post, PostState } from './thread.ts';

/** `payout`: whom to pay directly. What reading a post earns goes where the ledger says (`splits`). */
export type AuthorProfile = Pick<ProfileJson, 'displayName' | 'avatar' | 'payout'>;

export interface PostJson {
  /** Who wrote it. Of what is shown also who is paid for it: by the ledger's word, as of everything. */
  readonly author: {
    readonly name: string;
    readonly owner?: string;
    readonly splits?: readonly Split[];
    readonly royaltyBps?: number;
    /** Who that is by the author's own word, where it was asked for and there is one that is good. */
    readonly profile?: AuthorProfile;
  };
  readonly sequence: number;
  /** Milliseconds, by the author's clock. */
  readonly created: number;
  readonly edited: number | undefined;
  readonly revision: number;
  readonly answers: EntryId | undefined;
  readonly state: PostState;
  readonly mediaType: string | undefined;
  /** Nobody's word that it is harmless where it is read as something else than text. */
  readonly text?: string;
}

export function postJson({ content, author, mark: _mark, ...post }: Post, record: NameRecord | undefined): PostJson {
  const payout = post.state === 'shown' &&
    record !== undefined && {
      owner: record.owner,
      splits: record.splits.map(({ account, bps }) => ({ account, bps })),
      royaltyBps: record.royaltyBps,
    };
  return {
    author: { name: author, ...payout },
    ...post,
    ...(content !== undefined && { text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(content) }),
  };
}

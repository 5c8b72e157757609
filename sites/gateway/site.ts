/** One visitor's request for one path of a name: the name is looked up, its manifest verified, and its content answers. */
import { orAborted } from '../../core/abort.ts';
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { NAME_WAIT_MILLIS } from '../../core/limits.ts';
import type { ContentSource } from '../blocks/contract.ts';
import type { Manifests } from '../manifest/contract.ts';
import { Limit } from '../serve/index.ts';
import type { Appendix } from './appendix.ts';
import { answerContent } from './content.ts';
import type { Asked, SiteAddress } from './contract.ts';
import { declaredBy } from './declared.ts';
import { allowEmbedding, requireEmbeddable, requireOpen } from './embedding.ts';
import { withoutContent } from './failure.ts';
import type { FeedAnswers } from './feed-answers.ts';
import type { KeptAnswers } from './kept-answers.ts';
import { answerTerms, tellLicence } from './licence.ts';
import { sendMessage } from './pages.ts';
import type { Place } from './place.ts';
import { isPosting, type PostAnswers } from './post-answers.ts';

/** What a name points to now. @throws RelaymintError as `NameResolver.resolve`. */
export interface NameLookup {
  resolve(name: string): Promise<SiteAddress>;
}

export interface SiteParts {
  readonly resolver: NameLookup;
  readonly content: ContentSource;
  /** How long a visitor waits for the look-up of a name, milliseconds. Default NAME_WAIT_MILLIS. */
  readonly nameWaitMillis?: number;
  readonly appendix?: Appendix;
  readonly manifests: Manifests;
  /** Absent: nothing is followed here. */
  readonly feeds?: FeedAnswers | undefined;
  /** Absent: pages say nothing here. */
  readonly posts?: PostAnswers | undefined;
  /** Absent: every answer is made anew. */
  readonly kept?: KeptAnswers | undefined;
}

/** Answers the request. @throws RelaymintError before anything was sent (tell it) or after (cut the connection). */
export async function serveSite(parts: SiteParts, whole: Asked): Promise<void> {
  const { name, embedder, isForeign, request, response, signal, paced } = whole;
  let site: SiteAddress;
  using limit = new Limit(signal);
  limit.restart(parts.nameWaitMillis ?? NAME_WAIT_MILLIS, ledgerSilent);
  try {
    site = await orAborted(parts.resolver.resolve(name), limit.signal, `Looking up ${name}`);
  } catch (error) {
    if (!isRelaymintError(error, 'CONTENT_NOT_FOUND')) throw error;
    sendMessage(response, withoutContent(error));
    return;
  }
  limit.stop();
  // Whose owner says nothing lets nobody: no host is asked for that.
  if (embedder !== undefined && (site.record?.manifest.length ?? 0) === 0) requireEmbeddable(name, embedder, 'none');
  const content = await parts.content.open({ ...site, referrer: embedder?.name }, { signal });
  try {
    // Nothing of the content is sent before: not even that a path has nothing.
    const signed = site.record && (await parts.manifests.of(site.record, content, signal, embedder?.name));
    if (embedder !== undefined) {
      requireEmbeddable(name, embedder, signed?.manifest.embedding ?? 'none');
      allowEmbedding(response, embedder);
    } else if (isForeign === true && signed !== undefined) requireOpen(name, signed.manifest.embedding);
    if (parts.posts !== undefined && isPosting(request)) {
      await parts.posts.answer(whole, signed);
      return;
    }
    if ((await parts.feeds?.answer(whole, signed)) === true) return;
    const keep = parts.kept?.record(request, response, site);
    const asked = { request, response, signal };
    const place: Place = {
      root: site.root,
      blocks: paced(content),
      base: '',
      canonical: `/ipns/${name}`,
      title: name,
      immutable: false,
      ownOrigin: true,
      page: embedder?.name,
      declared: declaredBy(signed, embedder?.name),
      ...(parts.appendix && { appendix: parts.appendix }),
    };
    if (signed !== undefined) tellLicence(response, signed);
    if (!(await answerTerms(asked, place, signed))) await answerContent(asked, place);
    keep?.();
  } finally {
    content.close();
  }
}

function ledgerSilent(): RelaymintError {
  return new RelaymintError('LEDGER_UNREACHABLE', 'The ledger did not say in time what the name points to.', {
    remedy: 'Try again in a moment.',
  });
}

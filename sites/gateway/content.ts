/** A request for content of a place, in the form that is wanted. */
import { RelaymintError, isRelaymintError } from '../../core/errors.ts';
import { answerCar, answerRaw, answerTar } from './block-forms.ts';
import { onlyIfCached } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import type { Place } from './place.ts';
import { representationOf } from './representation.ts';
import { answerTree } from './tree.ts';

/** @throws RelaymintError before anything was sent (tell it) or after (cut the connection). */
export async function answerContent(asked: ContentAsked, place: Place): Promise<void> {
  const wanted = representationOf(asked.request, !place.immutable);
  try {
    if (wanted.form === 'raw') await answerRaw(asked, place);
    else if (wanted.form === 'car') await answerCar(asked, place, wanted);
    else if (wanted.form === 'tar') await answerTar(asked, place);
    else await answerTree(asked, place, wanted.type);
  } catch (error) {
    if (!onlyIfCached(asked.request) || !isRelaymintError(error, 'CONTENT_NOT_FOUND')) throw error;
    throw new RelaymintError('NOT_CACHED', 'This gateway does not have it here.', {
      remedy: 'Ask without "only-if-cached".',
      cause: error,
    });
  }
}

/**
 * Who somebody is under a `.sso` name, as JSON, for pages and programs: `/.relaymint/profile/NAME` on every origin of a name, and on the
 * gateway's own for programs. All of it is public, so that any page may read what it was sent; but a look-up costs whoever visits. It is paid
 * out of the budget of the page that asks, and a page is told only so many.
 */
import type { Request } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import { NAME_CACHE_MILLIS, PROFILES_AT_ONCE_PER_PAGE, PROFILE_REST_MILLIS } from '../../core/limits.ts';
import { profileJson, type Profiles } from '../profile/index.ts';
import { Allowance } from './allowance.ts';
import type { Asked } from './contract.ts';
import { messageFor } from './failure.ts';

const PLACE = '/.relaymint/profile/';
const TOO_MANY_REQUESTS = 429;

export function isProfilePath({ path }: Pick<Request, 'path'>): boolean {
  return path.startsWith(PLACE);
}

/** Of the address; as it was written, and not yet looked at. */
export function profileOfPath({ path }: Pick<Request, 'path'>): string {
  return path.slice(PLACE.length);
}

export class ProfileAnswers {
  readonly #profiles: Profiles;
  /** By who asks, and in whose page. */
  readonly #asked: Allowance;

  constructor(profiles: Profiles, now?: () => number) {
    this.#profiles = profiles;
    this.#asked = new Allowance({
      what: 'profiles',
      atOnce: PROFILES_AT_ONCE_PER_PAGE,
      restMillis: PROFILE_REST_MILLIS,
      now,
    });
  }

  /** @param page the name whose page asks; undefined: a program does. */
  async answer({ request, response, client, signal }: Asked, page: string | undefined): Promise<void> {
    response.set({
      'Access-Control-Allow-Origin': '*',
      'Cross-Origin-Resource-Policy': 'cross-origin',
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-store',
    });
    try {
      if (!this.#asked.take(`${client} ${page ?? ''}`, response)) throw tooMany();
      const name = profileOfPath(request);
      const found = await this.#profiles.of(name, { referrer: page, signal });
      if (found === undefined) {
        response.status(404).json(told('CONTENT_NOT_FOUND', `${name} has no profile.`));
        return;
      }
      const { tenure, sequence } = found.profile;
      response.set({
        'Cache-Control': `private, max-age=${NAME_CACHE_MILLIS / 1000}`,
        ETag: `"${tenure}-${sequence}"`,
      });
      if (request.fresh) response.status(304).end();
      else response.json(profileJson(found.profile));
    } catch (error) {
      if (signal.aborted || response.headersSent || !(error instanceof RelaymintError)) throw error;
      const { status, text, retrySeconds } = messageFor(error);
      if (retrySeconds !== undefined) response.set('Retry-After', String(retrySeconds));
      const isOften = error.code === 'LIMIT_EXCEEDED';
      response.status(isOften ? TOO_MANY_REQUESTS : status).json(told(error.code, text));
    }
  }
}

function told(code: string, message: string): object {
  return { error: { code, message } };
}

function tooMany(): RelaymintError {
  return new RelaymintError('LIMIT_EXCEEDED', 'This page asks for too many profiles.', {
    remedy: 'Ask for those that are looked at.',
  });
}

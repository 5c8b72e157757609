/** How a failure is shown to a visitor: its status and its text. */
import { isRelaymintError } from '../../core/errors.ts';
import type { ErrorCode, RelaymintError } from '../../core/errors.ts';
import type { Message } from './pages.ts';

interface Telling {
  readonly status: number;
  readonly title: string;
  /** Replaces the error's own text if that could tell a visitor too much, for example which ledger node is used. */
  readonly text?: string;
  /** Where it mends itself, or others do: after how many seconds to ask again. */
  readonly retrySeconds?: number;
}

/**
 * 502: who was asked did not deliver, or something else. 504: nobody answered in time. 503: this gateway itself cannot now. 500: this gateway
 * is broken, or the site.
 */
const LEDGER_TEXT = 'The gateway cannot ask the ledger right now. Try again in a moment.';

const TELLINGS: Partial<Record<ErrorCode, Telling>> = {
  INVALID_ARGUMENT: { status: 400, title: 'This cannot be asked for' },
  NOT_ACCEPTABLE: { status: 406, title: 'There is no such form of this content' },
  NOT_CACHED: { status: 412, title: 'This is not here' },
  REDIRECTS_INVALID: { status: 500, title: 'This site’s redirects are broken' },
  EMBEDDING_REFUSED: { status: 403, title: 'This is not to be shown in the page of another site' },
  HEADERS_INVALID: { status: 500, title: 'This site’s headers are broken' },
  NAME_INVALID: { status: 404, title: 'This is not a site’s address' },
  NAME_UNKNOWN: { status: 404, title: 'There is no such site' },
  NAME_EXPIRED: { status: 410, title: 'This name has expired' },
  CONTENT_NOT_FOUND: { status: 502, title: 'No host delivers this site right now' },
  CONTENT_CORRUPT: { status: 502, title: 'The hosts delivered something else' },
  MANIFEST_INVALID: { status: 502, title: 'Nobody answers for this content' },
  PROFILE_INVALID: { status: 502, title: 'Nobody who has this name signed its profile' },
  PROFILE_STALE: { status: 502, title: 'A newer profile is known' },
  ENTRY_INVALID: { status: 502, title: 'The hosts told something that nobody signed' },
  ENTRY_STALE: { status: 502, title: 'The hosts are behind' },
  CONTENT_REFUSED: { status: 502, title: 'This content cannot be shown' },
  NO_ROUTE: { status: 502, title: 'No host of this site can be reached' },
  LEDGER_UNREACHABLE: { status: 504, title: 'The ledger does not answer', text: LEDGER_TEXT, retrySeconds: 5 },
  LEDGER_REJECTED: { status: 502, title: 'The ledger refuses to answer', text: LEDGER_TEXT },
  // Its operator has to act: nobody knows when.
  INSUFFICIENT_FUNDS: { status: 503, title: 'This gateway has run out of credits' },
  DEPOSIT_EXHAUSTED: { status: 503, title: 'This gateway has run out of credits' },
  PRICE_TOO_HIGH: { status: 503, title: 'This gateway does not pay what the site costs' },
  BUDGET_EXHAUSTED: {
    status: 503,
    title: 'This gateway has reached its spending limit',
    text: 'The gateway limits what it spends in an hour, and the limit is reached. Try again later.',
    // What was spent an hour ago counts no more, little by little.
    retrySeconds: 300,
  },
  BUDGET_STOPPED: {
    status: 403,
    title: 'This site was stopped',
    text: 'Who pays for what this gateway fetches has stopped this site. It shows nothing of it until it is started again.',
  },
  // A visitor is told to try again in a minute: what is being built goes on.
  TIMEOUT: { status: 504, title: 'No host of this site answered in time', retrySeconds: 60 },
  LIMIT_EXCEEDED: { status: 503, title: 'This gateway is busy', retrySeconds: 5 },
  CLOSED: { status: 503, title: 'This gateway is stopping', retrySeconds: 5 },
  INTERNAL: { status: 500, title: 'Something went wrong in the gateway' },
};

/** The page for a failed request. The text of a foreign error is not shown. */
export function messageFor(error: unknown): Message {
  if (!isRelaymintError(error)) {
    return {
      status: 500,
      title: 'Something went wrong in the gateway',
      text: 'It has written the details to its log. Try again; if it happens again, ask its operator.',
      code: 'INTERNAL',
    };
  }
  const telling = TELLINGS[error.code] ?? { status: 502, title: 'The site cannot be reached right now' };
  const text = error.remedy === undefined ? `${error.message} Try again in a moment.` : error.message;
  return { text, ...telling, code: error.code };
}

/** The same for who pays, at this machine: what was spent is theirs to know, and to allow. `port`: of the gateway itself, as addresses write it. */
export function toldToPayer(error: unknown, port: string): Message {
  const message = messageFor(error);
  if (!isRelaymintError(error, 'BUDGET_EXHAUSTED', 'BUDGET_STOPPED')) return message;
  const { limit, who } = error.details;
  // Of a wallet or of the whole node: no page changes that.
  if (limit !== 'perSite' || typeof who !== 'string') return message;
  const url = `http://localhost${port === '' ? '' : `:${port}`}/#${who}`;
  return error.code === 'BUDGET_STOPPED'
    ? {
        ...message,
        title: `${who} was stopped`,
        text: error.message,
        link: { url, label: `What ${who} cost, and how to start it again` },
      }
    : {
        ...message,
        status: 402,
        title: `${who} has reached its spending limit`,
        text: error.message,
        link: { url, label: `What ${who} cost, and how to allow it more` },
      };
}

/** The name exists and points to nothing: not a fault of any host. */
export function withoutContent(error: RelaymintError): Message {
  return { status: 404, title: 'This name has no content yet', text: error.message, code: error.code };
}

/** No such path in the site. */
export function noSuchPage(name: string): Message {
  return {
    status: 404,
    title: 'There is no such page',
    text: `${name} has nothing at this address. Start at the site’s front page.`,
  };
}

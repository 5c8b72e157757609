/** From visits to what is reported, beside what the protocol cannot do without. */
import { median, rounded } from '../path/figures.ts';

/** Gateway, three relays and a host in a row, as `relaymint gateway` chooses by default. */
export const LINKS = 4;

export interface Visit {
  readonly firstMillis: number;
  readonly nextMillis: readonly number[];
}

export interface Visits {
  /** Over the path that delays. */
  readonly far: readonly Visit[];
  /** Through the same proxies, which pass on at once. */
  readonly near: readonly Visit[];
}

/** Milliseconds are medians; a round trip is one of the whole path. */
export interface PageFigures {
  readonly name: 'first' | 'next';
  /** Pages visited at each distance. */
  readonly pages: number;
  readonly farMs: number;
  /** The fastest and the slowest of them. */
  readonly farLeastMs: number;
  readonly farMostMs: number;
  readonly nearMs: number;
  /** What distance alone costs. */
  readonly roundTrips: number;
  /** What it costs at the least. */
  readonly neededRoundTrips: number;
  /** `farMs` as a multiple of the needed round trips' time. */
  readonly ofNeeded: number;
}

/**
 * Round trips of one link that its two ends need before the next link's turn, when nothing is there yet. Whatever can be asked
 * meanwhile is left out: the till, the fee and the newest block, the name, the settings.
 */
const NEEDED_ON_EACH_LINK = {
  tcp: 1,
  tls: 1,
  /** HELLO each way: the payer learns the wallet that it pays. */
  hello: 1,
  /** The transaction is sent, then its status asked for. */
  opening: 2,
  /** CHANNEL and ACCOUNT, and between them the payee looks at the chain, which is as far as a link. */
  account: 2,
  /** CREATE and CREATED; for the second hop on, as EXTEND asks. */
  create: 1,
} as const;

/** One for the block that lists the site's files, then one for the page. */
const NEEDED_FOR_A_SITE = 2;
const NEEDED_FOR_A_PAGE = 1;

/** Of the whole path of `links` links, for a first page: each hop is built through all those before it. */
export function neededForFirst(links: number): number {
  const each = Object.values(NEEDED_ON_EACH_LINK).reduce((sum, count) => sum + count, 0);
  const through = (links * (links - 1)) / 2;
  return (links * each + through) / links + NEEDED_FOR_A_SITE;
}

/** @throws TypeError without visits. */
export function pageFigures({ far, near }: Visits, pathMillis: number): readonly PageFigures[] {
  const first = ({ firstMillis }: Visit): number[] => [firstMillis];
  const next = ({ nextMillis }: Visit): readonly number[] => nextMillis;
  const row = (name: PageFigures['name'], of: (visit: Visit) => readonly number[], needed: number): PageFigures => {
    const farMillis = far.flatMap(of);
    const [farMs, nearMs] = [median(farMillis), median(near.flatMap(of))];
    return {
      name,
      pages: farMillis.length,
      farMs: rounded(farMs, 1),
      farLeastMs: rounded(Math.min(...farMillis), 1),
      farMostMs: rounded(Math.max(...farMillis), 1),
      nearMs: rounded(nearMs, 1),
      roundTrips: rounded((farMs - nearMs) / pathMillis, 2),
      neededRoundTrips: needed,
      ofNeeded: rounded(farMs / (needed * pathMillis), 3),
    };
  };
  return [row('first', first, neededForFirst(LINKS)), row('next', next, NEEDED_FOR_A_PAGE)];
}

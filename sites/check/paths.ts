/** Where an address of a site leads once it is published: the order in which the gateway looks, over the names of a folder. */
import { redirectFor, splitPath, type RedirectRules } from '../gateway/index.ts';

/** `file`: of what is shown; undefined for a list of a folder, or what is elsewhere. */
export type Answer = { readonly found: true; readonly file?: string } | { readonly found: false };

type Kind = 'file' | 'folder';

const NOTHING: Answer = { found: false };
/** As many as browsers follow. */
const MAX_REDIRECTS = 20;

export class SitePaths {
  readonly #kinds: ReadonlyMap<string, Kind>;
  readonly #rules: RedirectRules;

  /** `kinds`: of all paths, without the root. */
  constructor(kinds: ReadonlyMap<string, Kind>, rules: RedirectRules) {
    this.#kinds = kinds;
    this.#rules = rules;
  }

  /** `asked`: as a browser sends it, with its escapes. */
  answer(asked: string, redirects: number = 0): Answer {
    const path = asked.replaceAll(/\/{2,}/g, '/');
    const place = splitPath(path);
    if (place !== undefined) {
      const own = this.#show(place.segments, place.folder);
      if (own.found) return own;
      const page = this.#withoutExtension(place.segments, path);
      if (page.found) return page;
    }
    const redirect = redirectFor(this.#rules, path);
    if (redirect === undefined || redirect.status >= 400 || redirects > MAX_REDIRECTS) return NOTHING;
    if (redirect.status >= 300) {
      if (!redirect.to.startsWith('/')) return { found: true };
      return this.answer(new URL(redirect.to, 'http://site.invalid').pathname, redirects + 1);
    }
    const target = splitPath(redirect.to);
    return target === undefined ? NOTHING : this.#show(target.segments, target.folder);
  }

  #show(segments: readonly string[], folder: boolean): Answer {
    const path = segments.join('/');
    const kind = path === '' ? 'folder' : this.#kinds.get(path);
    if (kind === undefined || segments.some((segment) => segment.includes('/'))) return NOTHING;
    if (kind === 'file') return folder ? NOTHING : { found: true, file: path };
    const index = path === '' ? 'index.html' : `${path}/index.html`;
    return this.#kinds.get(index) === 'file' ? { found: true, file: index } : { found: true };
  }

  #withoutExtension(segments: readonly string[], path: string): Answer {
    const last = segments.at(-1);
    if (last === undefined || last.includes('.') || path.endsWith('/')) return NOTHING;
    const page = `${segments.join('/')}.html`;
    return this.#kinds.get(page) === 'file' ? { found: true, file: page } : NOTHING;
  }
}

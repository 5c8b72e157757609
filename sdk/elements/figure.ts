/** A picture or film with whose it is: what images and videos have in common. */
import { addressOf, type Client } from '../client.ts';
import { RelaymintError } from '../../core/errors.ts';
import { readManifest, type LicenceTerms, type SiteManifest } from '../terms.ts';
import { nameOf, type Stage } from './drawing.ts';
import { make, note, toName, words } from './make.ts';

export const FIGURE_ATTRIBUTES: readonly string[] = ['name', 'path', 'alt', 'width', 'height'];

/** Letters at each end of a wallet's address. */
const SHOWN = 4;

/** Puts it into the page with what its owner says, and says so where it does not come. `load` gives it its address. */
export async function drawFigure(
  stage: Stage,
  media: HTMLImageElement | HTMLVideoElement,
  load: (addressAt: (attribute: string) => string | undefined) => void,
): Promise<SiteManifest | undefined> {
  const { place, client, signal, shown } = stage;
  const name = nameOf(stage);
  if (name === undefined) {
    throw new RelaymintError('INVALID_ARGUMENT', 'It is not said which name is meant.', {
      remedy: 'Give the element a name.',
    });
  }
  const figure = make('figure', [media]);
  for (const size of ['width', 'height']) {
    const said = place.getAttribute(size);
    if (said !== null) media.setAttribute(size, said);
  }
  // A browser names no page to an address that is not encrypted, but for this: and owners want to know whose page it is.
  if (new URL(addressOf(client, name)).protocol !== location.protocol) media.crossOrigin = 'anonymous';
  media.addEventListener('error', () => {
    if (signal.aborted) return;
    place.dataset['state'] = 'failed';
    media.replaceWith(note(`${name} has nothing here that can be shown. Check the path, or try again later.`));
  });
  load((attribute) => {
    const path = place.getAttribute(attribute);
    if (path === null) return undefined;
    return name === client.name ? new URL(path, document.baseURI).href : addressOf(client, name, rooted(path));
  });
  place.replaceChildren(figure);
  const manifest = await readManifest(client, { name, signal });
  figure.append(caption(client, name, manifest));
  if (place.dataset['state'] === 'loading') shown();
  return manifest;
}

/** Of another name, all paths are from its front page. */
function rooted(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function caption(client: Client, name: string, manifest: SiteManifest | undefined): HTMLElement {
  if (manifest === undefined) return make('figcaption', 'Nothing is said of its owner or licence.');
  const { title, creator, copyright, owner, licence, royaltyBps } = manifest;
  const made = make('figcaption');
  if (title !== undefined) made.append(make('span', [words(title)], 'relaymint-title'), ' ');
  made.append(make('span', ['by ', words(creator)], 'relaymint-creator'), ' ');
  if (copyright !== undefined) made.append(make('span', [words(copyright)], 'relaymint-copyright'), ' ');
  const terms = make('dl', [
    ...row('Name', toName(client, name)),
    ...row('Owner', make('code', owner)),
    ...row('Licence', ...licenceOf(licence)),
    ...row('Royalty', `${royaltyBps / 100} %`),
  ]);
  const short = `${owner.slice(0, SHOWN)}…${owner.slice(-SHOWN)}`;
  const head = make('summary', `Owner ${short}, licence: ${licence?.payment ?? 'none'}`);
  made.append(make('details', [head, terms], 'relaymint-terms'));
  return made;
}

function row(term: string, ...description: readonly (string | Node)[]): HTMLElement[] {
  return [make('dt', term), make('dd', description)];
}

function licenceOf(licence: SiteManifest['licence']): (string | Node)[] {
  if (licence === undefined) return ['None: it may be looked at.'];
  const { permits, prohibits, payment, url } = licence;
  const parts: (string | Node)[] = [
    [termsOf('Permits', permits), termsOf('Prohibits', prohibits), `Payment: ${payment}.`].filter(Boolean).join(' '),
  ];
  if (url !== undefined && /^https?:/i.test(url)) {
    const link = make('a', 'The licence');
    link.href = url;
    link.rel = 'license noreferrer';
    parts.push(' ', link);
  }
  return parts;
}

function termsOf(what: string, { usage, user, geo }: LicenceTerms): string {
  const all = [...usage, ...user, ...geo];
  return all.length === 0 ? '' : `${what} ${all.join(', ')}.`;
}

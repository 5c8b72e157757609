/**
 * Who makes the browser ask. Any page on the web can point an image or a frame at this gateway, which would fetch and pay
 * for it; browsers say so in headers that a page cannot set (W3C Fetch Metadata). Clients that are no browsers send none.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** What the visitor or the site itself asks for. */
const OWN = ['none', 'same-origin'];

/**
 * True when a page of another site makes the browser embed something, or load it before the visitor went there. Going
 * there, by a link or a form, is the visitor's own act and stays possible.
 * @param isPublic below a domain, where a browser takes other names for the same site; on this machine that is only another port.
 */
export function isForeignSubresource(headers: IncomingHttpHeaders, isPublic: boolean = false): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined || OWN.includes(site) || (site === 'same-site' && !isPublic)) return false;
  const goingThere = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  // Prefetched or prerendered for a foreign page: the visitor has not gone anywhere yet.
  // Below a domain the page in the address bar may be another name's, and all the same said to be of the same site.
  const mayLoad = goingThere || (!isPublic && isInOwnPage(headers));
  return !mayLoad || headers['sec-purpose'] !== undefined;
}

/**
 * A sandboxed frame has an origin that is nobody's, so that what it loads counts as asked for by another site, and it names no referrer:
 * all as if a foreign page had made the frame. Only the state of storage access differs (Storage Access Headers). `inactive` is said where
 * the page in the address bar may use this site's cookies and this frame has not asked to: in the site's own page, and in no foreign one
 * but with the visitor's consent. Where third-party cookies are allowed it is `active` in every page, and tells nothing.
 */
function isInOwnPage(headers: IncomingHttpHeaders): boolean {
  return headers.origin === 'null' && headers['sec-fetch-storage-access'] === 'inactive';
}

/** What tells the visitor's own affairs: no other origin reads it, neither a site that is shown here, which is on the same machine. */
export function isOwnReading(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined || OWN.includes(site);
}

/** Other names are of the same site to a browser, and say so: what costs this one is for its own pages. Programs say neither. */
export function isSameOriginOnly({ 'sec-fetch-site': site, origin }: IncomingHttpHeaders): boolean {
  return site === 'same-origin' || (site === undefined && origin === undefined);
}

/** Browsers say on every POST which origin it comes from, and on which site; a page cannot change either. */
export function isOwnPage({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  return host !== undefined && origin === `http://${host}` && (site === undefined || site === 'same-origin');
}

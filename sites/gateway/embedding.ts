/**
 * Content of one name in the page of another: images, films, and what scripts fetch. The visitor pays for it, its owner and the page's earn
 * by its terms. Pages that are not of names here are nobody's that could be named, and embed nothing.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Response } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import { nameOfFullHost } from '../../core/name.ts';
import type { Embedder } from './contract.ts';
import type { Embedding } from '../manifest/contract.ts';
import { portOf, targetOf, type GatewayHosts, type Target } from './host.ts';

type SiteTarget = Extract<Target, { readonly kind: 'site' }>;

/** As what (Sec-Fetch-Dest): nothing that runs in the page's name, and no page inside it, which could be one that looks like another. */
const EMBEDDED_AS = ['image', 'video', 'audio', 'track', 'empty'];
/** What scripts may say besides, and read besides (Fetch standard, CORS). */
const ASKED_WITH = 'Accept, If-Match, If-None-Match, If-Range, Range';
const READ_WITH = 'Accept-Ranges, Content-Length, Content-Range, ETag, X-Ipfs-Path, X-Ipfs-Roots';
/** How long a browser may remember that, seconds. */
const REMEMBERED_SECONDS = 600;

/**
 * Whose page asks for something of another name, by what browsers say and pages cannot set; undefined when it is none of ours, keeps itself
 * secret (Referrer-Policy), or wants what no page may have of another.
 */
export function embedderOf(headers: IncomingHttpHeaders, asked: SiteTarget, hosts: GatewayHosts): Embedder | undefined {
  const { origin, referer } = headers;
  if (headers['sec-purpose'] !== undefined || !EMBEDDED_AS.includes(String(headers['sec-fetch-dest'])))
    return undefined;
  if (!['cors', 'no-cors'].includes(String(headers['sec-fetch-mode']))) return undefined;
  const address = origin ?? referer ?? '';
  if (!URL.canParse(address)) return undefined;
  const page = new URL(address);
  if (hosts.full !== undefined && !asked.isPublic && page.protocol === 'https:' && page.port === '') {
    // Nobody else has a certificate for it: the ending is in no DNS.
    const name = nameOfFullHost(page.hostname);
    if (name !== undefined) return { name, origin: page.origin };
  }
  // Of this machine nothing else comes but by plain HTTP, so that no port means the same for both.
  if (page.protocol !== 'http:' && !(asked.isPublic && page.protocol === 'https:')) return undefined;
  // Another port is another server, which can call its pages anything; below a domain, so is the visitor's own machine.
  if (page.port !== portOf(headers, asked, hosts)) return undefined;
  const target = targetOf({ host: page.host }, hosts);
  if (target.kind !== 'site' || target.isPublic !== asked.isPublic) return undefined;
  return { name: target.name, origin: page.origin };
}

/** What browsers are to be told, or they do not show it. */
export function allowEmbedding(response: Response, { origin }: Embedder): void {
  response.set({
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers': READ_WITH,
    'Cross-Origin-Resource-Policy': 'cross-origin',
  });
}

/** The answer to what browsers ask before they send a script's own headers. It costs nothing, so that nobody's terms are looked up. */
export function allowAsking(response: Response, embedder: Embedder): void {
  allowEmbedding(response, embedder);
  response
    .set({
      'Access-Control-Allow-Methods': 'GET, HEAD',
      'Access-Control-Allow-Headers': ASKED_WITH,
      'Access-Control-Max-Age': String(REMEMBERED_SECONDS),
      Vary: 'Origin',
    })
    .status(204)
    .end();
}

/** For a page that nobody could name: to have paid gives it no right. @throws RelaymintError EMBEDDING_REFUSED. */
export function requireOpen(name: string, terms: Embedding): void {
  if (terms === 'anybody') return;
  throw new RelaymintError('EMBEDDING_REFUSED', `${name} does not let pages that it cannot name embed it.`, {
    remedy: 'Open it directly, or from a page of a name that its owner allows.',
  });
}

/** @throws RelaymintError EMBEDDING_REFUSED. */
export function requireEmbeddable(name: string, embedder: Embedder, terms: Embedding): void {
  if (terms === 'anybody' || (terms !== 'none' && terms.includes(embedder.name))) return;
  throw new RelaymintError('EMBEDDING_REFUSED', `${name} does not let ${embedder.name} embed it.`, {
    remedy: 'Its owner can allow it in the manifest.',
  });
}

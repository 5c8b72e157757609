/** Entity tags, and the conditions that requests make of them (RFC 9110, section 13). */
import type { Request } from 'express';

/** The tag in quotes. The same bytes have it for ever, on every gateway. */
export function strongTag(text: string): string {
  return `"${text}"`;
}

/** Is the same answer known to the visitor already? Weak comparison. */
export function isKnown(request: Request, tag: string): boolean {
  return names(request.headers['if-none-match'], (one) => opaque(one) === opaque(tag));
}

/** The visitor only wants the answer while it has a tag that this one does not have. Strong comparison. */
export function isOther(request: Request, tag: string): boolean {
  const header = request.headers['if-match'];
  return header !== undefined && !names(header, (one) => one === tag && !one.startsWith('W/'));
}

/** A range is wanted only of what has this tag. Strong comparison. */
export function rangeApplies(request: Request, tag: string): boolean {
  const condition = request.headers['if-range'];
  return condition === undefined || (condition === tag && !tag.startsWith('W/'));
}

/** The client wants what is here already, or nothing. */
export function onlyIfCached(request: Request): boolean {
  return /(?:^|,)\s*only-if-cached\s*(?:,|$)/i.test(request.headers['cache-control'] ?? '');
}

function names(header: string | undefined, fits: (tag: string) => boolean): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((tag) => fits(tag.trim()));
}

function opaque(tag: string): string {
  return tag.replace(/^W\//, '');
}

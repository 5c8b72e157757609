/** What a gateway adds to pages that it does not keep as they are: the preview's line that reloads them. */
import type { Response } from 'express';

/** Added to each page of HTML of a name that is sent whole. */
export interface Appendix {
  readonly html: Buffer;
  /**
   * The policy of a page that obeys one (Content-Security-Policy), so that it lets in what is added and nothing else.
   * @param host of the page, with its port
   */
  readonly admit: (policy: string, host: string) => string;
}

/** What the head of a page says once something is added to it. */
export function tellAppendix(response: Response, appendix: Appendix, host: string): void {
  // It is another page.
  response.removeHeader('ETag');
  const policy = response.getHeader(POLICY);
  if (policy !== undefined) response.setHeader(POLICY, appendix.admit([policy].flat().join(', '), host));
}

const POLICY = 'Content-Security-Policy';

/** What a gateway is asked for a name, and who answers it. */
import type { Request, Response } from 'express';
import type { Tld } from '../../core/name.ts';

/** One visitor's request for one path of a name. */
export interface Asked {
  readonly name: string;
  readonly request: Request;
  readonly response: Response;
  /** Ends when the visitor leaves or the gateway stops. */
  readonly signal: AbortSignal;
}

/** Answers for names that are not shown as a site. */
export interface NameHandler {
  /** Names that end so. */
  readonly tld: Tld;
  /** This path alone; any when absent. */
  readonly path?: string;
  /** Only those who would rather have this media type than a page (Accept); everybody when absent. */
  readonly type?: string;
  /** Called when its turn has come. @throws RelaymintError before anything was sent (it is told) or after (the connection is cut). */
  readonly answer: (asked: Asked) => Promise<void>;
}

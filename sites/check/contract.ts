/** What a check of a site says. */

/** `error`: it is broken for visitors. `warning`: it may be, or for some. `note`: nothing is wrong; it is said so that nobody wonders. */
export type Severity = 'error' | 'warning' | 'note';

/** Stable words for scripts. */
export type FindingCode =
  /** A file or folder that is not published, and why. */
  | 'left-out'
  | 'name-not-nfc'
  | 'names-alike'
  /** Something that the site names and does not have. */
  | 'missing'
  /** The page for what is missing is shown at any address, where relative addresses lead elsewhere. */
  | 'not-found-relative'
  /** An address on the author's own machine. */
  | 'own-machine'
  | 'redirects'
  | 'type'
  | 'no-index'
  | 'name-look-alike'
  /** The file that its manifest is made from would be published with the site. */
  | 'manifest-inside'
  | 'limit'
  /** It was not looked through. */
  | 'unchecked';

export interface Finding {
  readonly severity: Severity;
  readonly code: FindingCode;
  /** Relative to the folder, with slashes; empty for the site as a whole. */
  readonly file: string;
  /** From 1. */
  readonly line?: number;
  /** One sentence. */
  readonly message: string;
  /** What to do about it, one sentence; absent where there is nothing to do. */
  readonly remedy?: string;
}

export interface CheckProgress {
  /** Files looked at, of how many. */
  readonly files: number;
  readonly total: number;
  readonly path: string;
}

export interface CheckOptions {
  /** The name under which it is going to be published. */
  readonly name?: string | undefined;
  /** The file that its manifest is made from. */
  readonly manifest?: string | undefined;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CheckProgress) => void;
}

export interface CheckReport {
  readonly files: number;
  readonly bytes: number;
  readonly errors: number;
  readonly warnings: number;
  /** By file and line. The first MAX_FINDINGS; the counts are of all. */
  readonly findings: readonly Finding[];
}

/** More are counted, not kept: a wrong link in the head of 20,000 pages is one mistake. */
export const MAX_FINDINGS = 1_000;

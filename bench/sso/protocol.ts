/** What the benchmark of issuers and its processes say to each other. */

/** `issuer`: ours, as it is run. `library`: oidc-provider as it comes, which lets everybody in. */
export const KINDS = ['issuer', 'library'] as const;
export type Kind = (typeof KINDS)[number];

export interface Start {
  readonly kind: Kind;
  readonly port: number;
  /** Everything that it keeps goes there. */
  readonly folder: string;
}

export type Question = 'ready' | 'memory' | { readonly fill: number } | { readonly read: number };

/** In answer to all of them: memory of the whole process after a collection, bytes. */
export interface Told {
  readonly rss: number;
}

/** Content over circuits: what a host answers and a gateway asks and verifies. */
export { createContentClient } from './client.ts';
export type { ContentClient, ContentClientOptions } from './client.ts';
export { decodeContentParams, encodeContentParams } from './protocol.ts';
export { createContentService } from './server.ts';
export type { ContentServiceOptions } from './server.ts';
export { createContentSource } from './source.ts';
export type { ContentRoute, ContentSourceOptions, Site } from './source.ts';
export type { HostTerms, Statements } from './stated.ts';
export { Limit } from './patience.ts';

/** Content over circuits: what a host answers and a gateway asks and verifies. */
export { createContentClient } from './client.ts';
export type { ContentClient, ContentClientOptions } from './client.ts';
export { decodeContentParams, encodeContentParams } from './protocol.ts';
export { createContentService } from './server.ts';
export type { ContentServiceOptions } from './server.ts';
export { createContentSource } from './source.ts';
export type { ContentRoute, ContentSourceOptions } from './source.ts';
export { Limit, orEnded } from './patience.ts';
export {
  NONCE_BYTES,
  decodePublishParams,
  encodeBlockHead,
  encodeClaim,
  encodeCommit,
  encodeHave,
  encodeHello,
  encodePublishAnswer,
  encodePublishParams,
  publishClaim,
  readClaim,
  readHello,
  readPublishAnswer,
  readPublishRequest,
  type Claim,
  type PublishAnswer,
  type PublishRequest,
} from './protocol.ts';
export { ByteReader, IdleTimer, writeAll } from './stream-io.ts';

/** A marketplace of one's own for the tests of a site. */
export { createTestnet } from './testing.ts';
export type { PublishOptions, Published, Testnet, TestnetOptions } from './testing.ts';
export type { TestClient } from './client.ts';

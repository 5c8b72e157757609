/**
 * A marketplace of one's own for the tests of a site: relays, a host, a gateway and a ledger in this process, over memory and loopback HTTP. What is
 * published in it is paid for, with credits that are worth nothing.
 */
export { RelaymintError, isRelaymintError } from '../core/errors.ts';
export type { ErrorCode } from '../core/errors.ts';
export { createTestnet } from './testing/index.ts';
export type { PublishOptions, Published, TestClient, Testnet, TestnetOptions } from './testing/index.ts';

/** The HTTP front for visitors: sites on their own origins, and the marketplace page. */
import type { Express } from 'express';
import type { Clock, Log } from '../../core/ports.ts';
import type { ContentSource } from '../content/contract.ts';
import type { NameResolver } from '../name/index.ts';
import type { MarketView } from './market.ts';

export { marketViewSchema } from './market.ts';
export type {
  MarketBalance,
  MarketCounts,
  MarketName,
  MarketNode,
  MarketPair,
  MarketRole,
  MarketSettlement,
  MarketSupply,
  MarketView,
} from './market.ts';

export interface GatewayOptions {
  readonly resolver: NameResolver;
  readonly content: ContentSource;
  readonly market: () => Promise<MarketView>;
  /** Host names besides localhost, 127.0.0.1, [::1] and *.localhost that this gateway answers to. */
  readonly hosts?: readonly string[];
  readonly clock?: Clock;
  readonly log?: Log;
}
export interface Gateway {
  readonly app: Express;
  /** Listens; `port` 0 picks one. `url` is the marketplace page's. @throws RelaymintError INVALID_CONFIG when the port is taken. */
  listen(options: {
    readonly port: number;
    readonly address?: string;
  }): Promise<{ readonly port: number; readonly url: string }>;
  /** Ends open requests and stops listening. */
  close(): Promise<void>;
}
export function createGateway(_options: GatewayOptions): Gateway {
  throw new Error('sites/gateway is being built');
}

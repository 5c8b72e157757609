/** What a person says of one site's budget, as pages and commands send it. */
import { z } from 'zod';
import { isName } from '../../core/name.ts';
import { U64_MAX, amount } from '../../core/units.ts';
import type { Budget, SiteOrder } from './contract.ts';

const name = z.string().max(63).refine(isName, { error: 'is no name of a site, such as news.web3' });
const limit = z
  .string()
  .regex(/^\d{1,20}$/, { error: 'is a whole number of base units, as text', abort: true })
  .refine((text) => BigInt(text) <= U64_MAX, { error: 'is more than there can be' });

/** Nothing more than it says. */
export const siteOrderSchema: z.ZodType<SiteOrder> = z.discriminatedUnion('do', [
  z.strictObject({ do: z.enum(['stop', 'start']), name }),
  z.strictObject({ do: z.literal('limit'), name, limit: limit.nullable() }),
]);

/** @throws what the budget throws; its message is for who ordered it. */
export async function obeyOrder(
  budget: Pick<Budget, 'stopSite' | 'startSite' | 'limitSite'>,
  order: SiteOrder,
): Promise<void> {
  if (order.do === 'limit') {
    await budget.limitSite(order.name, order.limit === null ? undefined : amount(BigInt(order.limit)));
  } else if (order.do === 'stop') await budget.stopSite(order.name);
  else await budget.startSite(order.name);
}

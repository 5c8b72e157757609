/** Selling bytes to visitors who have no node: x402. */
import { Sale, type SaleOptions } from './sale.ts';

/** @throws RelaymintError FILE_IN_USE, STORAGE_FAILED, STORAGE_FULL. */
export async function openSale(options: SaleOptions): Promise<Sale> {
  return Sale.open(options);
}

export { OFFER_KEY_BYTES } from './offers.ts';
export type { Sale, SaleOptions } from './sale.ts';
export type { Paid, Quota, QuotaPrice, QuotaSale, Required402, SaleTerms } from './contract.ts';

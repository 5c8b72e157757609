/** What a gateway sells to visitors who have no node, and to whom the money goes. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { systemClock } from '../../core/ports.ts';
import { MIB, amount, formatCredits, type Amount, type Bytes, type PricePerMiB } from '../../core/units.ts';
import { createSecret, readSecret, type SecretFile } from '../../platform/keys/secret-file.ts';
import { OFFER_KEY_BYTES, openSale, type QuotaPrice, type Sale } from '../../sites/pay/index.ts';
import type { SoldForToken } from '../config/index.ts';
import type { RunningNode } from '../node/index.ts';

export interface SellingValues {
  /** Per MiB, of credits. Absent: nothing is sold. */
  readonly sell: PricePerMiB | undefined;
  readonly sellQuota: Bytes;
  /** Absent: the node's wallet. */
  readonly sellTo: LedgerAddress | undefined;
  /** Taken beside credits. */
  readonly sellAsset: readonly SoldForToken[];
  /** Names that are not sold. */
  readonly free: readonly string[];
}

export interface Selling {
  readonly sale: Sale;
  /** For people. */
  readonly text: string;
}

const DIRECTORY = 'sold';
const KEY_FILE = 'sold.key';

/** undefined if nothing is sold. @throws RelaymintError INVALID_CONFIG, INSUFFICIENT_FUNDS, LEDGER_UNREACHABLE, FILE_IN_USE, STORAGE_FAILED. */
export async function openSelling(node: RunningNode, values: SellingValues): Promise<Selling | undefined> {
  const { sell, sellQuota, sellTo, sellAsset, free } = values;
  if (sell === undefined) {
    if (sellTo === undefined && sellAsset.length === 0 && free.length === 0) return undefined;
    throw new RelaymintError('INVALID_CONFIG', 'Nothing is sold, so nobody can be paid for it and no name is free.', {
      remedy: 'Give --sell too, or leave --sell-to, --sell-asset and --free out.',
    });
  }
  const { settings, wallet, ledger } = node;
  const cashier = wallet.cashier();
  const payTo = sellTo ?? wallet.address;
  const { mint } = await ledger.bank();
  await cashier.ready(mint, payTo);
  const inCredits = forQuota(sell, sellQuota);
  const prices: QuotaPrice[] = [{ mint, amount: inCredits, text: `${formatCredits(inCredits)} credits` }];
  for (const asset of sellAsset) {
    const decimals = await cashier.ready(asset.mint, payTo);
    prices.push(priceIn(asset, sellQuota, decimals));
  }
  const sale = await openSale({
    cashier,
    terms: { network: await cashier.network(), feePayer: cashier.feePayer, payTo, quotaBytes: sellQuota, prices },
    key: await keyIn(settings.dataDir),
    directory: path.join(settings.dataDir, DIRECTORY),
    free,
    clock: settings.world?.clock ?? systemClock,
    log: settings.log,
  });
  const costs = prices.map(({ text }) => text).join(' or ');
  return { sale, text: `Visitors pay ${costs} for ${sellQuota / MIB} MiB of a site, to ${payTo}.` };
}

function priceIn({ mint, price }: SoldForToken, quota: Bytes, decimals: number): QuotaPrice {
  const [whole = '', fraction = ''] = price.split('.');
  if (fraction.length > decimals) {
    throw new RelaymintError('INVALID_CONFIG', `The token ${mint} has ${decimals} decimals: ${price} is too fine.`, {
      remedy: 'Give a price with fewer decimals.',
    });
  }
  const units = forQuota(BigInt(whole + fraction.padEnd(decimals, '0')), quota);
  const digits = String(units).padStart(decimals + 1, '0');
  const [tokens, rest] = [digits.slice(0, digits.length - decimals), digits.slice(digits.length - decimals)];
  const text = [tokens, rest.replace(/0+$/, '')].filter((part) => part !== '').join('.');
  return { mint, amount: units, text: `${text} of the token ${mint}` };
}

/** Rounded up. @throws RelaymintError INVALID_CONFIG beyond what fits a transaction. */
function forQuota(perMiB: bigint, quota: Bytes): Amount {
  try {
    return amount((perMiB * BigInt(quota) + BigInt(MIB) - 1n) / BigInt(MIB));
  } catch (cause) {
    throw new RelaymintError('INVALID_CONFIG', 'A quota costs more than there can be of a token.', {
      remedy: 'Lower the price or the size of a quota.',
      cause,
    });
  }
}

/** What visitors have bought is good for as long as it stays. */
async function keyIn(directory: string): Promise<Buffer> {
  const file: SecretFile = { path: path.join(directory, KEY_FILE), what: 'key of what is sold' };
  const known = await readSecret(file, OFFER_KEY_BYTES);
  if (known?.length === OFFER_KEY_BYTES) return known;
  if (known !== undefined) {
    throw new RelaymintError('INVALID_ENCODING', `${file.path} is damaged.`, {
      remedy: 'Bring it back from a copy; if there is none delete it, and visitors have to buy anew.',
    });
  }
  const key = randomBytes(OFFER_KEY_BYTES);
  await createSecret(file, key);
  return key;
}

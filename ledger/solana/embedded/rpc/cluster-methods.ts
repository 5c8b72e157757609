/** Methods that tell the time, the version and the figures of the "cluster". */
import { z } from 'zod';
import { API_VERSION, addressText, checkContext, inContext, parse, queryConfig, queryFields } from './method.ts';
import type { MethodTable } from './method.ts';
import { SLOTS_PER_EPOCH } from '../timeline.ts';

/** The first four bytes of litesvm's feature set mean nothing to clients; they only want a number. */
const FEATURE_SET = 0;
/** There is one validator and it has no key of its own: what clients see as its identity. */
const IDENTITY = '11111111111111111111111111111112';
const blockhashText = z.string().max(64);
const slotNumber = z.number().int().nonnegative();

export const clusterMethods: MethodTable = {
  getHealth: () => 'ok',
  getVersion: () => ({ 'solana-core': API_VERSION, 'feature-set': FEATURE_SET }),
  getGenesisHash: (chain) => chain.timeline.genesisHash,
  getIdentity: () => ({ identity: IDENTITY }),
  getSlotLeader: () => IDENTITY,
  getFirstAvailableBlock: () => 1,
  minimumLedgerSlot: () => 1,
  getTransactionCount: (chain) => chain.history.total,

  getSlot(chain, params) {
    const [config] = parse(params, queryConfig);
    checkContext(chain, config);
    return chain.timeline.slot();
  },

  getBlockHeight(chain, params) {
    const [config] = parse(params, queryConfig);
    checkContext(chain, config);
    return chain.timeline.slot();
  },

  getBlockTime(chain, params) {
    const [slot] = parse(params, slotNumber);
    return slot < 1 || slot > chain.timeline.slot() ? null : chain.timeline.blockTime(slot);
  },

  getEpochInfo(chain, params) {
    const [config] = parse(params, queryConfig);
    checkContext(chain, config);
    const slot = chain.timeline.slot();
    return {
      absoluteSlot: slot,
      blockHeight: slot,
      epoch: Math.floor(slot / SLOTS_PER_EPOCH),
      slotIndex: slot % SLOTS_PER_EPOCH,
      slotsInEpoch: SLOTS_PER_EPOCH,
      transactionCount: chain.history.total,
    };
  },

  getEpochSchedule: () => ({
    firstNormalEpoch: 0,
    firstNormalSlot: 0,
    leaderScheduleSlotOffset: SLOTS_PER_EPOCH,
    slotsPerEpoch: SLOTS_PER_EPOCH,
    warmup: false,
  }),

  getLatestBlockhash(chain, params) {
    const [config] = parse(params, queryConfig);
    checkContext(chain, config);
    return inContext(chain, chain.timeline.latestBlockhash());
  },

  isBlockhashValid(chain, params) {
    const [blockhash, config] = parse(params, blockhashText, queryConfig);
    checkContext(chain, config);
    return inContext(chain, chain.timeline.slotOfBlockhash(blockhash) !== undefined);
  },

  getRecentPrioritizationFees(chain, params) {
    parse(params, z.array(addressText).max(128).nullish());
    // Blocks are never full, so nobody has to outbid anybody.
    return [{ slot: chain.timeline.slot(), prioritizationFee: 0 }];
  },

  getSupply(chain, params) {
    const config = z
      .looseObject({ ...queryFields, excludeNonCirculatingAccountsList: z.boolean().nullish() })
      .nullish();
    checkContext(chain, parse(params, config)[0]);
    const total = 500_000_000_000_000_000n;
    return inContext(chain, { total, circulating: total, nonCirculating: 0, nonCirculatingAccounts: [] });
  },
};

/** Searches every state of the models in this folder, and sees each of them fail when a fault is planted. docs/model.md explains them. */
import { describe, expect, it } from 'vitest';
import { missing, search } from './spin.ts';

interface Model {
  readonly model: string;
  readonly defines?: readonly string[];
  readonly liveness?: boolean;
  /** States that a whole search visits. A change of the model changes it: say the new one here and in docs/model.md. */
  readonly states: number;
}

const MODELS: readonly Model[] = [
  { model: 'pair', states: 2_646_405 },
  { model: 'pair', defines: ['FULL=6', 'ACCIDENTS=2'], states: 740_898 },
  { model: 'pair', defines: ['FULL=6', 'ACCIDENTS=1', 'ALIVE'], liveness: true, states: 797_693 },
  { model: 'pair', defines: ['FULL=6', 'WIDENS'], states: 8_729_307 },
  { model: 'payee', states: 281_775 },
  { model: 'payer', states: 47_792 },
  { model: 'relay', states: 325_094 },
  { model: 'opening', states: 439_375 },
  { model: 'netting', states: 134_432 },
  { model: 'netting', defines: ['LEADER_LIES'], states: 240_384 },
  { model: 'netting', defines: ['FOLLOWER_LIES'], states: 958_080 },
  { model: 'close', states: 1_364 },
  { model: 'close', defines: ['PAYEE_LIES'], states: 204 },
];

/** What is planted, and what the search must say against it. */
const FAULTS: readonly (readonly [model: string, fault: string, violation: string, ...defines: string[]])[] = [
  ['pair', 'FORGIVES_ARREARS', 'left>=0'],
  ['pair', 'OPENS_BEFORE_SYNC', 'left>=0'],
  ['pair', 'RESTORES_BEFORE_SYNC', 'left+good'],
  ['pair', 'SENDS_WITHOUT_GRANT', 'granted>0'],
  ['pair', 'GRANTS_MORE_THAN_IT_MAY_OWE', 'granted)<=payerWindow'],
  ['pair', 'SIGNS_LATE', '4*gotUp'],
  ['pair', 'RECKONS_FROM_WHAT_IT_COUNTED', 'payeeWindow==payerWindow'],
  ['pair', 'PAYS_WHAT_IS_CLAIMED', 'paysDown<='],
  ['pair', 'KEEPS_GRANTS', 'invalid end state', 'FULL=6', 'ACCIDENTS=1'],
  ['pair', 'WIDENS_BY_ITSELF', 'payerWindow<=payeeWindow', 'FULL=6', 'WIDENS', 'ACCIDENTS=0'],
  ['pair', 'WIDENS_BEFORE_RESUME', '==payerWindow', 'FULL=6', 'WIDENS', 'ACCIDENTS=1'],
  ['pair', 'LOOKS_IN_VAIN', 'payerWindow==payeeWindow', 'FULL=6', 'WIDENS', 'ACCIDENTS=0'],
  ['pair', 'FORGETS_WHAT_WAS_STATED', 'payerWindow==payeeWindow', 'FULL=6', 'WIDENS', 'ACCIDENTS=0'],
  ['payee', 'FORGIVES_ARREARS', 'left>=0'],
  ['payee', 'FORGETS_ARREARS_WITH_THE_CHANNEL', 'left>=0'],
  ['payee', 'FORWARDS_WHILE_THE_WINDOW_IS_FULL', 'left>=0'],
  ['payee', 'OPENS_BEFORE_SYNC', 'left>=0'],
  ['payee', 'RESTORES_BEFORE_SYNC', 'left+good'],
  ['payee', 'TAKES_ANY_RECEIPT', 'left>=0'],
  ['payee', 'WIDENS_BY_WORD', 'left>=0'],
  ['payer', 'COUNTS_WITHOUT_GRANT', '<=window'],
  ['payer', 'GRANTS_MORE_THAN_THE_DEPOSIT', '<=deposit'],
  ['payer', 'GRANTS_WHILE_CLOSING', 'useless<='],
  ['payer', 'BELIEVES_THE_WINDOW', 'paid<='],
  ['payer', 'BELIEVES_WHAT_IS_SAID', 'window<=burned'],
  ['payer', 'TRUSTS_ANY_CLAIM', 'paid<='],
  ['relay', 'GRANTS_ONWARD_WITHOUT_LIMIT', 'left>=0'],
  ['relay', 'FORGETS_WHAT_IS_GRANTED', 'left>=0'],
  ['relay', 'FORGETS_WHAT_IT_DROPS', 'left>=0'],
  ['relay', 'FORWARDS_BESIDE_ITS_GRANTS', 'left'],
  ['relay', 'SERVES_BESIDE_ITS_GRANTS', 'left'],
  ['opening', 'BOOKS_WHEN_IT_IS_OPEN', 'position>='],
  ['opening', 'OPENS_BEFORE_SYNC', 'position>='],
  ['opening', 'COUNTS_WHAT_IS_NOT_PAID', 'position>='],
  ['opening', 'GIVES_BACK_WHEN_UNSURE', 'position>='],
  ['opening', 'FORGETS_WITH_THE_CHANNEL', 'position>='],
  ['opening', 'BELIEVES_THE_BOOKS', 'position>='],
  ['netting', 'COUNTS_AT_ONCE', 'gave<=got'],
  ['netting', 'COUNTS_AT_ONCE', 'gave<=got', 'FOLLOWER_LIES'],
  ['netting', 'NETS_WHAT_IS_ASKED', 'followerY>=0'],
  ['netting', 'NETS_WHAT_IS_ASKED', 'followerY>=0', 'LEADER_LIES'],
  ['netting', 'LEAVES_OUT_WHAT_IS_WITHHELD', 'followerX<=', 'LEADER_LIES'],
  ['netting', 'FORGETS_THE_ANSWER', '==answer'],
  ['netting', 'PROPOSES_TWICE', 'assertion violated 0'],
  ['close', 'SHORT_CHALLENGE', 'toPayee==held'],
  ['close', 'CLOSES_EARLY', 'toPayee==held'],
  ['close', 'CONSENTS_EARLY', 'toPayee==held'],
  ['close', 'PAYEE_CLOSES_UNSETTLED', 'toPayee==held'],
  ['close', 'IGNORES_GENERATIONS', 'toPayee<=given'],
  ['close', 'RETURNS_THE_WHOLE_DEPOSIT', 'toPayee+toPayer'],
  ['close', 'TAKES_LESS', 'toPayee<=3'],
];

describe.skipIf(missing !== undefined)(`the models${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  it.each(MODELS)('$model $defines holds in every state', async ({ model, states, ...options }) => {
    const found = await search(model, options);
    // Nothing in the model is out of reach: it cannot hold for want of anything happening.
    expect(found).toMatchObject({ violation: undefined, exhaustive: true, states, unreached: [] });
  });

  it.each(FAULTS)('%s with %s fails: %s', async (model, fault, violation, ...defines) => {
    const found = await search(model, { defines: [`FAULT_${fault}`, ...defines] });
    expect(found.violation).toContain(violation);
  });
});

/** Brings the statements that a gateway was given to the owners of the names, over paid circuits. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { abortError, assertNotAborted, deadline, onAbort } from '../../core/abort.ts';
import { isRelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_STATEMENTS_IN_BATCH, USUAL_PRICE } from '../../core/limits.ts';
import {
  LATER,
  STATEMENTS_SERVICE,
  encodeBatchParams,
  sendStatements,
  type Outbox,
  type SignedStatement,
} from '../../sites/statement/index.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { priceOf } from '../../node/offer/index.ts';
import type { RunningNode } from '../node/index.ts';
import { poolTo } from './host-circuit.ts';

export interface CourierOptions {
  readonly node: Pick<RunningNode, 'circuits' | 'guards' | 'discovery' | 'keys' | 'settings' | 'names'>;
  readonly outbox: Outbox;
  /** Paid relays in front of an inbox. */
  readonly relays: number;
}

/** How long one batch may take, with its circuit, milliseconds. */
const BATCH_MILLIS = 120_000;
/** How many times what relays ask an inbox may ask: any wallet that owns a name can offer one, at any price. */
const DEAREST = 4n;
const HANDING_OVER = 'Handing statements over';

/**
 * Hands over what is due: one batch for each inbox, on a circuit of its own, so that what one visitor read is found together in small
 * parts only. What nobody takes now stays.
 */
export async function handOver(options: CourierOptions, signal: AbortSignal): Promise<void> {
  const { node, outbox } = options;
  const batches = new Map<NodeId, SignedStatement[]>();
  const inboxes = new Map<string, NodeId | undefined>();
  for (const statement of outbox.due()) {
    const { name } = statement;
    if (!inboxes.has(name)) inboxes.set(name, await inboxOf(options, name, signal));
    const inbox = inboxes.get(name);
    if (inbox === undefined) continue;
    const batch = batches.get(inbox) ?? [];
    if (batch.length < MAX_STATEMENTS_IN_BATCH) batch.push(statement);
    batches.set(inbox, batch);
  }
  for (const [inbox, batch] of batches) {
    try {
      await send(options, { inbox, batch, signal });
    } catch (error) {
      assertNotAborted(signal, HANDING_OVER);
      node.settings.log.debug({ inbox, err: error }, 'statements of delivery wait for another time');
    }
  }
}

/** The node of the name's owner or manager that takes statements: its wallet has signed for it. undefined: none is known now. */
async function inboxOf({ node }: CourierOptions, name: string, signal: AbortSignal): Promise<NodeId | undefined> {
  const { book } = node.discovery;
  const offers = book.find(STATEMENTS_SERVICE);
  // Nothing is asked of the ledger that no inbox could come of.
  if (offers.length === 0) return undefined;
  const record = await recordOf(node, name);
  assertNotAborted(signal, HANDING_OVER);
  if (record === undefined) return undefined;
  const [relay] = book.find('relay');
  const dearest = DEAREST * ((relay && priceOf(relay, 'relay')) ?? USUAL_PRICE);
  const found = offers.find((offer) => {
    const isTheirs = offer.wallet === record.owner || offer.wallet === record.manager;
    return isTheirs && (priceOf(offer, STATEMENTS_SERVICE) ?? dearest) <= dearest;
  });
  return found?.nodeId;
}

/** A ledger that does not answer is asked another time. */
async function recordOf({ names }: CourierOptions['node'], name: string): Promise<NameRecord | undefined> {
  try {
    return await names.name(name);
  } catch (error) {
    if (isRelaymintError(error)) return undefined;
    throw error;
  }
}

async function send(
  { node, outbox, relays }: CourierOptions,
  { inbox, batch, signal }: { inbox: NodeId; batch: readonly SignedStatement[]; signal: AbortSignal },
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  using limit = deadline(BATCH_MILLIS, HANDING_OVER, signal);
  const pool = stack.use(poolTo(node, inbox, STATEMENTS_SERVICE));
  await pool.buildTunnels(relays, { signal: limit.signal });
  const circuit = await pool.circuit({ signal: limit.signal });
  const stream = await circuit.openStream(STATEMENTS_SERVICE, encodeBatchParams(), { signal: limit.signal });
  using _stop = onAbort(limit.signal, () => stream.destroy(abortError(limit.signal, HANDING_OVER)));
  const verdicts = await sendStatements(stream, batch);
  outbox.drop(batch.filter((_, index) => verdicts[index] !== LATER));
}

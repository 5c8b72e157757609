/** All that meter a link: with money and without. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STRANGER_WINDOW } from '../../../core/limits.ts';
import { FrameType } from '../../../node/link/index.ts';
import type { LinkMeter } from '../../../node/meter/index.ts';
import { meterCompliance, type MeterUnderTest } from '../../compliance/meter.ts';
import { abortedInside } from '../../compliance/traits.ts';
import { held } from '../circuit/billing.ts';
import { PRICE, TestNet, eachMeter, type TestNode } from '../circuit/net.ts';
import { nextLink } from '../link/nodes.ts';

let net: TestNet;

async function pair(metered: boolean): Promise<MeterUnderTest> {
  net = new TestNet({ metered });
  const meters = new Map<TestNode, LinkMeter[]>();
  const node = async (): Promise<TestNode> => {
    const own: LinkMeter[] = [];
    const started = await net.node({ wrapMetering: eachMeter((meter) => void own.push(meter)) });
    meters.set(started, own);
    return started;
  };
  const newest = (of: TestNode): LinkMeter => meters.get(of)?.at(-1) as LinkMeter;
  const [payer, payee] = [await node(), await node()];
  const arrived = nextLink(payee.links);
  const near = await payer.links.connect(payee.id, payee.links.addresses());
  const far = await arrived;
  return {
    payer: newest(payer),
    payee: newest(payee),
    payeeId: payee.id,
    metering: payer.metering,
    price: PRICE,
    manyFrames: Math.ceil((8 * STRANGER_WINDOW) / 16_384),
    cut: () => Promise.all([near.close(), near.closed, far.closed]),
    another: async () => {
      const other = await node();
      await payer.links.connect(other.id, other.links.addresses());
      return newest(payer);
    },
  };
}

const teardown = (): Promise<void> => net.close();
meterCompliance('metered', { setup: () => pair(true), teardown, charges: true });
meterCompliance('unmetered', { setup: () => pair(false), teardown, charges: false });

it.each([
  ['before it was asked', ({ cut, payer }: MeterUnderTest) => cut().then(() => payer.openSpending())],
  [
    'while it looked up what that costs',
    async ({ payer, metering }: MeterUnderTest) => {
      const opening = payer.openSpending(payer.sponsor);
      await Promise.all([metering.close(), opening]);
    },
  ],
])('opens no channel on chain for a link that was closed %s', async (_when, open) => {
  await expect(open(await pair(true))).rejects.toMatchObject({ code: 'CLOSED' });
  expect(net.ledger.channels.size).toBe(0);
  await net.close();
});

describe('a channel that is being opened', () => {
  let net: TestNet;
  let payer: LinkMeter;
  let answer: () => void;
  beforeEach(async () => {
    net = new TestNet({ metered: true });
    const payee = await net.node();
    const own: LinkMeter[] = [];
    const client = await net.node({ wrapMetering: eachMeter((meter) => void own.push(meter)) });
    const arrived = nextLink(payee.links);
    await client.links.connect(payee.id, payee.links.addresses());
    [payer] = own as [LinkMeter];
    answer = held(await arrived, FrameType.ACCOUNT);
  });
  afterEach(() => net.close());

  abortedInside(() => payer, { openSpending: (meter, signal) => ({ work: meter.openSpending(undefined, signal) }) });

  it('is opened once and used by the others when whoever asked first has left', async () => {
    const first = new AbortController();
    const left = payer.openSpending(undefined, first.signal).catch((error: unknown) => error);
    const others = [payer.openSpending(), payer.openSpending()];
    first.abort();
    expect(await left).toMatchObject({ code: 'ABORTED' });
    answer();
    await Promise.all(others);
    expect(payer.canAfford(PRICE)).toBe(true);
    expect(net.ledger.channels.size).toBe(1);
  });
});

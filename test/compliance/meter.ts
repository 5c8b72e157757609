/** What the meters of a link must do, whether they charge or not. Run it against each: `meterCompliance('metered', { setup, teardown, charges })`. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attribution, type Attribution } from '../../core/attribution.ts';
import type { NodeId } from '../../core/ids.ts';
import { MAX_FRAME_PAYLOAD } from '../../core/limits.ts';
import { ALL_BPS, pricePerMiB, type PricePerMiB } from '../../core/units.ts';
import { FRAME_HEADER_BYTES } from '../../node/link/index.ts';
import type { LinkMeter, Metering } from '../../node/meter/index.ts';
import { abortedBefore, closed, limits } from './traits.ts';

export interface MeterUnderTest {
  /** The two ends of one link, open. */
  readonly payer: LinkMeter;
  readonly payee: LinkMeter;
  readonly payeeId: NodeId;
  /** All the meters of the payer. */
  readonly metering: Metering;
  readonly price: PricePerMiB;
  /** How many frames of the largest size at this price are far more than the payer may owe at a time. */
  readonly manyFrames: number;
  /** Closes the link, and resolves once both its ends know. */
  readonly cut: () => Promise<unknown>;
  /** Resolves with the payer's meter of another link, which opens now. */
  readonly another: () => Promise<LinkMeter>;
}

export interface MeterSetup {
  readonly setup: () => Promise<MeterUnderTest>;
  readonly teardown: () => Promise<void>;
  /** What goes over the link is paid for. */
  readonly charges: boolean;
}

const LARGEST = FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD;
const SMALL = 100;
const SHARES: Attribution = attribution([{ name: 'demo.web3', share: ALL_BPS }]);
/** Of this price not even one frame of the largest size fits what a peer may owe. */
const DEAR: PricePerMiB = pricePerMiB(1n << 40n);

export function meterCompliance(name: string, { setup, teardown, charges }: MeterSetup): void {
  describe(`the meters of a link: ${name}`, () => {
    let tested: MeterUnderTest;
    beforeEach(async () => {
      tested = await setup();
    });
    afterEach(teardown);

    /** Some frames each way, each counted by both ends at the same time. */
    const exchange = ({ payer, payee, price }: MeterUnderTest): readonly unknown[] => {
      const said: unknown[] = [];
      for (let frame = 0; frame < 10; frame += 1) {
        payer.sendUp(SMALL, price);
        said.push(payee.receivedUp(SMALL, price), payee.canSendDown(SMALL, price, true));
        payee.sentDown(SMALL, price);
        payer.receivedDown(SMALL, price);
      }
      return said;
    };
    abortedBefore(() => tested, { openSpending: ({ payer }, signal) => payer.openSpending(undefined, signal) });

    const opened = (meter: LinkMeter): Promise<void> => new Promise((resolve) => (meter.onOpen = resolve));

    it('let pass what is paid for, both ways, once the payer has opened its account', async () => {
      const { payer, payee, price } = tested;
      await payer.openSpending();
      expect([payer.canAfford(price), payee.canCarry(price), payer.mayOwe > 0n]).toEqual([true, true, true]);
      expect(exchange(tested)).toEqual(Array.from({ length: 10 }, () => ['forward', true]).flat());
    });

    it('open one account for all who ask, and again for whoever asks later', async () => {
      const { payer } = tested;
      await Promise.all(Array.from({ length: 5 }, () => payer.openSpending()));
      await payer.openSpending();
      exchange(tested);
      expect(payer.counts().spending).toEqual(tested.payee.counts().earning);
    });

    it('have it opened on behalf of whoever pays the payer', async () => {
      const { payer } = tested;
      await payer.openSpending(payer.sponsor);
      expect(payer.canAfford(tested.price)).toBe(true);
    });

    it('count the same at both ends, and nothing stays due once it is paid', async () => {
      const { payer, payee } = tested;
      await payer.openSpending();
      exchange(tested);
      payer.flush();
      await expect.poll(() => payee.counts().earning?.signed).toBe(payer.counts().spending?.due);
      expect(payee.counts().earning).toEqual(payer.counts().spending);
      expect(payer.counts().spending?.signed).toBe(payer.counts().spending?.due);
    });

    it('wake whoever they told to wait, so that much more goes down than may be owed', async () => {
      const { payer, payee, price, manyFrames } = tested;
      await payer.openSpending();
      payer.sendUp(SMALL, price);
      payee.receivedUp(SMALL, price);
      let sent = 0;
      while (sent < manyFrames) {
        const room = opened(payee);
        if (payee.canSendDown(LARGEST, price, true)) {
          payee.sentDown(LARGEST, price);
          payer.receivedDown(LARGEST, price);
          sent += 1;
        } else {
          payer.flush();
          await room;
        }
      }
      payer.flush();
      await expect.poll(() => payee.counts().earning).toEqual(payer.counts().spending);
    });

    it('pay nothing where nothing is due, whoever asks and how often', async () => {
      const { payer, payee } = tested;
      const idle = (meter: LinkMeter): void => {
        meter.rest();
        meter.payEarly(0n);
        meter.flush();
      };
      for (const meter of [payer, payee]) idle(meter);
      await payer.openSpending();
      const before = payer.counts();
      for (const meter of [payer, payee, payer]) idle(meter);
      expect(payer.counts()).toEqual(before);
    });

    it('take what is counted for names, before anything is counted too', async () => {
      const { payer, payee, price } = tested;
      payee.attribute(SHARES, SMALL, price);
      await payer.openSpending();
      exchange(tested);
      payee.attribute(SHARES, SMALL, price);
      expect(payee.counts().earning).toEqual(payer.counts().spending);
    });

    it('all have gone when their node closes them, those of later links too', async () => {
      const { payer, metering, payeeId, another } = tested;
      await payer.openSpending();
      await metering.close();
      metering.flush();
      expect(metering.walletOf(payeeId)).toBeUndefined();
      await expect((await another()).openSpending()).rejects.toMatchObject({ code: 'CLOSED' });
    });

    abortedBefore(() => tested, {
      openSpending: ({ payer }, signal) => payer.openSpending(payer.sponsor, signal),
      'openSpending of an account that is open': async ({ payer }, signal) => {
        await payer.openSpending();
        await payer.openSpending(undefined, signal);
      },
    });

    const cut = (it: MeterUnderTest): Promise<unknown> => it.cut();
    const closeAll = (it: MeterUnderTest): Promise<unknown> => it.metering.close();
    describe.each([
      ['their link closes', true, cut],
      ['their link closes and nothing was opened on it', false, cut],
      ['the node of the payer closes them', true, closeAll],
      ['the node of the payer closes them and nothing was opened', false, closeAll],
    ] as const)('when %s', (_how, isOpened, close) => {
      beforeEach(async () => {
        if (!isOpened) return;
        await tested.payer.openSpending();
        exchange(tested);
      });

      closed(() => tested, close, {
        openSpending: ({ payer }) => payer.openSpending(),
        sendUp: ({ payer, price }) => payer.sendUp(SMALL, price),
        'sendUp of the last frame': ({ payer, price }) => payer.sendUp(SMALL, price, true),
        receivedDown: ({ payer, price }) => payer.receivedDown(SMALL, price),
      });

      it('say that the payer may owe nothing, and stand still', async () => {
        const { payer, price } = tested;
        await close(tested);
        const before = payer.counts();
        payer.rest();
        payer.payEarly(0n);
        payer.flush();
        payer.sentDown(SMALL, price);
        expect(payer.mayOwe).toBe(0n);
        expect(payer.counts()).toEqual(before);
      });
    });

    it('let nothing pass at the payee once their link is closed, and stand still', async () => {
      const { payer, payee, price, cut } = tested;
      await payer.openSpending();
      exchange(tested);
      await cut();
      const before = payee.counts();
      expect([payee.receivedUp(SMALL, price), payee.canSendDown(SMALL, price, true)]).toEqual(['cut', false]);
      payee.sentDown(SMALL, price);
      payee.attribute(SHARES, SMALL, price);
      payee.flush();
      expect(payee.counts()).toEqual(before);
    });

    if (!charges) return;

    it('say beforehand what no peer may owe', async () => {
      const { payer, payee } = tested;
      await payer.openSpending();
      expect([payer.canAfford(DEAR), payee.canCarry(DEAR)]).toEqual([false, false]);
    });

    it('cut who never opened an account, and send it nothing', () => {
      const { payee, price } = tested;
      expect([payee.receivedUp(SMALL, price), payee.canSendDown(SMALL, price, true)]).toEqual(['cut', false]);
    });

    limits(
      () => tested,
      [
        [
          'a frame on a link whose peer is not paid',
          'PROTOCOL_VIOLATION',
          ({ payer, price }) => payer.sendUp(1, price),
        ],
        [
          'a frame dearer than the window',
          'WINDOW_EXHAUSTED',
          async ({ payer }) => {
            await payer.openSpending();
            payer.sendUp(LARGEST, DEAR);
          },
        ],
        [
          'more than the deposit',
          'DEPOSIT_EXHAUSTED',
          async ({ payer, price }) => {
            await payer.openSpending();
            payer.sendUp(Number.MAX_SAFE_INTEGER, price);
          },
        ],
      ],
    );
  });
}

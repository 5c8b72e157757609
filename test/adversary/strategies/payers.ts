/** A payer that takes what it does not pay for. */
import { QUIET_GRANT, SMALLEST_FRAME_BYTES, STREAM_WINDOW_INITIAL } from '../../../core/limits.ts';
import { MIB } from '../../../core/units.ts';
import type { Receipt } from '../../../ledger/receipt/index.ts';
import { CellType } from '../../../node/circuit/cell.ts';
import { FrameType } from '../../../node/link/index.ts';
import { DEPOSIT, OPENING, PRICE, u32 } from '../node.ts';
import type { BareNode } from '../node.ts';
import type { Payer, PayerLeg } from '../payer.ts';
import type { Outcome, Strategy } from '../strategy.ts';
import { max } from '../world.ts';
import type { Scene } from '../world.ts';

/** What it would like to take. */
const GREED: number = 3 * MIB;
/** A window in which one of the largest frames of a path is a quarter. */
const DUST = 4_800n;
/** Times that it comes back. */
const AGAIN = 4;

/** A circuit through the relay to the host, paid as it should be until it stands. */
export async function through(scene: Scene, payer: Payer): Promise<PayerLeg> {
  const { relay, host, pathPrice } = scene;
  payer.signsAt = 0n;
  const leg = payer.circuit({ price: pathPrice });
  if (!(await leg.reached(1))) throw new TypeError(`${relay.id} refused: ${leg.ended?.text}`);
  leg.extend(host.offer, PRICE);
  if (!(await leg.reached(2))) throw new TypeError(`${host.id} was not reached: ${leg.ended?.text}`);
  return leg;
}

/** Asks for data in many streams, each within its first window, and grants all that it may. */
export function askFor(leg: PayerLeg, bytes: number): void {
  for (let stream = 0; stream * STREAM_WINDOW_INITIAL < bytes; stream += 1) {
    leg.begin(2 * stream + 1, 'source', u32(STREAM_WINDOW_INITIAL));
  }
  leg.grant(4 * MIB - QUIET_GRANT);
}

/** It is over for a payer once its circuit or link ended, or nothing comes any more. */
export async function end(leg: PayerLeg): Promise<void> {
  await leg.payer.tap.quiet(() => leg.ended !== undefined);
}

/** What the relay lost to them, within what they burned for it. */
export function byPayers(scene: Scene, payers: readonly BareNode[], burned: bigint): Outcome {
  const honestLoss = scene.unpaid(scene.relay, payers, { to: scene.host, price: PRICE });
  return { honestLoss, bound: burned, attackerGain: honestLoss - burned };
}

interface Asking {
  readonly role?: Strategy['role'];
  readonly deposit?: bigint;
  /** What it burns for its channel. Default OPENING. */
  readonly opening?: bigint;
}

/** One payer at the relay, which does this. */
function onePayer(
  name: string,
  what: string,
  act: (payer: Payer, scene: Scene) => Promise<void>,
  { role = 'payer', opening = OPENING, ...funds }: Asking = {},
): Strategy {
  return {
    name,
    role,
    what,
    ledger: 'paper',
    async play({ scene }) {
      const payer = await scene.world.payer(scene.relay.offer, { opening, ...funds });
      await scene.during(() => act(payer, scene));
      return () => byPayers(scene, [payer.node], opening);
    },
  };
}

/** One that opens a circuit through the relay, and downloads while it signs as `manner` says. */
function downloads(
  name: string,
  what: string,
  manner: (leg: PayerLeg, scene: Scene) => Promise<void> | void,
  asking: Asking = {},
): Strategy {
  const act = async (payer: Payer, scene: Scene): Promise<void> => {
    const leg = await through(scene, payer);
    payer.signsAt = undefined;
    askFor(leg, GREED);
    await manner(leg, scene);
    await end(leg);
  };
  return onePayer(name, what, act, asking);
}

/** Signs for all that came, changed, each time an eighth of the window more is due. `earlier` is what it would have signed the time before. */
function signing(change: (honest: Receipt, earlier: Receipt) => Receipt): (leg: PayerLeg) => Promise<void> {
  return async (leg) => {
    const { payer } = leg;
    let earlier = payer.receipt;
    for (let time = 0; time < 100 && payer.tap.link.isOpen && leg.ended === undefined; time += 1) {
      const goal = payer.due + OPENING / 8n;
      await payer.tap.quiet(() => payer.due >= goal || leg.ended !== undefined);
      if (payer.due < goal) return;
      const honest = payer.receipt;
      payer.sign(change(honest, earlier));
      earlier = honest;
    }
  };
}

export const payerStrategies: readonly Strategy[] = [
  downloads('never-signs', 'downloads through the relay and signs nothing', () => {}),
  downloads(
    'widens-by-word',
    'says that it burned more for a wider window, again and again, and signs nothing',
    async (leg) => {
      for (let time = 0; time < 20 && leg.ended === undefined; time += 1) {
        leg.payer.tap.write(FrameType.WIDEN, 0, Buffer.alloc(0));
        await leg.payer.tap.link.ping().catch(() => {});
      }
    },
  ),
  downloads(
    'signs-less',
    'signs for an earlier point of the link each time, as if the rest were still on its way',
    signing((_honest, earlier) => earlier),
  ),
  downloads(
    'signs-another-amount',
    'signs for half of what is due at the right counts',
    signing((honest) => ({ ...honest, amount: (honest.amount / 2n) as Receipt['amount'] })),
  ),
  downloads(
    'forges-receipts',
    'sends receipts that another key signed, of another channel, old ones and ones above all that is due',
    async (leg, scene) => {
      const { payer } = leg;
      await payer.tap.quiet(() => payer.due > OPENING / 2n || leg.ended !== undefined);
      const other = await scene.world.payer(scene.host.offer);
      const forger = { ...payer.node, delegate: other.node.delegate };
      Object.assign(payer, { node: forger });
      payer.sign();
    },
  ),
  downloads(
    'replays-receipts',
    'pays with its first receipt again and again',
    (() => {
      let first: Receipt | undefined;
      return signing((honest) => (first ??= honest));
    })(),
  ),
  downloads(
    'overspends-its-deposit',
    'signs honestly, from a deposit that holds a fraction of what it asks for',
    signing((honest) => honest),
    { deposit: 4n * OPENING, opening: OPENING / 4n },
  ),
  onePayer(
    'grow-and-vanish',
    'pays honestly for many windows, then takes one more and is gone',
    async (payer, scene) => {
      const leg = await through(scene, payer);
      payer.signsAt = OPENING / 8n;
      for (let round = 0; round < 5 && leg.ended === undefined; round += 1) {
        // Streams of earlier rounds are done with, so their numbers go on.
        for (let stream = 0; stream < 8; stream += 1) {
          leg.begin(100 * round + 2 * stream + 101, 'source', u32(STREAM_WINDOW_INITIAL));
        }
        leg.grant(3 * MIB);
        const goal = 8 * (round + 1) * STREAM_WINDOW_INITIAL;
        await payer.tap.quiet(() => leg.dataIn >= goal || leg.ended !== undefined);
      }
      payer.signsAt = undefined;
      askFor(leg, GREED);
      await end(leg);
    },
    { deposit: 10n * DEPOSIT },
  ),
  {
    name: 'dust-channels',
    role: 'payer',
    what: 'opens many channels that burned hardly enough for a frame, or not even that, takes what each allows and is gone',
    ledger: 'paper',
    async play({ scene }) {
      const payers: BareNode[] = [];
      let burned = 0n;
      await scene.during(async () => {
        for (const opening of [...Array.from({ length: 10 }, () => DUST), 4n, 1n, DUST / 2n]) {
          burned += opening;
          const payer = await scene.world.payer(scene.relay.offer, { deposit: 4n * DUST + 1n, opening });
          payers.push(payer.node);
          payer.signsAt = 0n;
          const leg = payer.circuit({ price: scene.pathPrice });
          if (await leg.reached(1)) {
            leg.extend(scene.host.offer, PRICE);
            if (await leg.reached(2)) {
              payer.signsAt = undefined;
              askFor(leg, GREED);
              await payer.tap.until(() => leg.ended !== undefined || leg.taken > 20_000);
            }
          }
          await payer.tap.link.close();
        }
      });
      return () => byPayers(scene, payers, burned);
    },
  },
  onePayer(
    'uploads-unpaid',
    'uploads to the host through the relay and signs nothing for it, as a publisher that does not pay',
    async (payer, scene) => {
      const leg = await through(scene, payer);
      payer.signsAt = undefined;
      leg.begin(1, 'sink', Buffer.alloc(0));
      const piece = Buffer.alloc(16_000);
      for (let sent = 0; sent < 4 * GREED && leg.ended === undefined && payer.tap.link.isOpen; sent += piece.length) {
        if (leg.counts.credit < 16_500)
          await payer.tap.quiet(() => leg.counts.credit >= 16_500 || leg.ended !== undefined);
        if (leg.counts.credit < 16_500) break;
        leg.send(CellType.DATA, 1, piece);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await end(leg);
    },
  ),
  {
    name: 'sends-beyond-grant',
    role: 'payer',
    what: 'sends more up than the relay granted, and grants more than anybody does',
    ledger: 'paper',
    async play({ scene }) {
      const payers: BareNode[] = [];
      await scene.during(async () => {
        const tries: ((leg: PayerLeg) => void)[] = [
          (leg) => {
            for (let time = 0; time < 40; time += 1) leg.garbage(61_440);
          },
          (leg) => {
            for (let time = 0; time < 8; time += 1) leg.grant(4 * MIB);
          },
          (leg) => leg.giveBack(64 * MIB),
          (leg) => leg.garbage(16),
        ];
        for (const attempt of tries) {
          const payer = await scene.world.payer(scene.relay.offer);
          payers.push(payer.node);
          const leg = await through(scene, payer);
          attempt(leg);
          await payer.tap.link.closed;
        }
      });
      return () => byPayers(scene, payers, BigInt(payers.length) * OPENING);
    },
  },
  onePayer(
    'ignores-destroy',
    'owes and is cut, ignores the DESTROY and goes on sending, so that the relay goes on paying the host',
    async (payer, scene) => {
      const leg = await through(scene, payer);
      payer.signsAt = undefined;
      askFor(leg, GREED);
      await end(leg);
      for (let time = 0; time < 200 && payer.tap.link.isOpen; time += 1) {
        if (leg.counts.credit < SMALLEST_FRAME_BYTES) break;
        leg.garbage(SMALLEST_FRAME_BYTES - 8);
      }
      await payer.tap.link.close();
    },
  ),
  onePayer(
    'create-flood',
    'opens circuits as fast as it can, answers nothing and pays for none',
    async (payer, scene) => {
      for (let time = 0; time < 1500 && payer.tap.link.isOpen; time += 1) {
        payer.circuit({ price: scene.pathPrice });
        if (time % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await payer.tap.until(() => payer.tap.count('in', FrameType.DESTROY) > 0);
      await payer.tap.link.close();
    },
    { role: 'initiator' },
  ),
  onePayer('grant-flood', 'floods the link with GRANT and RETURN frames, which are free', async (payer, scene) => {
    const leg = await through(scene, payer);
    for (let time = 0; time < 20_000 && payer.tap.link.isOpen; time += 1) {
      leg.grant(1);
      if (time % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await payer.tap.link.closed;
  }),
  {
    name: 'hoards-grants',
    role: 'payer',
    what: 'opens circuits to the host that carry nothing, so that what the relay may owe the host is granted to them',
    ledger: 'paper',
    async play({ scene }) {
      const payers: Payer[] = [];
      await scene.during(async () => {
        for (let who = 0; who < 3; who += 1) {
          const payer = await scene.world.payer(scene.relay.offer);
          payers.push(payer);
          for (let circuit = 0; circuit < 16; circuit += 1) {
            const leg = await through(scene, payer);
            leg.grant(4 * MIB - 16_384);
          }
        }
      });
      return () =>
        byPayers(
          scene,
          payers.map(({ node }) => node),
          BigInt(payers.length) * OPENING,
        );
    },
  },
  {
    name: 'one-of-everything-lied',
    role: 'payer',
    what: 'lies in CREATE: below the price, hops beyond the limit, grants beyond the limit',
    ledger: 'paper',
    async play({ scene }) {
      const payers: BareNode[] = [];
      await scene.during(async () => {
        const plans = [
          { price: PRICE - 1n },
          { price: 1n << 39n },
          { price: PRICE, hops: 7 },
          { price: PRICE, grant: 5 * MIB },
        ];
        for (const plan of plans) {
          const payer = await scene.world.payer(scene.relay.offer);
          payers.push(payer.node);
          const leg = payer.circuit(plan);
          await payer.tap.until(() => leg.ended !== undefined || leg.hops > 0);
          await payer.tap.link.close();
        }
      });
      return () => byPayers(scene, payers, BigInt(payers.length) * OPENING);
    },
  },
];

export { AGAIN, GREED, max };

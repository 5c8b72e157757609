/** A payee that wants more than it was granted, or keeps what it was paid for. */
import { SMALLEST_FRAME_BYTES } from '../../../core/limits.ts';
import { MIB, amount } from '../../../core/units.ts';
import { CellType, encodeConnected } from '../../../node/circuit/cell.ts';
import { DestroyReason, encodeEnding, ending } from '../../../node/circuit/reason.ts';
import { FrameType } from '../../../node/link/index.ts';
import { encodeWiden } from '../../../node/meter/messages.ts';
import { NUMERATOR_BITS } from '../../../ledger/accounting/index.ts';
import { OPENING, PRICE } from '../node.ts';
import type { PlayNode } from '../node.ts';
import type { Manners, Payee, PayeeLeg } from '../payee.ts';
import type { Outcome, Strategy } from '../strategy.ts';
import type { Scene } from '../world.ts';

const NOTHING = Buffer.alloc(0);
/** What it would like to bill. */
const GREED = 16 * MIB;

const worth = (bytes: number, price: bigint): bigint => (BigInt(bytes) * price) >> NUMERATOR_BITS;

/** A gateway that tops its deposit up whenever it runs low: the fault was that this had no end. */
function gateway(scene: Scene): Promise<PlayNode> {
  return scene.world.node({ topUp: 1_000_000n });
}

/** A circuit to the payee, with a stream that asks for something. */
export async function ask(client: PlayNode, payee: Payee): Promise<PayeeLeg> {
  const circuit = await client.endpoint.createCircuit([payee.node.offer], { service: 'source' });
  circuit.openStream('source', NOTHING).catch(() => {});
  const leg = payee.legs.at(-1);
  if (leg === undefined) throw new TypeError('no circuit came');
  return leg;
}

/** What a client lost to that payee: all garbage that it counted. What it may lose: what was granted at its DESTROY, and that frame. */
function billed(client: PlayNode, payee: Payee): Outcome {
  let lost = 0n;
  let bound = 0n;
  for (const tap of client.taps) {
    for (const circuit of tap.circuits.values()) {
      if (!circuit.ours || tap.peer !== payee.node.id) continue;
      lost += worth(circuit.late, circuit.price);
      bound += worth(circuit.grantedAtEnd ?? 0, circuit.price);
    }
  }
  return { honestLoss: lost, bound, attackerGain: payee.holds - payee.carried };
}

/** Serves honestly until it was granted much, lies about how much may be owed, and sends garbage within what it was granted. */
function overstates(name: string, what: string, manners: Manners, lie: (leg: PayeeLeg) => void): Strategy {
  return {
    name,
    role: 'payee',
    what,
    ledger: 'paper',
    async play({ scene }) {
      const dear = 16n * PRICE;
      const payee = await scene.world.payee(
        {
          ...manners,
          onDestroy: () => {},
          onCell: (leg, cell) => {
            if (cell[0] === CellType.BEGIN) leg.send(CellType.CONNECTED, 1, encodeConnected(false));
          },
        },
        { services: { source: dear } },
      );
      const client = await scene.world.node({ deposit: 100_000_000n });
      await scene.during(async () => {
        const leg = await ask(client, payee);
        // Honest cells first, so that the grant grows: data of a stream that was asked for.
        const data = Buffer.alloc(1000);
        for (let sent = 0; sent < 700 && leg.tap.link.isOpen; sent += 1) {
          if (!(await leg.tap.until(() => leg.counts.credit >= SMALLEST_FRAME_BYTES || leg.counts.heardDestroy))) break;
          if (leg.counts.heardDestroy) break;
          if (sent % 20 === 0) lie(leg);
          leg.send(CellType.DATA, 1, data);
        }
        await leg.floodWithinGrant(GREED);
        await leg.tap.link.close();
      });
      return () => {
        const { bound: _granted, ...outcome } = billed(client, payee);
        return { ...outcome, bound: OPENING };
      };
    },
  };
}

export const payeeStrategies: readonly Strategy[] = [
  {
    name: 'bill-after-destroy-loud',
    role: 'payee',
    what: 'sends garbage until the circuit ends as tampered, ignores the DESTROY and goes on sending',
    ledger: 'paper',
    async play({ scene }) {
      const payee = await scene.world.payee({ onDestroy: () => {} });
      const client = await gateway(scene);
      await scene.during(async () => {
        const leg = await ask(client, payee);
        await leg.floodWithinGrant(GREED);
        // What is left of the grant is less than a large frame; then it sends in spite of it.
        leg.garbage(4 * MIB, 16_384);
        await leg.tap.link.closed;
      });
      return () => billed(client, payee);
    },
  },
  {
    name: 'bill-after-destroy-quiet',
    role: 'payee',
    what: 'goes on billing a circuit that was retired in peace, within its grant and without ever saying DESTROY',
    ledger: 'paper',
    async play({ scene }) {
      const payee = await scene.world.payee({ onDestroy: () => {} });
      const client = await gateway(scene);
      await scene.during(async () => {
        const circuit = await client.endpoint.createCircuit([payee.node.offer], { service: 'source' });
        const other = await client.endpoint.createCircuit([payee.node.offer], { service: 'source' });
        const [leg] = payee.legs;
        if (leg === undefined) throw new TypeError('no circuit came');
        circuit.destroy();
        await leg.floodWithinGrant(GREED, 1040);
        other.destroy();
      });
      return () => billed(client, payee);
    },
  },
  {
    name: 'bill-beyond-grant',
    role: 'payee',
    what: 'sends more than the payer granted, on a circuit that is in use',
    ledger: 'paper',
    async play({ scene }) {
      const payee = await scene.world.payee();
      const client = await gateway(scene);
      await scene.during(async () => {
        const leg = await ask(client, payee);
        while (leg.tap.link.isOpen) {
          leg.garbage(MIB);
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
      return () => {
        const tap = client.tapOf(payee.node.id);
        const counted = [...(tap?.circuits.values() ?? [])].reduce((sum, { relayIn }) => sum + relayIn, 0);
        // It may send what was granted before the first frame came.
        return { honestLoss: worth(counted, PRICE), bound: OPENING, attackerGain: payee.holds - payee.carried };
      };
    },
  },
  {
    name: 'vanish-with-grant',
    role: 'payee',
    what: 'fills all that it was granted with garbage, takes the receipts and cuts the link; four times with fresh nodes',
    ledger: 'paper',
    async play({ scene }) {
      const payees: Payee[] = [];
      const client = await gateway(scene);
      await scene.during(async () => {
        for (let time = 0; time < 4; time += 1) {
          const payee = await scene.world.payee({ onDestroy: () => {} });
          payees.push(payee);
          const leg = await ask(client, payee);
          leg.garbage(leg.counts.credit, SMALLEST_FRAME_BYTES - 8);
          await leg.tap.until(() => leg.counts.heardDestroy);
          await leg.tap.link.close();
        }
      });
      return () => {
        const outcomes = payees.map((payee) => billed(client, payee));
        const sum = (pick: (outcome: Outcome) => bigint): bigint => outcomes.reduce((all, one) => all + pick(one), 0n);
        return {
          honestLoss: client.taps.reduce((all, tap) => all + tap.due(true), 0n),
          // A window is what was burned for each of them.
          bound: BigInt(payees.length) * OPENING,
          attackerGain: sum(({ attackerGain }) => attackerGain),
        };
      };
    },
  },
  overstates(
    'window-overstated',
    'states a window sixteen times as wide as what was burned, so that the payer grants more than it burned, and fills it with garbage',
    { terms: (honest) => ({ ...honest, window: (16n * honest.window) as typeof honest.window }) },
    () => {},
  ),
  overstates(
    'widening-overstated',
    'says on a link in use, again and again, that the window became sixteen times as wide, and fills it with garbage',
    {},
    (leg) => leg.tap.write(FrameType.WIDEN, 0, encodeWiden(amount(16n * OPENING))),
  ),
  {
    name: 'frames-without-grant',
    role: 'payee',
    what: 'bills with the frames that need no grant: CREATED and NOTICE again and again, long ones',
    ledger: 'paper',
    async play({ scene }) {
      const notice = encodeEnding(ending(DestroyReason.FINISHED, 'x'.repeat(100)));
      const tries: ((leg: PayeeLeg) => void)[] = [
        (leg) => leg.tap.write(FrameType.CREATED, leg.id, Buffer.alloc(64)),
        (leg) => leg.tap.write(FrameType.NOTICE, leg.id, notice),
        (leg) => leg.tap.write(FrameType.NOTICE, leg.id, Buffer.alloc(60_000)),
        (leg) => leg.tap.write(FrameType.DESTROY, leg.id, Buffer.alloc(60_000)),
        (leg) => leg.tap.write(FrameType.CREATE, leg.id, Buffer.alloc(54)),
      ];
      const payees: Payee[] = [];
      const client = await gateway(scene);
      await scene.during(async () => {
        for (const attempt of tries) {
          const payee = await scene.world.payee({ onDestroy: () => {} });
          payees.push(payee);
          const leg = await ask(client, payee);
          for (let time = 0; time < 1000; time += 1) attempt(leg);
          await leg.tap.link.closed;
        }
      });
      return () => {
        let counted = 0n;
        for (const tap of client.taps) {
          for (const circuit of tap.circuits.values()) {
            counted += worth(circuit.in - circuit.relayIn, circuit.price);
          }
        }
        return {
          honestLoss: counted,
          // One CREATED, one NOTICE and one DESTROY a circuit, none longer than 136 bytes.
          bound: BigInt(payees.length) * worth(3 * 136, PRICE),
          attackerGain: payees.reduce((sum, payee) => sum + payee.holds - payee.carried, 0n),
        };
      };
    },
  },
  {
    name: 'claims-for-nothing',
    role: 'payee',
    what: 'says after a break that much more is due than was counted, and takes what the payer signs on its word',
    ledger: 'paper',
    async play({ scene }) {
      const payee = await scene.world.payee({
        terms: (honest) => ({
          ...honest,
          // What stays unpaid of it is taken off the window: a liar that wants to go on states a wider one.
          window: (honest.window + 1_000_000n) as typeof honest.window,
          due: (honest.due + 1_000_000n) as typeof honest.due,
          up: honest.up + (1n << 40n),
          down: honest.down + (1n << 40n),
        }),
        onDestroy: (leg) => leg.destroy(),
      });
      const client = await gateway(scene);
      await scene.during(async () => {
        for (let time = 0; time < 4; time += 1) {
          const circuit = await client.endpoint.createCircuit([payee.node.offer], { service: 'source' });
          circuit.destroy();
          const tap = client.tapOf(payee.node.id);
          await tap?.link.close();
        }
      });
      return () => {
        const due = client.taps.reduce((all, tap) => all + tap.due(true), 0n);
        const signed = scene.signedBy(client, [payee.node]);
        const lost = signed > due ? signed - due : 0n;
        return { honestLoss: lost, bound: OPENING, attackerGain: lost - payee.carried };
      };
    },
  },
];

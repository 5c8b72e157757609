/** A relay or a host that is bent: it has the real parts, and its links change what goes over them. */
import { systemClock } from '../../../core/ports.ts';
import { MIB } from '../../../core/units.ts';
import { NUMERATOR_BITS } from '../../../ledger/accounting/index.ts';
import { DestroyReason, encodeEnding, ending } from '../../../node/circuit/reason.ts';
import { createCircuitPool } from '../../../node/tunnel/index.ts';
import { createOfferBook } from '../../../node/discovery/index.ts';
import { FrameType } from '../../../node/link/index.ts';
import { OPENING, PRICE, hashOf, patternHash, u32 } from '../node.ts';
import type { PlayNode } from '../node.ts';
import type { Outcome, Strategy } from '../strategy.ts';
import type { Bend, Frame } from '../tap.ts';
import { max } from '../world.ts';
import type { Scene } from '../world.ts';

/** What the client asks for each time. */
const ASKED = 400_000;

/** The client's bill at that relay: all that it counted there, less what arrived as it was sent. */
function billAt(client: PlayNode, relay: PlayNode, arrived: bigint): Outcome {
  let cost = 0n;
  for (const tap of client.taps) {
    if (tap.peer === relay.id) cost += tap.due(true);
  }
  const honestLoss = cost > arrived ? cost - arrived : 0n;
  const got = relay.taps.reduce((sum, tap) => {
    if (tap.peer !== client.id) return sum;
    return sum + [...tap.got.values()].reduce((most, amount) => (amount > most ? amount : most), 0n);
  }, 0n);
  // It pays the host for what it passes on, and spoils the bytes that it was paid for: they count as carried.
  return { honestLoss, bound: OPENING, attackerGain: got - cost };
}

/** A client fetches over the bent relay from the honest host, as often as `times`. */
function bentRelay(name: string, what: string, bend: () => Bend, times = 2): Strategy {
  return {
    name,
    role: 'relay',
    what,
    ledger: 'paper',
    async play({ scene }) {
      const relay = await scene.world.bent({ relayPrice: PRICE, bend: bend() });
      const client = await scene.world.node({ timing: { quietMillis: 300, pingMillis: 300, buildMillis: 600 } });
      let arrived = 0n;
      await scene.during(async () => {
        for (let time = 0; time < times; time += 1) {
          if (await fetchOver(scene, client, relay)) arrived += (BigInt(ASKED) * 2n * PRICE) >> NUMERATOR_BITS;
        }
      });
      return () => billAt(client, relay, arrived);
    },
  };
}

/** True when what was asked for arrived. */
async function fetchOver(scene: Scene, client: PlayNode, relay: PlayNode): Promise<boolean> {
  try {
    const circuit = await client.endpoint.createCircuit([relay.offer, scene.host.offer], { service: 'source' });
    const stream = await circuit.openStream('source', u32(ASKED));
    stream.on('error', () => {});
    const ended = circuit.closed.then(() => 'ended');
    const hash = await Promise.race([hashOf(stream), ended]);
    circuit.destroy();
    return hash === patternHash(ASKED);
  } catch {
    return false;
  }
}

/** Does something to each large RELAY frame of circuits that others pay it for, from the `nth` on. */
function spoil(change: (frame: Frame, count: number) => readonly Frame[]): () => Bend {
  return () => {
    let count = 0;
    return {
      out: (frame, tap) => {
        const circuit = tap.circuits.get(frame.circuit);
        if (frame.type !== FrameType.RELAY || circuit?.ours !== false || frame.payload.length < 16_384) return [frame];
        count += 1;
        return change(frame, count);
      },
    };
  };
}

export const relayStrategies: readonly Strategy[] = [
  bentRelay(
    'relay-flips-a-bit',
    'changes a bit of what it passes on',
    spoil((frame, count) => {
      if (count === 3) frame.payload[100] = (frame.payload[100] ?? 0) ^ 1;
      return [frame];
    }),
  ),
  bentRelay(
    'relay-repeats-frames',
    'passes frames on twice, to be paid twice',
    spoil((frame) => [frame, { ...frame, payload: Buffer.from(frame.payload) }]),
  ),
  bentRelay(
    'relay-drops-frames',
    'keeps what it should pass on, and its grant',
    spoil((frame, count) => (count < 3 ? [frame] : [])),
  ),
  bentRelay('relay-answers-and-ends', 'answers each CREATE and ends it in the same write', () => ({
    out: (frame) =>
      frame.type === FrameType.CREATED
        ? [frame, { type: FrameType.DESTROY, circuit: frame.circuit, payload: Buffer.of(DestroyReason.FINISHED) }]
        : [frame],
  })),
  {
    name: 'says-it-must-set-up',
    role: 'relay',
    what: 'answers each CREATE and refuses each EXTEND, as if nobody had burned enough for another channel',
    ledger: 'paper',
    async play({ scene }) {
      const { world, host } = scene;
      const refusal = Buffer.from(encodeEnding(ending(DestroyReason.SETUP, '')));
      const relay = await world.payee(
        {
          // After the tap has counted what it refuses.
          onCell: (leg) => queueMicrotask(() => leg.tap.write(FrameType.DESTROY, leg.id, refusal)),
          onDestroy: () => {},
        },
        { relayPrice: PRICE },
      );
      const client = await world.node();
      const offers = createOfferBook({ clock: systemClock });
      for (const { offer } of [relay.node, scene.relay, host]) offers.add(offer);
      const options = { endpoint: client.endpoint, nodeId: client.id, offers, service: 'source', target: host.id };
      await using pool = createCircuitPool({ ...options, settings: { minCircuits: 4 } });
      await scene.during(async () => {
        for (let time = 0; time < 5; time += 1) {
          await client.endpoint.createCircuit([relay.node.offer, host.offer], { service: 'source' }).catch(() => {});
        }
        await pool.buildTunnels(1);
        const around = pool.activeDataCircuits().filter(({ hops }) => hops[0] === scene.relay.id);
        if (around.length < 4) throw new TypeError('no way around the liar');
      });
      return () => {
        const signed = scene.signedBy(client, [relay.node]);
        const cost = client.taps.reduce((sum, tap) => sum + (tap.peer === relay.node.id ? tap.due(true) : 0n), 0n);
        return { honestLoss: max(signed, cost), bound: OPENING, attackerGain: relay.holds - relay.carried };
      };
    },
  },
  {
    name: 'host-sends-garbage',
    role: 'host',
    what: 'answers with bytes that nobody asked for, in cells as they should be',
    ledger: 'paper',
    async play({ scene }) {
      const host = await scene.world.bent({ services: { other: PRICE } });
      host.endpoint.register(
        'source',
        { price: host.offer.services[0]?.price ?? (PRICE as never) },
        (stream, params) => {
          stream.on('error', () => {});
          stream.resume();
          stream.end(scene.world.seed.garbage(Math.min(params.readUInt32LE(0), MIB)));
        },
      );
      const client = await scene.world.node();
      let harmful = 0;
      await scene.during(async () => {
        const circuit = await client.endpoint.createCircuit([host.offer], { service: 'other' });
        const stream = await circuit.openStream('source', u32(ASKED));
        stream.on('error', () => {});
        if ((await hashOf(stream)) !== patternHash(ASKED)) harmful += 1;
        circuit.destroy();
      });
      return () => {
        const { honestLoss, attackerGain } = billAt(client, host, 0n);
        // What was asked for once, at the agreed price, and the frames around it: it is not asked again.
        return { honestLoss, attackerGain, bound: harmful === 1 ? OPENING : 0n };
      };
    },
  },
];

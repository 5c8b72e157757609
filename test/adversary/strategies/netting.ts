/** One of two neighbours that pay each other lies about what was netted: its own parts are real, and its NET frames are bent. */
import { Reader, Writer } from '../../../core/codec.ts';
import { MIB, amount } from '../../../core/units.ts';
import { FrameType } from '../../../node/link/index.ts';
import { decodeAccount, encodeAccepted } from '../../../node/meter/messages.ts';
import { OPENING, PRICE, hashOf, u32 } from '../node.ts';
import type { PlayNode } from '../node.ts';
import type { Outcome, Strategy } from '../strategy.ts';
import type { Bend, Frame, LinkTap } from '../tap.ts';
import { max } from '../world.ts';
import type { Scene } from '../world.ts';
import { AGAIN } from './payers.ts';

const TIMING = { unpaidMillis: 400, grantIdleMillis: 100, buildMillis: 5_000 } as const;
/** What each fetches of the other in a round; the liar takes twice as much. */
const ASKED = 2 * MIB;
/** Pairs of fresh node keys, of which each is on the right side with one chance in two. */
const PAIRS = 64;

interface Lie {
  /** The liar proposes (its node id is the lower one), or it answers. */
  readonly leads: boolean;
  /** What is written in place of a NET frame; what is not as it was is a lie. `told` NET frames went before on this link. */
  readonly net: (total: bigint, told: number, tap: LinkTap) => readonly bigint[];
  /** Says after a lost link that nothing was netted, and that all of it is due. */
  readonly denies?: true;
}

/** Counts the lies; after the first it signs for nothing any more. */
class Liar implements Bend {
  lies = 0;
  readonly #lie: Lie;
  readonly #told = new WeakMap<LinkTap, number>();
  /** What was netted on links before, as the other end counts it. */
  #netted = 0n;

  constructor(lie: Lie) {
    this.#lie = lie;
  }

  readonly out = (frame: Frame, tap: LinkTap): readonly Frame[] => {
    if (frame.type === FrameType.RECEIPT && this.lies > 0) return [];
    if (frame.type === FrameType.ACCOUNT && this.#lie.denies) return [{ ...frame, payload: this.#denied(frame) }];
    if (frame.type !== FrameType.NET) return [frame];
    const total = new Reader(frame.payload, 'NET').u64();
    const told = this.#told.get(tap) ?? 0;
    this.#told.set(tap, told + 1);
    const words = this.#lie.net(total, told, tap);
    if (words.length === 1 && words[0] === total) return [frame];
    this.lies += 1;
    this.#netted += total;
    return words.map((word) => ({ ...frame, payload: Buffer.from(new Writer(8).u64(amount(word)).finish()) }));
  };

  #denied(frame: Frame): Buffer {
    const { terms } = decodeAccount(frame.payload);
    if (terms === undefined) return frame.payload;
    const due = amount(terms.due + this.#netted);
    return Buffer.from(
      encodeAccepted({ ...terms, due, window: amount(terms.window + this.#netted), netted: amount(0n) }),
    );
  }
}

/** Cuts the link behind what is written now. */
function cutting(words: readonly bigint[], tap: LinkTap): readonly bigint[] {
  setImmediate(() => void tap.link.close());
  return words;
}

async function fetchFrom(to: PlayNode, from: PlayNode, bytes: number): Promise<void> {
  try {
    const circuit = await from.endpoint.createCircuit([to.offer], { service: 'source' });
    const stream = await circuit.openStream('source', u32(bytes));
    stream.on('error', () => {});
    await Promise.race([hashOf(stream), circuit.closed]);
    circuit.destroy();
  } catch {
    // Refused, or the link closed: the liar takes what it can.
  }
}

/** What the honest one served and was not paid for, less what it took and did not pay: what was netted stands on both sides. */
function position(honest: PlayNode, liar: PlayNode): bigint {
  const got = new Map<string, bigint>();
  const signed = new Map<string, bigint>();
  let owed = 0n;
  for (const tap of honest.taps) {
    if (tap.peer !== liar.id) continue;
    owed += tap.due(false) - tap.due(true);
    for (const [channel, most] of tap.got) got.set(channel, max(got.get(channel) ?? 0n, most));
    for (const [channel, most] of tap.signed) signed.set(channel, max(signed.get(channel) ?? 0n, most));
  }
  const sum = (amounts: Iterable<bigint>): bigint => Array.from(amounts).reduce((all, one) => all + one, 0n);
  return max(owed - (sum(got.values()) - sum(signed.values())), 0n);
}

/** An honest node, and one of the adversary's that leads, or follows, in netting with it. */
async function neighbours(scene: Scene, leads: boolean, bend: Bend): Promise<{ honest: PlayNode; liar: PlayNode }> {
  const settings = { services: { source: PRICE }, timing: TIMING, nets: true };
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const honest = await scene.world.node(settings);
    const liar = await scene.world.bent({ ...settings, bend });
    if (liar.id < honest.id === leads) return { honest, liar };
  }
  throw new TypeError('no key is on the right side');
}

function nets(name: string, what: string, lie: Lie): Strategy {
  return {
    name,
    role: 'relay',
    what,
    ledger: 'paper',
    async play({ scene }) {
      const bend = new Liar(lie);
      const { honest, liar } = await neighbours(scene, lie.leads, bend);
      await scene.addStranger([scene.relay.offer, honest.offer]);
      await scene.during(async () => {
        for (let time = 0; time < AGAIN; time += 1) {
          await liar.links.connect(honest.id, honest.offer.addresses);
          // Each of them pays the other on that link.
          await Promise.all([fetchFrom(honest, liar, 2 * ASKED), fetchFrom(liar, honest, ASKED)]);
          await liar.tapOf(honest.id)?.link.close();
        }
        // What the honest one owes at the end it pays.
        await fetchFrom(liar, honest, 1);
        await liar.tapOf(honest.id)?.link.close();
      });
      if (bend.lies === 0) throw new TypeError('nothing was netted, so there was nothing to lie about');
      return (): Outcome => {
        const honestLoss = position(honest, liar);
        return { honestLoss, bound: OPENING, attackerGain: honestLoss - OPENING };
      };
    },
  };
}

/** Totals are told from the third on: by then there is an older one. */
const LATER = 2;

export const nettingStrategies: readonly Strategy[] = [
  nets('nets-more-than-it-owes', 'proposes to net more than either of the two owes', {
    leads: true,
    net: (total) => [total + 2n * OPENING],
  }),
  nets('nets-a-little-more', 'proposes to net more than the other owes, corrects nothing and signs nothing any more', {
    leads: true,
    net: (total, told) => (told < LATER ? [total + OPENING / 40n] : []),
  }),
  nets('nets-twice', 'proposes to net the same debt twice', {
    leads: true,
    net: (total) => [total, total],
  }),
  nets('nets-again-what-was-netted', 'replays its first proposal once it was answered and others followed', {
    leads: true,
    net: (() => {
      const first = new WeakMap<LinkTap, bigint>();
      return (total, told, tap) => {
        if (told === 0) first.set(tap, total);
        return told < LATER ? [total] : [first.get(tap) ?? total];
      };
    })(),
  }),
  nets(
    'nets-and-denies',
    'cuts the link once its proposals were answered, and says on the next one that nothing was netted',
    {
      leads: true,
      net: (total, told, tap) => (told < LATER ? [total] : cutting([], tap)),
      denies: true,
    },
  ),
  nets('answers-more-than-was-asked', 'answers a proposal with more than was proposed', {
    leads: false,
    net: (total) => [total + 1n],
  }),
  nets('answers-beyond-all', 'answers a proposal with more than either of the two may owe', {
    leads: false,
    net: (total) => [total + 4n * OPENING],
  }),
  nets('answers-twice', 'answers each proposal twice', {
    leads: false,
    net: (total) => [total, total],
  }),
  nets(
    'answers-with-an-old-total',
    'answers with the total of an answer before, as if nothing new were netted, but counts it',
    {
      leads: false,
      net: (() => {
        const first = new WeakMap<LinkTap, bigint>();
        return (total, told, tap) => {
          if (told === 0) first.set(tap, total);
          return told < LATER ? [total] : [first.get(tap) ?? total];
        };
      })(),
    },
  ),
  nets('answers-below-what-was-agreed', 'takes back what was netted before with its answer', {
    leads: false,
    net: (total, told) => (told < LATER ? [total] : [0n]),
  }),
  nets(
    'answers-and-denies',
    'counts what it was asked to net, cuts the link instead of answering, and denies all of it on the next',
    {
      leads: false,
      net: (total, told, tap) => (told < LATER ? [total] : cutting([], tap)),
      denies: true,
    },
  ),
];

/** An initiator that has relays pay for what it never takes, or pay whom it likes. */
import { ALLOWANCE_OF_BURNED, SMALLEST_FRAME_BYTES } from '../../../core/limits.ts';
import { MIB } from '../../../core/units.ts';
import { CellType } from '../../../node/circuit/cell.ts';
import { OPENING, PRICE } from '../node.ts';
import type { BareNode } from '../node.ts';
import type { Payee } from '../payee.ts';
import type { Payer } from '../payer.ts';
import type { Outcome, Strategy } from '../strategy.ts';
import { AGAIN, askFor, byPayers, end, through } from './payers.ts';

/** What the relay's window allows at most: a frame of the largest size costs a quarter of it. */
const DEAREST = 160_000n;
/** What a payer may have a relay burn for channels to whom it likes (docs/adr/0027). */
const ALLOWANCE = ALLOWANCE_OF_BURNED * OPENING;

/** Opens a circuit through the relay to the adversary's own payee, to whom the relay opens a channel. */
async function toAccomplice(payer: Payer, accomplice: Payee, onward: bigint) {
  payer.signsAt = 0n;
  const leg = payer.circuit({ price: onward + PRICE });
  if (!(await leg.reached(1))) return leg;
  leg.extend(accomplice.node.offer, onward);
  await leg.reached(2);
  payer.signsAt = undefined;
  return leg;
}

/** A circuit to a puppet, until it stands or is refused. */
async function toPuppet(payer: Payer, puppet: Payee): Promise<void> {
  payer.signsAt = 0n;
  const leg = payer.circuit({ price: 2n * PRICE });
  if (!(await leg.reached(1))) return;
  leg.extend(puppet.node.offer, PRICE);
  await leg.reached(2);
}

/** What the relay burned for an accomplice is a loss, and nobody's gain: no one is paid what is burned. */
function losing(unpaid: bigint, spent: bigint, burned: bigint): Outcome {
  return { honestLoss: unpaid + spent, bound: burned + ALLOWANCE, attackerGain: unpaid - burned };
}

/** Cuts its link in the middle of downloads, `nodes` times; the same node, or others of the same or of new wallets. */
function leaves(name: string, what: string, who: 'node' | 'wallet' | 'nobody'): Strategy {
  return {
    name,
    role: 'initiator',
    what,
    ledger: 'paper',
    async play({ scene }) {
      const { world, relay } = scene;
      const nodes: BareNode[] = [];
      const first = await world.bare();
      let burned = 0n;
      await scene.during(async () => {
        for (let time = 0; time < AGAIN; time += 1) {
          const node =
            time === 0 || who === 'node' ? first : await world.bare(who === 'wallet' ? { purse: first.purse } : {});
          if (!nodes.includes(node)) nodes.push(node);
          if (time === 0 || who !== 'node') burned += OPENING;
          const payer = await world.payer(relay.offer, {}, node);
          const leg = payer.circuit({ price: scene.pathPrice });
          payer.signsAt = 0n;
          if (await leg.reached(1)) {
            leg.extend(scene.host.offer, PRICE);
            if (await leg.reached(2)) {
              payer.signsAt = undefined;
              askFor(leg, 2 * MIB);
              await payer.tap.until(() => leg.taken > 20_000 || leg.ended !== undefined);
            }
          }
          await payer.tap.link.close();
        }
      });
      return () => byPayers(scene, nodes, burned);
    },
  };
}

/** A payer and an accomplice behind the relay, at the dearest price that it carries. */
function withAccomplice(name: string, what: string, act: (payer: Payer, accomplice: Payee) => Promise<void>): Strategy {
  return {
    name,
    role: 'initiator',
    what,
    ledger: 'paper',
    async play({ scene }) {
      const { world, relay } = scene;
      const before = relay.purse.spent;
      const accomplice = await world.payee({ onDestroy: () => {} }, { services: { source: DEAREST } });
      const payer = await world.payer(relay.offer);
      await scene.during(() => act(payer, accomplice));
      return async () => {
        const unpaid = scene.unpaid(relay, [payer.node], { to: accomplice.node, price: DEAREST });
        return losing(unpaid, relay.purse.spent - before, OPENING);
      };
    },
  };
}

export const initiatorStrategies: readonly Strategy[] = [
  leaves('reader-leaves', 'cuts its link in the middle of a download, comes back and does it again', 'node'),
  leaves(
    'reader-leaves-same-wallet',
    'the same with a fresh node and a fresh channel of one wallet each time',
    'wallet',
  ),
  leaves('reader-leaves-fresh', 'the same with a fresh node, wallet and channel each time', 'nobody'),
  withAccomplice(
    'dear-accomplice',
    'has the relay pay an accomplice the dearest price that it carries, and signs for nothing that comes',
    async (payer, accomplice) => {
      const leg = await toAccomplice(payer, accomplice, DEAREST);
      leg.grant(4 * MIB - 16_384);
      const [far] = accomplice.legs;
      if (far === undefined) throw new TypeError(`the accomplice was not reached: ${leg.ended?.text}`);
      await far.floodWithinGrant(8 * MIB, 16_384);
      await end(leg);
    },
  ),
  withAccomplice(
    'accomplice-and-leave',
    'the same, and cuts its own link while the accomplice goes on billing what was granted; with many circuits',
    async (payer, accomplice) => {
      const leg = await toAccomplice(payer, accomplice, DEAREST);
      leg.grant(2 * MIB);
      const others = [];
      for (let circuit = 0; circuit < 7; circuit += 1) {
        payer.signsAt = 0n;
        const other = payer.circuit({ price: DEAREST + PRICE });
        if (!(await other.reached(1))) break;
        other.extend(accomplice.node.offer, DEAREST);
        if (!(await other.reached(2))) break;
        other.grant(2 * MIB);
        others.push(other);
      }
      payer.signsAt = undefined;
      await payer.tap.link.ping().catch(() => {});
      await payer.tap.link.close();
      for (const far of accomplice.legs) far.garbage(far.counts.credit, SMALLEST_FRAME_BYTES - 8);
      await accomplice.node.taps
        .at(-1)
        ?.link.ping()
        .catch(() => {});
    },
  ),
  {
    name: 'dear-circuit-on-a-shared-link',
    role: 'initiator',
    what: 'extends to the host that strangers use, at a price that no window carries',
    ledger: 'paper',
    async play({ scene }) {
      const { world, relay, host } = scene;
      const payer = await world.payer(relay.offer);
      await scene.during(async () => {
        for (const onward of [DEAREST, DEAREST + 20_000n, 1n << 30n]) {
          payer.signsAt = 0n;
          const leg = payer.circuit({ price: onward + PRICE });
          if (!(await leg.reached(1))) continue;
          leg.extend(host.offer, onward);
          if (!(await leg.reached(2))) continue;
          payer.signsAt = undefined;
          askFor(leg, 2 * MIB);
          leg.begin(101, 'sink', Buffer.alloc(0));
          for (let time = 0; time < 3; time += 1)
            if (leg.counts.credit > 16_500) leg.send(CellType.DATA, 101, Buffer.alloc(16_000));
          await end(leg);
        }
        await payer.tap.link.close();
      });
      return () => {
        const honestLoss = scene.unpaid(relay, [payer.node]);
        return { honestLoss, bound: OPENING, attackerGain: honestLoss - OPENING };
      };
    },
  },
  {
    name: 'extends-to-puppets',
    role: 'initiator',
    what: 'has the relay open channels to many puppets at once, then to one after another',
    ledger: 'paper',
    async play({ scene }) {
      const { world, relay } = scene;
      const before = relay.purse.spent;
      const payer = await world.payer(relay.offer);
      const puppets = await Promise.all(Array.from({ length: 2 * AGAIN }, () => world.payee()));
      await scene.during(async () => {
        await Promise.all(puppets.slice(AGAIN).map((puppet) => toPuppet(payer, puppet)));
        for (const puppet of puppets.slice(0, AGAIN)) await toPuppet(payer, puppet);
        await payer.tap.link.close();
      });
      return async () => losing(scene.unpaid(relay, [payer.node]), relay.purse.spent - before, OPENING);
    },
  },
  {
    name: 'extends-to-puppets-same-wallet',
    role: 'initiator',
    what: 'the same with a fresh node and a fresh channel of one wallet each time',
    ledger: 'paper',
    async play({ scene }) {
      const { world, relay } = scene;
      const before = relay.purse.spent;
      const first = await world.bare();
      const nodes: BareNode[] = [];
      await scene.during(async () => {
        for (let time = 0; time < AGAIN; time += 1) {
          const node = time === 0 ? first : await world.bare({ purse: first.purse });
          nodes.push(node);
          const payer = await world.payer(relay.offer, {}, node);
          for (let puppet = 0; puppet < 2; puppet += 1) await toPuppet(payer, await world.payee());
          await payer.tap.link.close();
        }
      });
      return async () => {
        const unpaid = scene.unpaid(relay, nodes);
        const spent = relay.purse.spent - before;
        const burned = BigInt(nodes.length) * OPENING;
        // What the relay burns is counted for the wallet: more channels of it bring no more.
        return { honestLoss: spent + unpaid, bound: burned + ALLOWANCE, attackerGain: unpaid - burned };
      };
    },
  },
  {
    name: 'puppet-closes-again',
    role: 'initiator',
    what: 'has the relay open a channel to a puppet, which closes it and its link, again and again',
    ledger: 'paper',
    async play({ scene }) {
      const { world, relay } = scene;
      const before = relay.purse.spent;
      const payer = await world.payer(relay.offer);
      const puppet = await world.payee();
      await scene.during(async () => {
        for (let time = 0; time < AGAIN; time += 1) {
          await toPuppet(payer, puppet);
          const channel = relay.purse.find(puppet.node.wallet, relay.delegate.address);
          if (channel !== undefined) world.ledger.close(channel);
          await puppet.node.tapOf(relay.id)?.link.close();
        }
        await payer.tap.link.close();
      });
      return async () => losing(scene.unpaid(relay, [payer.node]), relay.purse.spent - before, OPENING);
    },
  },
];

export { through };

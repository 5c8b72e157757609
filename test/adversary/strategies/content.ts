/** Content: what its names earn, and a node's own content beside what it carries and what was granted. */
import { SMALLEST_FRAME_BYTES } from '../../../core/limits.ts';
import { ALL_BPS, MIB, amount } from '../../../core/units.ts';
import { NUMERATOR_BITS } from '../../../ledger/accounting/index.ts';
import { CellType, encodeConnected } from '../../../node/circuit/cell.ts';
import { OPENING, PRICE, u32 } from '../node.ts';
import type { BareNode, PlayNode } from '../node.ts';
import type { Manners, Payee } from '../payee.ts';
import type { Payer, PayerLeg } from '../payer.ts';
import type { Outcome, Strategy } from '../strategy.ts';
import { max } from '../world.ts';
import type { Scene } from '../world.ts';
import { ask } from './payees.ts';
import { AGAIN, GREED, askFor, end } from './payers.ts';

const TIMING = { unpaidMillis: 400, grantIdleMillis: 100, buildMillis: 5_000 } as const;
const NAME = 'accomplice.web3';

const worth = (bytes: number, price: bigint): bigint => (BigInt(bytes) * price) >> NUMERATOR_BITS;

/** An honest host that keeps the accomplice's content, and content of others; it relays too when told. */
async function hostOfContent(scene: Scene, relayPrice?: bigint): Promise<PlayNode> {
  const host = await scene.world.node({ services: { source: PRICE }, timing: TIMING, relayPrice });
  host.endpoint.register('page', { price: host.offer.services[0]?.price ?? (PRICE as never) }, (stream, params) => {
    stream.attribute([{ name: NAME, share: ALL_BPS }]);
    stream.on('error', () => {});
    stream.resume();
    stream.end(Buffer.alloc(Math.min(params.readUInt32LE(0), MIB)));
  });
  return host;
}

/** A circuit of one hop, paid as it should be until it stands. */
async function straight(payer: Payer, price: bigint): Promise<PayerLeg> {
  payer.signsAt = 0n;
  const leg = payer.circuit({ price });
  if (!(await leg.reached(1))) throw new TypeError(`refused: ${leg.ended?.text}`);
  payer.signsAt = undefined;
  return leg;
}

/** What `host` got of those payers, by their receipts. */
function paidBy(host: PlayNode, payers: readonly BareNode[]): bigint {
  const ids = new Set(payers.map(({ id }) => id));
  const most = new Map<string, bigint>();
  for (const tap of host.taps) {
    if (!ids.has(tap.peer)) continue;
    for (const [channel, got] of tap.got) most.set(channel, max(most.get(channel) ?? 0n, got));
  }
  return Array.from(most.values()).reduce((all, one) => all + one, 0n);
}

/** Fetches an accomplice's content over that link. */
async function fetching(payer: Payer): Promise<PayerLeg> {
  const leg = await straight(payer, PRICE);
  for (let stream = 0; stream < 8; stream += 1) leg.begin(2 * stream + 1, 'page', u32(MIB));
  leg.grant(3 * MIB);
  return leg;
}

async function dueOf(payer: Payer, leg: PayerLeg, goal: bigint): Promise<void> {
  await payer.tap.quiet(() => payer.due >= goal || leg.ended !== undefined);
}

/** Payers fetch an accomplice's content and pay for it as `manner` says; an honest one pays the same host for other content. */
function earns(name: string, what: string, manner: (open: () => Promise<Payer>) => Promise<void>): Strategy {
  return {
    name,
    role: 'payer',
    what,
    ledger: 'paper',
    async play({ scene }) {
      const host = await hostOfContent(scene);
      await scene.addStranger([scene.relay.offer, host.offer]);
      const payers: BareNode[] = [];
      await scene.during(async () => {
        for (let time = 0; time < AGAIN; time += 1) {
          const node = await scene.world.bare();
          payers.push(node);
          await manner(() => scene.world.payer(host.offer, {}, node));
          await node.tapOf(host.id)?.link.close();
        }
      });
      return (): Outcome => {
        const booked = (host.store.shares.get(NAME) ?? 0n) >> NUMERATOR_BITS;
        // A host pays a name out of all that it settles: what was not paid for comes out of others' receipts.
        const honestLoss = max(booked - paidBy(host, payers), 0n);
        return { honestLoss, bound: 0n, attackerGain: honestLoss };
      };
    },
  };
}

/** What an honest node lost to a payer that used its own content and what it carries for it; `onward` is whom it pays for that. */
function besideGrants(scene: Scene, honest: PlayNode, payer: BareNode, onward: BareNode): bigint {
  let [came, passed] = [0, 0];
  for (const tap of honest.taps) {
    for (const circuit of tap.circuits.values()) {
      if (tap.peer === onward.id && circuit.ours) came += circuit.relayIn;
      // A circuit that goes on costs more than its own content.
      if (tap.peer !== payer.id || circuit.price === PRICE || circuit.relayOutFrames === 0) continue;
      passed += circuit.relayOut - SMALLEST_FRAME_BYTES;
    }
  }
  const lost = worth(Math.max(came - passed, 0), PRICE);
  return scene.unpaid(honest, [payer]) + lost;
}

export const contentStrategies: readonly Strategy[] = [
  earns(
    'names-earn-unpaid',
    "fetches an accomplice's content with fresh wallets and pays for none of it, so that the name is paid out of others' receipts",
    async (open) => end(await fetching(await open())),
  ),
  earns(
    'names-earn-more-than-paid',
    "fetches an accomplice's content and signs for a part of it, again and again, before it defaults",
    async (open) => {
      const payer = await open();
      const leg = await fetching(payer);
      for (let part = 1n; part <= 3n; part += 1n) {
        await dueOf(payer, leg, (part * OPENING) / 8n);
        if (leg.ended === undefined) payer.sign();
      }
      await end(leg);
    },
  ),
  earns(
    'names-earn-again-at-resume',
    "defaults on an accomplice's content, pays a part of it on the next link and defaults again, so that the name might earn it twice",
    async (open) => {
      for (let link = 0; link < 2; link += 1) {
        const payer = await open();
        const { terms } = payer;
        if (terms !== undefined && terms.due > terms.paid) {
          const part = amount(terms.paid + (terms.due - terms.paid) / 2n);
          payer.sign({ channel: payer.channel.id, amount: part, up: terms.up, down: terms.down });
          await payer.tap.link.ping();
          await payer.tap.link.close();
          continue;
        }
        const leg = await fetching(payer);
        await dueOf(payer, leg, OPENING / 2n);
        await payer.tap.link.close();
      }
    },
  ),
  {
    name: 'own-content-beyond-grant',
    role: 'host',
    what: 'sends content of its own, in cells as they should be and for a stream that was opened, whatever was granted',
    ledger: 'paper',
    async play({ scene }) {
      const host = await scene.world.payee({
        onCell: (leg, cell) => {
          if (cell[0] === CellType.BEGIN) leg.send(CellType.CONNECTED, 1, encodeConnected(false));
        },
      });
      const client = await scene.world.node();
      await scene.during(async () => {
        for (let time = 0; time < AGAIN; time += 1) {
          const leg = await ask(client, host);
          while (leg.tap.link.isOpen) {
            // Within the stream's first window, for that is not what is tried.
            for (let cell = 0; cell < 4; cell += 1) leg.send(CellType.DATA, 1, Buffer.alloc(16_000));
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
      });
      return (): Outcome => {
        const counted = client.taps.reduce((sum, tap) => (tap.peer === host.node.id ? sum + tap.due(true) : sum), 0n);
        return { honestLoss: counted, bound: OPENING, attackerGain: host.holds - host.carried };
      };
    },
  },
  {
    name: 'bills-on-two-links',
    role: 'host',
    what: 'has two nodes with one wallet; each claims for the one channel what both sent, and the first goes on sending',
    ledger: 'paper',
    async play({ scene }) {
      const hosts: Payee[] = [];
      const sent = (): number =>
        hosts.reduce((all, host) => all + host.legs.reduce((sum, leg) => sum + leg.counts.relayOut, 0), 0);
      const manners: Manners = {
        onDestroy: () => {},
        terms: (honest) => {
          const both = worth(2 * sent(), PRICE);
          return {
            ...honest,
            window: amount(honest.window + both),
            due: amount(honest.due + both),
            down: honest.down + BigInt(2 * sent()),
          };
        },
      };
      const first = await scene.world.payee(manners);
      hosts.push(first, await scene.world.payee(manners, { services: { source: PRICE }, purse: first.node.purse }));
      const client = await scene.world.node();
      await scene.during(async () => {
        for (let time = 0; time < AGAIN; time += 1) {
          for (const host of hosts) {
            await ask(client, host).catch(() => {});
            for (const leg of hosts.flatMap(({ legs }) => legs))
              leg.garbage(leg.counts.credit, SMALLEST_FRAME_BYTES - 8);
            await host.node
              .tapOf(client.id)
              ?.link.ping()
              .catch(() => {});
          }
        }
        for (const host of hosts) await host.node.tapOf(client.id)?.link.close();
      });
      return (): Outcome => {
        const signed = scene.signedBy(
          client,
          hosts.map(({ node }) => node),
        );
        const carried = hosts.reduce((sum, host) => sum + host.carried, 0n);
        return { honestLoss: signed, bound: OPENING, attackerGain: signed - carried };
      };
    },
  },
  {
    name: 'own-content-beside-grants',
    role: 'payer',
    what: "takes a relay's own content while the relay has granted onward for it, up to the window with each, and signs for neither",
    ledger: 'paper',
    async play({ scene }) {
      const honest = await hostOfContent(scene, PRICE);
      const payer = await scene.world.payer(honest.offer);
      await scene.during(async () => {
        payer.signsAt = 0n;
        const leg = payer.circuit({ price: 2n * PRICE });
        if (!(await leg.reached(1))) throw new TypeError(`refused: ${leg.ended?.text}`);
        leg.extend(scene.host.offer, PRICE);
        if (!(await leg.reached(2))) throw new TypeError(`the host was not reached: ${leg.ended?.text}`);
        const own = await straight(payer, PRICE);
        askFor(leg, GREED);
        for (let stream = 0; stream < 8; stream += 1) own.begin(2 * stream + 1, 'page', u32(MIB));
        own.grant(3 * MIB);
        await payer.tap.quiet(() => leg.ended !== undefined && own.ended !== undefined);
        await payer.tap.link.close();
      });
      return (): Outcome => {
        const honestLoss = besideGrants(scene, honest, payer.node, scene.host);
        return { honestLoss, bound: OPENING, attackerGain: honestLoss - OPENING };
      };
    },
  },
];

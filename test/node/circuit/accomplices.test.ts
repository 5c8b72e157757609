/** What a stranger gains with accomplices behind a relay: never more than its window, and no more burned than it may have burned. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RelaymintError } from '../../../core/errors.ts';
import { MIB } from '../../../core/units.ts';
import { FrameType } from '../../../node/link/index.ts';
import { PRICE, TestNet, eventually, hashOf, patternHash, serveEcho, u32 } from './net.ts';
import type { TestNode } from './net.ts';
import { WINDOW, believing, earned, linkBetween, paid, silence } from './billing.ts';

const NOTHING = Buffer.alloc(0);

let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

describe('an accomplice behind a relay', () => {
  it('at a high price: the relay pays on at most what it earned plus the window of the stranger that asked for it', async () => {
    const accomplice = await net.node({ relayPrice: undefined, services: { echo: 3n * PRICE } });
    accomplice.endpoint.register('echo', { price: PRICE }, (stream) => stream.pipe(stream));
    const { relays } = await net.path(1);
    const [relay] = relays as [TestNode];
    for (let round = 0; round < 4; round += 1) {
      const stranger = await net.node({ relayPrice: undefined });
      const circuits = await Promise.all(
        Array.from({ length: 8 }, () =>
          stranger.endpoint.createCircuit([relay.offer, accomplice.offer], { service: 'echo' }),
        ),
      );
      const before = { pays: paid(relay), earns: earned(relay) };
      const link = linkBetween(accomplice, relay);
      const toRelay = linkBetween(stranger, relay);
      // The stranger asks for much, takes nothing, signs nothing more, and is gone.
      silence(toRelay, FrameType.RELAY);
      const streams = circuits.map((circuit) => circuit.openStream('echo', NOTHING).catch(() => undefined));
      await toRelay.close();
      await Promise.all(streams);
      const ids = circuits.map((_circuit, index) => 2 * (8 * round + index) + 1);
      for (const id of ids) for (let i = 0; i < 14; i += 1) link.send(FrameType.RELAY, id, Buffer.alloc(1040));
      await eventually(() => relay.endpoint.stats().joined).toBe(0);
      relay.metering.flush();
      expect(paid(relay) - before.pays).toBeLessThanOrEqual(earned(relay) - before.earns + WINDOW);
      await stranger.close();
      if (!link.isOpen) break;
    }
  });

  it('too expensive for the window: the circuit is refused, and nobody else is harmed', async () => {
    const { client, relays, host, offers } = await net.path(1);
    const [relay] = relays as [TestNode];
    const good = await client.endpoint.createCircuit(offers, { service: 'source' });
    const other = await net.node({ relayPrice: undefined });
    await expect(
      other.endpoint.createCircuit([relay.offer, believing(host.offer, 100n * PRICE)], { service: 'source' }),
    ).rejects.toMatchObject({ code: 'WINDOW_EXHAUSTED' });
    const stream = await good.openStream('source', u32(3_000_000));
    expect(await hashOf(stream)).toBe(patternHash(3_000_000));
  });
});

describe('a stranger that makes a relay open channels to accomplices', () => {
  /** A fee more than what the stranger burned, as on chain: two are within three times that, and three are not. */
  const openingCost = WINDOW + PRICE / 2n;
  const costly = { openingCost };

  async function puppets(count: number): Promise<TestNode[]> {
    return Promise.all(
      Array.from({ length: count }, async () => {
        const puppet = await net.node({ relayPrice: undefined, services: { source: PRICE } });
        serveEcho(puppet);
        return puppet;
      }),
    );
  }

  /** Extends to each of them, one after another or all at once. @returns the word of each refusal, 'built' for none. */
  async function extendTo(stranger: TestNode, relay: TestNode, targets: readonly TestNode[]): Promise<string[]> {
    const results = await Promise.allSettled(
      targets.map(async ({ offer }) => {
        await stranger.endpoint.createCircuit([relay.offer, offer], { service: 'source' });
      }),
    );
    return results.map((result) =>
      result.status === 'fulfilled'
        ? 'built'
        : `${String(Reflect.get(result.reason as object, 'code'))} ${String((result.reason as RelaymintError).details['reason'])}`,
    );
  }

  const opened = (relay: TestNode): number =>
    [...net.ledger.channels.values()].filter(({ payer }) => payer === relay.wallet).length;

  it('costs it no more than three times what the stranger burned, and the refused circuit ends alone', async () => {
    const relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    const stranger = await net.node({ relayPrice: undefined });
    expect(await extendTo(stranger, relay, [one])).toEqual(['built']);
    const good = await stranger.endpoint.createCircuit([relay.offer, one.offer], { service: 'source' });
    expect(await extendTo(stranger, relay, [two])).toEqual(['built']);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    expect(opened(relay)).toBe(2);
    const stream = await good.openStream('source', u32(300_000));
    expect(await hashOf(stream)).toBe(patternHash(300_000));
    // Whoever did not use up its own has it opened; then it is there for all.
    const other = await net.node({ relayPrice: undefined });
    expect(await extendTo(other, relay, [three])).toEqual(['built']);
    expect(await extendTo(stranger, relay, [three])).toEqual(['built']);
    expect(opened(relay)).toBe(3);
  });

  it('all at the same time costs it no more', async () => {
    const relay = await net.node(costly);
    const stranger = await net.node({ relayPrice: undefined });
    const answers = await extendTo(stranger, relay, await puppets(6));
    expect(answers.toSorted()).toEqual([...Array.from({ length: 4 }, () => 'CIRCUIT_REFUSED SETUP'), 'built', 'built']);
    expect(opened(relay)).toBe(2);
  });

  it('costs a relay no more after a restart, nor after a new channel of the same wallet', async () => {
    let relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    let stranger = await net.node({ relayPrice: undefined });
    expect(await extendTo(stranger, relay, [one, two])).toEqual(['built', 'built']);
    relay = await net.restart(relay);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    const channel = net.ledger.find(stranger.wallet, relay.wallet);
    if (channel === undefined) throw new Error('no channel');
    net.ledger.channels.delete(`${channel.till}/${channel.slot}`);
    relay.book.forget(channel);
    stranger = await net.restart(stranger);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    expect(net.ledger.find(stranger.wallet, relay.wallet)?.id).not.toBe(channel.id);
    expect(opened(relay)).toBe(2);
  });

  it('costs nobody else that waits for the same channel: a payer with enough left has it opened', async () => {
    const relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    const poor = await net.node({ relayPrice: undefined });
    const rich = await net.node({ relayPrice: undefined });
    expect(await extendTo(poor, relay, [one, two])).toEqual(['built', 'built']);
    expect(await extendTo(rich, relay, [one])).toEqual(['built']);
    const answers = await Promise.all(
      [poor, rich, poor, rich, poor].map((stranger) => extendTo(stranger, relay, [three])),
    );
    expect([answers[1], answers[3]]).toEqual([['built'], ['built']]);
    expect(opened(relay)).toBe(3);
    expect(relay.book.advancedTo(rich.wallet)).toBe(openingCost);
    expect(relay.book.advancedTo(poor.wallet)).toBe(2n * openingCost);
  });

  it('may have another opened once the relay kept as much of its circuits, beyond what it may leave unpaid', async () => {
    const relay = await net.node(costly);
    const [one, two, three] = (await puppets(3)) as [TestNode, TestNode, TestNode];
    const stranger = await net.node({ relayPrice: undefined });
    expect(await extendTo(stranger, relay, [one, two])).toEqual(['built', 'built']);
    const advanced = (): bigint | undefined => relay.book.advancedTo(stranger.wallet);
    const circuit = await stranger.endpoint.createCircuit([relay.offer, one.offer], { service: 'source' });
    const fetch = async (mebibytes: number): Promise<void> => {
      const stream = await circuit.openStream('source', u32(mebibytes * MIB));
      expect(await hashOf(stream)).toBe(patternHash(mebibytes * MIB));
    };
    // It keeps PRICE for each MiB. As much as the stranger burned counts for nothing.
    await fetch(3);
    expect(advanced()).toBe(2n * openingCost);
    expect(await extendTo(stranger, relay, [three])).toEqual(['CIRCUIT_REFUSED SETUP']);
    await fetch(5);
    circuit.destroy();
    await eventually(() => relay.endpoint.stats().relayed).toBe(2);
    expect(advanced()).toBeLessThanOrEqual(2n * openingCost - 4n * PRICE);
    expect(advanced()).toBeGreaterThan(2n * openingCost - 5n * PRICE);
    expect(await extendTo(stranger, relay, [three])).toEqual(['built']);
  });
});

/** The window of a link in use: wider once much was paid, and no wider for what somebody says. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FrameType } from '../../../node/link/index.ts';
import { PRICE, TestNet, watching, eventually, hashOf, patternHash, serveEcho, u32 } from './net.ts';
import { WINDOW, believing, earned, linkBetween, paid, whole } from './billing.ts';

const NOTHING = Buffer.alloc(0);

/** In base units; what was not signed for is less than one of them, and may be nothing: how many cells came depends on timing. */
const ceiling = (numerator = 0n): bigint => -whole(-numerator);

let net: TestNet;
beforeEach(() => {
  net = new TestNet({ metered: true });
});
afterEach(() => net.close());

describe('a window', () => {
  it('is widened on a link in use, once much was paid: both ends use it', async () => {
    const [payers, payees] = [watching(), watching()];
    const client = await net.node({ relayPrice: undefined, widens: true, ...payers });
    const host = await net.node({ relayPrice: undefined, services: { source: PRICE }, ...payees });
    serveEcho(host);
    const dear = believing(host.offer, 16n * PRICE);
    const circuit = await client.endpoint.createCircuit([dear], { service: 'source' });
    const stream = await circuit.openStream('source', u32(20 << 20));
    expect(await hashOf(stream)).toBe(patternHash(20 << 20));
    circuit.destroy();
    // It paid 320,000: more than 32 times what it burned first, and more than that twice.
    expect(net.ledger.find(client.wallet, host.wallet)?.opening).toBe(4n * WINDOW);
    await eventually(() => ceiling(payers.meters[0]?.mayOwe)).toBe(4n * WINDOW);
    await eventually(() => ceiling(payees.meters[0]?.sponsor.room)).toBe(3n * WINDOW);
    expect(earned(host)).toBe(paid(client));
  });

  it('is no wider for a payer that falsely says it burned more; the payee looks once a second, however often it says so', async () => {
    const payees = watching();
    const { client, host, offers } = await net.path(0, payees);
    const circuit = await client.endpoint.createCircuit(offers, { service: 'echo' });
    const before = { room: payees.meters[0]?.sponsor.room, reads: net.ledger.reads };
    const link = linkBetween(client, host);
    for (let said = 0; said < 500; said += 1) link.send(FrameType.WIDEN, 0, NOTHING);
    await circuit.rttMillis();
    expect(net.ledger.reads).toBe(before.reads + 1);
    expect(whole(payees.meters[0]?.sponsor.room)).toBeLessThanOrEqual(whole(before.room));
  });

  it('is never wider than what the payer burned, whatever the payee says', async () => {
    const payers = watching();
    const client = await net.node({ relayPrice: undefined, ...payers });
    const host = await net.node({ relayPrice: undefined, services: { echo: PRICE } });
    serveEcho(host);
    const circuit = await client.endpoint.createCircuit([host.offer], { service: 'echo' });
    const wide = Buffer.alloc(8);
    wide.writeBigUInt64LE(1_000_000n * WINDOW);
    linkBetween(host, client).send(FrameType.WIDEN, 0, wide);
    await circuit.rttMillis();
    expect(whole(payers.meters[0]?.mayOwe)).toBeLessThanOrEqual(WINDOW);
  });
});

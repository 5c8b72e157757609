/** What a circuit must do at a hop, whatever that hop leads it to: a next hop, its own services, or another circuit that ends there. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SMALLEST_FRAME_BYTES, STREAM_WINDOW_INITIAL } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { NUMERATOR_BITS, type AccountCounts } from '../../ledger/accounting/index.ts';
import type { Circuit, CircuitEndpoint, CircuitStream, ServiceHandler } from '../../node/circuit/index.ts';
import { FRAME_HEADER_BYTES, FrameType, type Link } from '../../node/link/index.ts';
import type { LinkMeter } from '../../node/meter/index.ts';
import { hashOf, patternHash, sendPattern } from '../pattern.ts';
import { closed } from './traits.ts';

export interface FarSideUnderTest {
  /** At its initiator, whose first hop is the node under test. */
  readonly circuit: Circuit;
  /** What its frames cost there. */
  readonly price: PricePerMiB;
  /** The initiator's end of the link between the two, on which this circuit was the first, and the meters of both ends. */
  readonly link: Link;
  readonly meters: { readonly payer: LinkMeter; readonly payee: LinkMeter };
  /** The node under test. */
  readonly hop: CircuitEndpoint;
  /** Serves at the end to which the hop leads it. */
  readonly serve: (service: string, handler: ServiceHandler) => void;
  /** Ends it from beyond the hop. */
  readonly end: () => unknown;
}

export interface FarSideSetup {
  readonly setup: () => Promise<FarSideUnderTest>;
  readonly teardown: () => Promise<void>;
  /** Circuits of others that the hop takes part in, and how many of them it carries on. */
  readonly joined: number;
  readonly relayed: number;
}

const NOTHING = new Uint8Array(0);
const MIB = 1024 * 1024;
/** One base unit, as bytes x price. */
const UNIT: bigint = 1n << NUMERATOR_BITS;

export function farSideCompliance(name: string, { setup, teardown, joined, relayed }: FarSideSetup): void {
  describe(`a circuit that a hop leads to ${name}`, () => {
    let tested: FarSideUnderTest;
    beforeEach(async () => {
      tested = await setup();
      tested.serve('echo', (stream) => stream.pipe(stream));
    });
    afterEach(teardown);

    const open = (service: string): Promise<CircuitStream> => tested.circuit.openStream(service, NOTHING);
    /** Opens one stream to a service that does nothing with it; both ends of it. */
    const held = async (): Promise<readonly [Duplex, Duplex]> => {
      const taken = new Promise<CircuitStream>((resolve) => tested.serve('hold', resolve));
      return [await open('hold'), await taken];
    };
    const nothingLeft = async (): Promise<void> => {
      const nothing = { joined: 0, relayed: 0, streams: 0, queuedBytes: 0 };
      await eventually(() => tested.hop.stats()).toMatchObject(nothing);
    };
    /** Of both ends of the link, once they agree and nothing is due. */
    const paid = async (): Promise<AccountCounts> => {
      const { payer, payee } = tested.meters;
      await eventually(() => {
        const [spent, earned] = [payer.counts().spending, payee.counts().earning];
        return [spent?.up === earned?.up, spent?.down === earned?.down, spent?.due === earned?.signed];
      }).toEqual([true, true, true]);
      return payer.counts().spending as AccountCounts;
    };

    it('carries bytes both ways, unchanged, on many streams at once', async () => {
      const hashes = Array.from({ length: 4 }, async (_none, index) => {
        const stream = await open('echo');
        const hash = hashOf(stream);
        await sendPattern(stream, MIB + index);
        return hash;
      });
      expect(await Promise.all(hashes)).toEqual([0, 1, 2, 3].map((index) => patternHash(MIB + index)));
      expect(tested.circuit.isOpen).toBe(true);
    });

    it('is counted for what it is', async () => {
      await held();
      const { streams, ...counts } = tested.hop.stats();
      expect(counts).toMatchObject({ joined, relayed });
      expect(streams).toBe(relayed === 0 ? 1 : 0);
    });

    it('is measured to its end and back', async () => {
      expect(await tested.circuit.rttMillis()).toBeGreaterThan(0);
    });

    it.each([
      ['the far end', 0],
      ['the initiator', 1],
    ] as const)('holds back a writer while %s reads nothing, and carries all of it then', async (_reader, reading) => {
      const [near, far] = await held();
      const [writer, reader] = reading === 0 ? [near, far] : [far, near];
      const before = tested.circuit.bytes;
      const sent = sendPattern(writer, 8 * STREAM_WINDOW_INITIAL);
      // Whatever may move has had its turn: these went all the way, behind it.
      for (let turn = 0; turn < 20; turn += 1) await tested.circuit.rttMillis();
      expect(tested.circuit.bytes - before).toBeLessThan(3 * STREAM_WINDOW_INITIAL);
      expect(tested.hop.stats().queuedBytes).toBeLessThan(STREAM_WINDOW_INITIAL);
      const hash = hashOf(reader);
      await sent;
      expect(await hash).toBe(patternHash(8 * STREAM_WINDOW_INITIAL));
    });

    it('is paid for by its initiator to the byte, both ways', async () => {
      const before = await paid();
      const stream = await open('echo');
      const hash = hashOf(stream);
      await sendPattern(stream, 2 * MIB);
      await hash;
      const after = await paid();
      const passed = after.up - before.up + (after.down - before.down);
      expect(passed).toBeGreaterThan(4n * BigInt(MIB));
      const cost = (passed * tested.price) >> NUMERATOR_BITS;
      expect(after.signed - before.signed - cost).toBeGreaterThanOrEqual(0n);
      expect(after.signed - before.signed - cost).toBeLessThanOrEqual(1n);
    });

    it('ends with its initiator: the far end is told, nothing is left at the hop, and all is paid', async () => {
      const [, far] = await held();
      const failed = once(far, 'error');
      tested.circuit.destroy();
      expect((await failed)[0]).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
      await nothingLeft();
      await paid();
    });

    it('ends in the middle of a transfer both ways, and nothing is left at the hop, nor promised for its payer', async () => {
      const { sponsor } = tested.meters.payee;
      const before = sponsor.room;
      const stream = await open('echo');
      stream.on('error', () => {});
      stream.write(Buffer.alloc(4 * MIB));
      await once(stream, 'data');
      tested.circuit.destroy();
      await nothingLeft();
      await paid();
      // Less than a base unit stays due.
      await eventually(() => sponsor.room + UNIT > before).toBe(true);
      expect(tested.circuit.isOpen).toBe(false);
    });

    it('ends from beyond: the initiator is told, and nothing is left at the hop', async () => {
      const [near] = await held();
      const failed = once(near, 'error');
      await tested.end();
      expect((await failed)[0]).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
      expect(await tested.circuit.closed).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
      await nothingLeft();
    });

    it('ends when the hop does, for both', async () => {
      const [near, far] = await held();
      const failed = Promise.all([once(near, 'error'), once(far, 'error')]);
      await tested.hop.close();
      for (const [error] of await failed) expect(error).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
    });

    it('ends by a frame that was changed on its way, for both', async () => {
      const [near, far] = await held();
      const failed = Promise.all([once(near, 'error'), once(far, 'error')]);
      const { link, meters, price } = tested;
      const frame = link.allocFrame(SMALLEST_FRAME_BYTES - FRAME_HEADER_BYTES).fill(7, FRAME_HEADER_BYTES);
      meters.payer.sendUp(frame.length, price);
      link.sendFrame(frame, FrameType.RELAY, 1);
      for (const [error] of await failed) expect(error).toMatchObject({ code: 'CIRCUIT_TAMPERED' });
      expect(await tested.circuit.closed).toMatchObject({ details: { reason: 'TAMPERED' } });
      await nothingLeft();
      expect(link.isOpen).toBe(true);
    });

    closed(
      () => tested,
      async ({ circuit, end }) => {
        await end();
        await circuit.closed;
      },
      { openStream: ({ circuit }) => circuit.openStream('echo', NOTHING) },
      'CIRCUIT_DESTROYED',
    );
  });
}

/** Patient, for a loaded machine. */
function eventually<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 30_000, interval: 10 });
}

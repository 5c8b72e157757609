/** What either end of a circuit must do. Run it against each: `circuitEndCompliance('the initiator', { setup, teardown })`. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_STREAMS_PER_CIRCUIT, MAX_STREAM_PARAMS } from '../../core/limits.ts';
import type { PricePerMiB } from '../../core/units.ts';
import type { CircuitEnd, CircuitStream, ServiceHandler } from '../../node/circuit/index.ts';
import { abortedBefore, abortedInside, closed, limits } from './traits.ts';

export interface CircuitEndUnderTest {
  readonly end: CircuitEnd;
  /** What the payer of the circuit pays its last hop. */
  readonly price: PricePerMiB;
  /** Serves at the other end. */
  serve(service: string, handler: ServiceHandler): void;
  /** Ends the circuit, and resolves once this end knows. */
  destroy(): Promise<void>;
}

export interface CircuitEndSetup {
  readonly setup: () => Promise<CircuitEndUnderTest>;
  readonly teardown: () => Promise<void>;
}

const NOTHING = new Uint8Array(0);

export function circuitEndCompliance(name: string, { setup, teardown }: CircuitEndSetup): void {
  describe(`an end of a circuit: ${name}`, () => {
    let tested: CircuitEndUnderTest;
    beforeEach(async () => {
      tested = await setup();
      tested.serve('echo', (stream) => stream.pipe(stream));
    });
    afterEach(teardown);

    it('opens streams, many at once, and each carries bytes both ways and half-closes', async () => {
      const streams = await Promise.all(Array.from({ length: 20 }, () => tested.end.openStream('echo', NOTHING)));
      for (const [index, stream] of streams.entries()) stream.end(`this is ${index}`);
      expect(await Promise.all(streams.map((stream) => text(stream)))).toEqual(
        streams.map((_stream, index) => `this is ${index}`),
      );
      expect(streams.map(({ circuitPrice }) => circuitPrice)).toEqual(streams.map(() => tested.price));
    });

    it('hands over its parameters, and always the same circuit', async () => {
      const taken: { params: string; circuit: CircuitEnd }[] = [];
      tested.serve('note', (stream, params, circuit) => {
        taken.push({ params: params.toString(), circuit });
        stream.end();
      });
      for (const what of ['one', 'two']) await text(await tested.end.openStream('note', Buffer.from(what)));
      expect(taken.map(({ params }) => params)).toEqual(['one', 'two']);
      expect(taken[0]?.circuit).toBe(taken[1]?.circuit);
    });

    it('is refused a service that the other end does not serve, and stays open', async () => {
      await expect(tested.end.openStream('nothing', NOTHING)).rejects.toMatchObject({ code: 'STREAM_REFUSED' });
      expect([tested.end.isOpen, tested.end.acceptsStreams]).toEqual([true, true]);
    });

    it('reports a reset by the other end, and stays open', async () => {
      tested.serve('reset', (stream) => stream.destroy());
      const stream = await tested.end.openStream('reset', NOTHING);
      if (!stream.closed) await once(stream, 'close').catch(() => {});
      expect(stream.errored).toMatchObject({ code: 'STREAM_RESET' });
      expect(tested.end.isOpen).toBe(true);
    });

    it('tells its own reset to the other end', async () => {
      const served = new Promise<CircuitStream>((resolve) => tested.serve('hold', resolve));
      const stream = await tested.end.openStream('hold', NOTHING);
      const far = await served;
      const failed = once(far, 'error');
      stream.destroy();
      expect((await failed)[0]).toMatchObject({ code: 'STREAM_RESET' });
    });

    it('fails the streams of both ends that are open when the circuit ends', async () => {
      const served = new Promise<CircuitStream>((resolve) => tested.serve('hold', resolve));
      const stream = await tested.end.openStream('hold', NOTHING);
      const failed = Promise.all([once(stream, 'error'), once(await served, 'error')]);
      await tested.destroy();
      for (const [error] of await failed) expect(error).toMatchObject({ code: 'CIRCUIT_DESTROYED' });
      expect([tested.end.isOpen, tested.end.acceptsStreams]).toEqual([false, false]);
    });

    it('has room for another stream once an aborted one is over', async () => {
      for (let round = 0; round < 3; round += 1) {
        const giving = new AbortController();
        const opening = tested.end.openStream('echo', NOTHING, { signal: giving.signal });
        giving.abort();
        await expect(opening).rejects.toMatchObject({ code: 'ABORTED' });
      }
      const stream = await tested.end.openStream('echo', NOTHING);
      stream.end('still here');
      expect(await text(stream)).toBe('still here');
    });

    const openStream = ({ end }: CircuitEndUnderTest, signal: AbortSignal): Promise<CircuitStream> =>
      end.openStream('echo', NOTHING, { signal });
    abortedBefore(() => tested, { openStream });
    abortedInside(() => tested, { openStream: (it, signal) => ({ work: openStream(it, signal) }) });
    closed(
      () => tested,
      (it) => it.destroy(),
      { openStream: ({ end }) => end.openStream('echo', NOTHING) },
      'CIRCUIT_DESTROYED',
    );
    limits(
      () => tested,
      [
        ['a service without a name', 'INVALID_ARGUMENT', ({ end }) => end.openStream('', NOTHING)],
        ['a name that is none', 'INVALID_ARGUMENT', ({ end }) => end.openStream('No Service', NOTHING)],
        ['a name of 33 characters', 'INVALID_ARGUMENT', ({ end }) => end.openStream('x'.repeat(33), NOTHING)],
        [
          'parameters that are too long',
          'INVALID_ARGUMENT',
          ({ end }) => end.openStream('echo', new Uint8Array(MAX_STREAM_PARAMS + 1)),
        ],
        [
          'one stream more than a circuit takes',
          'LIMIT_EXCEEDED',
          async ({ end }) => {
            tested.serve('hold', () => {});
            await Promise.all(Array.from({ length: MAX_STREAMS_PER_CIRCUIT }, () => end.openStream('hold', NOTHING)));
            return end.openStream('hold', NOTHING);
          },
        ],
      ],
    );
  });
}

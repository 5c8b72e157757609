/**
 * What the owner of a circuit's end on a link must make of what its peer says there, and of what still comes once the circuit is over.
 * Run it against each: `legOwnerCompliance('the initiator', { setup, teardown })`.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SMALLEST_FRAME_BYTES } from '../../core/limits.ts';
import { MIB } from '../../core/units.ts';
import type { Circuit, CircuitEndpoint } from '../../node/circuit/index.ts';
import { DestroyReason, encodeEnding, ending } from '../../node/circuit/reason.ts';
import { FRAME_HEADER_BYTES, FrameType, type Link } from '../../node/link/index.ts';
import { closed, limits } from './traits.ts';

export interface LegOwnerUnderTest {
  /** The circuit that has the leg, at its initiator, and both ends of a stream on it. */
  readonly circuit: Circuit;
  readonly streams: readonly [Duplex, Duplex];
  /** Each end of the leg's link, and the circuit's id on it. */
  readonly link: { readonly owner: Link; readonly peer: Link };
  readonly id: number;
  /** Ends the circuit on the peer's side of the leg, or on the owner's. */
  readonly endAtPeer: () => unknown;
  readonly endAtOwner: () => unknown;
  /** Whoever takes part in it. */
  readonly endpoints: readonly CircuitEndpoint[];
}

export interface LegOwnerSetup {
  readonly setup: () => Promise<LegOwnerUnderTest>;
  readonly teardown: () => Promise<void>;
  /** Did it create the circuit on this link? Then the peer may give NOTICE. */
  readonly pays: boolean;
}

export function legOwnerCompliance(name: string, { setup, teardown, pays }: LegOwnerSetup): void {
  describe(`the owner of a leg: ${name}`, () => {
    let tested: LegOwnerUnderTest;
    beforeEach(async () => {
      tested = await setup();
    });
    afterEach(teardown);

    /** A RELAY frame that nobody sealed. */
    const sendNoise = (): void => {
      const { peer } = tested.link;
      const frame = peer.allocFrame(SMALLEST_FRAME_BYTES - FRAME_HEADER_BYTES).fill(7, FRAME_HEADER_BYTES);
      peer.sendFrame(frame, FrameType.RELAY, tested.id);
    };
    /** How both ends of the stream and the initiator are told. */
    const told = async (act: () => unknown): Promise<{ readonly codes: string[]; readonly reason: unknown }> => {
      const failed = Promise.all(tested.streams.map((stream) => once(stream, 'error')));
      await act();
      const errors = (await failed).flat() as { readonly code: string }[];
      const over = await tested.circuit.closed;
      return { codes: errors.map(({ code }) => code), reason: over?.details['reason'] };
    };
    const nothingLeft = async (): Promise<void> => {
      const nothing = { initiated: 0, joined: 0, relayed: 0, streams: 0, queuedBytes: 0 };
      for (const endpoint of tested.endpoints) await eventually(() => endpoint.stats()).toMatchObject(nothing);
    };
    /** Keeps back the peer's DESTROY. Resolves once it would have been sent; what it resolves with sends it. */
    const withheld = (): Promise<() => void> => {
      const { peer } = tested.link;
      const send = peer.sendFrame.bind(peer);
      return new Promise((resolve) => {
        peer.sendFrame = (frame, type, id) => {
          if (type === FrameType.DESTROY && id === tested.id) resolve(() => send(frame, type, id));
          else send(frame, type, id);
        };
      });
    };

    it('ends by a frame that was changed on its way: all are told, and the link stays', async () => {
      const { codes, reason } = await told(sendNoise);
      expect(codes).toEqual(['CIRCUIT_TAMPERED', 'CIRCUIT_TAMPERED']);
      expect(reason).toBe('TAMPERED');
      await nothingLeft();
      expect([tested.link.owner.isOpen, tested.link.peer.isOpen]).toEqual([true, true]);
    });

    it('ends when its peer ends it: all are told', async () => {
      const { codes } = await told(tested.endAtPeer);
      expect(codes).toEqual(['CIRCUIT_DESTROYED', 'CIRCUIT_DESTROYED']);
      await nothingLeft();
    });

    it('ends with its link: all are told', async () => {
      const { codes, reason } = await told(() => tested.link.peer.close());
      expect(codes).toEqual(['CIRCUIT_DESTROYED', 'CIRCUIT_DESTROYED']);
      expect(reason).toBe('LINK_LOST');
      await nothingLeft();
    });

    it('takes what its peer still sends once it is over, until the peer has said DESTROY too', async () => {
      const { link } = tested;
      const destroy = withheld();
      await told(tested.endAtOwner);
      const sendDestroy = await destroy;
      for (let frames = 0; frames < 3; frames += 1) sendNoise();
      await link.peer.ping();
      expect([link.owner.isOpen, link.peer.isOpen]).toEqual([true, true]);
      sendDestroy();
      await link.peer.ping();
      await nothingLeft();
      expect([link.owner.isOpen, link.peer.isOpen]).toEqual([true, true]);
    });

    it('takes nothing after the peer has said DESTROY', async () => {
      const { link } = tested;
      const destroy = withheld();
      await told(tested.endAtOwner);
      (await destroy)();
      sendNoise();
      expect(await link.owner.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    });

    if (pays) {
      it('ends by a NOTICE, for the reason that it gives', async () => {
        const { link, id } = tested;
        const why = encodeEnding(ending(DestroyReason.RESOURCE, 'too many'));
        const { codes, reason } = await told(() => link.peer.send(FrameType.NOTICE, id, why));
        expect(codes).toEqual(['CIRCUIT_DESTROYED', 'CIRCUIT_DESTROYED']);
        expect(reason).toBe('RESOURCE');
        await nothingLeft();
        expect([link.owner.isOpen, link.peer.isOpen]).toEqual([true, true]);
      });

      it('ends by a NOTICE that says nothing, as by any fault inside the circuit: the link stays', async () => {
        const { link, id } = tested;
        const { reason } = await told(() => link.peer.send(FrameType.NOTICE, id, new Uint8Array(0)));
        expect(reason).toBe('PROTOCOL');
        await nothingLeft();
        expect([link.owner.isOpen, link.peer.isOpen]).toEqual([true, true]);
      });
    } else {
      it('takes no NOTICE of whoever pays for it: the link ends', async () => {
        const { link, id } = tested;
        const why = encodeEnding(ending(DestroyReason.RESOURCE, 'too many'));
        const { reason } = await told(() => link.peer.send(FrameType.NOTICE, id, why));
        expect(reason).toBe('LINK_LOST');
        expect(await link.owner.closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' });
      });
    }

    closed(
      () => tested,
      async ({ circuit, endAtOwner }) => {
        await endAtOwner();
        await circuit.closed;
      },
      { openStream: ({ circuit }) => circuit.openStream('hold', new Uint8Array(0)) },
      'CIRCUIT_DESTROYED',
    );
    limits(
      () => tested,
      [
        [
          'more than it granted, though the circuit is over',
          'GRANT_EXCEEDED',
          async ({ link, endAtOwner }) => {
            const destroy = withheld();
            await told(endAtOwner);
            await destroy;
            // Far more than anybody grants one circuit, should nobody say stop.
            for (let sent = 0; sent < 64 * MIB && link.peer.isOpen; sent += SMALLEST_FRAME_BYTES) {
              sendNoise();
              if (!link.peer.writable) await Promise.race([link.peer.ping(), link.peer.closed]).catch(() => {});
            }
            throw (await link.owner.closed) ?? new Error('the link was closed in order');
          },
        ],
      ],
    );
  });
}

/** Patient, for a loaded machine. */
function eventually<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 30_000, interval: 10 });
}

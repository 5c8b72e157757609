/** A payee that speaks the protocol by hand: it answers as told, and sends what it likes. */
import type { ChannelState } from '../../ledger/contract.ts';
import { amount } from '../../core/units.ts';
import type { Terms } from '../../ledger/accounting/index.ts';
import { decodeSignedReceipt } from '../../ledger/receipt/index.ts';
import type { SignedReceipt } from '../../ledger/receipt/index.ts';
import { CELL_HEADER_BYTES, CellType, cellData, cellStream, cellType, frameCell } from '../../node/circuit/cell.ts';
import { answerInitiation } from '../../node/circuit/handshake.ts';
import { OpeningLayer, SealingLayer } from '../../node/circuit/layer.ts';
import { decodeCreate, encodeCreated, encodeGrants } from '../../node/circuit/messages.ts';
import type { Create } from '../../node/circuit/messages.ts';
import { DestroyReason, encodeEnding, ending } from '../../node/circuit/reason.ts';
import { FrameType } from '../../node/link/index.ts';
import { decodeClaim, encodeAccepted } from '../../node/meter/messages.ts';
import { MAX_CELL_BYTES, STACK_BYTES } from '../../core/limits.ts';
import type { BareNode } from './node.ts';
import type { Seed } from './seed.ts';
import type { LinkTap, TappedCircuit } from './tap.ts';

/** What it does where the protocol asks something of it. Absent: as an honest payee would. */
export interface Manners {
  /** Changes the terms that it states. */
  readonly terms?: (honest: Terms, channel: ChannelState) => Terms;
  /** Answers a CREATE. */
  readonly onCreate?: (leg: PayeeLeg) => void;
  /** A cell of the innermost layer came. */
  readonly onCell?: (leg: PayeeLeg, cell: Buffer) => void;
  /** The payer said DESTROY. Default: it answers with its own. */
  readonly onDestroy?: (leg: PayeeLeg) => void;
}

export class Payee {
  readonly node: BareNode;
  readonly legs: PayeeLeg[] = [];
  /** The newest receipt of each channel. */
  readonly receipts: Map<string, SignedReceipt> = new Map();
  manners: Manners;
  readonly #seed: Seed;
  readonly #reader: { channel(till: ChannelState['till'], slot: number): Promise<ChannelState | undefined> };

  constructor(
    node: BareNode,
    reader: { channel(till: ChannelState['till'], slot: number): Promise<ChannelState | undefined> },
    seed: Seed,
    manners: Manners = {},
  ) {
    this.node = node;
    this.manners = manners;
    this.#reader = reader;
    this.#seed = seed;
    node.onTap = (tap) => this.#serve(tap);
  }

  /** Credits that it holds receipts for. */
  get holds(): bigint {
    return [...this.receipts.values()].reduce((sum, receipt) => sum + receipt.amount, 0n);
  }

  /** What was really carried on circuits that it was paid for, at their prices. */
  get carried(): bigint {
    return this.node.taps.reduce((sum, tap) => sum + tap.due(false), 0n);
  }

  #serve(tap: LinkTap): void {
    const { link } = tap;
    link.handle(FrameType.CHANNEL, (_id, payload) => void this.#accept(tap, payload));
    link.handle(FrameType.RECEIPT, (_id, payload) => {
      const receipt = decodeSignedReceipt(Uint8Array.from(payload));
      this.receipts.set(receipt.channel, receipt);
    });
    for (const type of [FrameType.ACCOUNT, FrameType.NET, FrameType.GRANT, FrameType.RETURN] as const) {
      link.handle(type, () => {});
    }
    const legs = new Map<number, PayeeLeg>();
    link.handle(FrameType.CREATE, (id, payload) => {
      const leg = new PayeeLeg(this.node, tap, id, decodeCreate(payload), this.#seed);
      legs.set(id, leg);
      this.legs.push(leg);
      // After the tap has counted it.
      queueMicrotask(() => (this.manners.onCreate ?? honestly)(leg));
    });
    link.handle(FrameType.RELAY, (id, payload) => {
      const cell = legs.get(id)?.open(payload);
      const leg = legs.get(id);
      if (cell !== undefined && leg !== undefined) this.manners.onCell?.(leg, cell);
    });
    link.handle(FrameType.DESTROY, (id) => {
      const leg = legs.get(id);
      if (leg !== undefined) queueMicrotask(() => (this.manners.onDestroy ?? ((ended) => ended.destroy()))(leg));
    });
    link.handle(FrameType.CREATED, () => {});
    link.handle(FrameType.NOTICE, () => {});
  }

  async #accept(tap: LinkTap, payload: Buffer): Promise<void> {
    const { till, slot } = decodeClaim(payload);
    const channel = await this.#reader.channel(till, slot);
    if (channel === undefined) return;
    const held = this.receipts.get(channel.id);
    const honest: Terms = {
      window: channel.opening,
      paid: amount(held?.amount ?? 0n),
      up: held?.up ?? 0n,
      down: held?.down ?? 0n,
      due: amount(held?.amount ?? 0n),
      netted: amount(0n),
      nets: false,
      held: held?.bytes,
    };
    tap.write(FrameType.ACCOUNT, 0, encodeAccepted(this.manners.terms?.(honest, channel) ?? honest));
  }
}

function honestly(leg: PayeeLeg): void {
  leg.created();
}

/** One circuit whose last hop it is. */
export class PayeeLeg {
  readonly tap: LinkTap;
  readonly id: number;
  readonly create: Create;
  /** RELAY bytes of no use to anybody that it sent. */
  garbageSent = 0;
  readonly #node: BareNode;
  readonly #seed: Seed;
  #opening: OpeningLayer | undefined;
  #sealing: SealingLayer | undefined;

  constructor(node: BareNode, tap: LinkTap, id: number, create: Create, seed: Seed) {
    this.#node = node;
    this.tap = tap;
    this.id = id;
    this.create = create;
    this.#seed = seed;
  }

  get counts(): TappedCircuit {
    const counts = this.tap.circuits.get(this.id);
    if (counts === undefined) throw new TypeError(`circuit ${this.id} was not seen`);
    return counts;
  }

  created(): void {
    const answer = answerInitiation(this.create.ephemeral, this.#node.id, this.#node.onionKey);
    this.#opening = new OpeningLayer(answer.keys.forward);
    this.#sealing = new SealingLayer(answer.keys.backward);
    this.tap.write(FrameType.CREATED, this.id, encodeCreated(answer));
  }

  open(payload: Buffer): Buffer | undefined {
    return this.#opening?.open(payload);
  }

  /** A cell as an honest hop would send it. */
  send(type: CellType, stream: number, data: Uint8Array): void {
    const cell = Buffer.alloc(MAX_CELL_BYTES);
    cell.set(data, CELL_HEADER_BYTES);
    const size = frameCell(cell, type, stream, data.length);
    const payload = Buffer.alloc(STACK_BYTES + size);
    this.#sealing?.originate(cell.subarray(0, size), payload, 0);
    this.tap.write(FrameType.RELAY, this.id, payload);
  }

  /** RELAY frames of nothing, of this payload each, until so many bytes went or the link is gone. */
  garbage(bytes: number, payload: number = MAX_CELL_BYTES): void {
    for (let left = bytes; left >= payload + 8 && this.tap.link.isOpen; left -= payload + 8) {
      this.tap.write(FrameType.RELAY, this.id, this.#seed.garbage(payload));
      this.garbageSent += payload + 8;
    }
  }

  /** Garbage as long as the payer grants. Resolves when the link is gone, `enough` went, or nothing more is granted. */
  async floodWithinGrant(enough: number, payload: number = MAX_CELL_BYTES): Promise<void> {
    const frame = payload + 8;
    while (this.tap.link.isOpen && this.garbageSent + frame <= enough) {
      if (this.counts.credit < frame) await this.tap.quiet(() => this.counts.credit >= frame);
      if (this.counts.credit < frame) return;
      this.garbage(frame, payload);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  grant(bytes: number): void {
    encodeGrants(new Map([[this.id, bytes]]), (payload) => this.tap.write(FrameType.GRANT, 0, payload));
  }

  giveBack(bytes: number): void {
    encodeGrants(new Map([[this.id, bytes]]), (payload) => this.tap.write(FrameType.RETURN, 0, payload));
  }

  destroy(): void {
    this.tap.write(FrameType.DESTROY, this.id, encodeEnding(ending(DestroyReason.FINISHED, '')));
  }
}

export { CellType, cellData, cellStream, cellType };

/** A payer that speaks the protocol by hand: it opens circuits as told, and signs what it likes, or nothing. */
import { amount, pricePerMiB } from '../../core/units.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import type { Terms } from '../../ledger/accounting/index.ts';
import { signReceipt } from '../../ledger/receipt/index.ts';
import type { Receipt } from '../../ledger/receipt/index.ts';
import { CELL_HEADER_BYTES, CellType, cellData, cellType, encodeBegin, frameCell } from '../../node/circuit/cell.ts';
import { HopInitiation } from '../../node/circuit/handshake.ts';
import { OpeningLayers, SealingLayers } from '../../node/circuit/layer.ts';
import { decodeCreated, encodeCreate, encodeExtend, encodeGrants } from '../../node/circuit/messages.ts';
import { DestroyReason, encodeEnding, ending } from '../../node/circuit/reason.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../../node/link/index.ts';
import { decodeAccount, encodeClaim, proofMessage } from '../../node/meter/messages.ts';
import { MAX_CELL_BYTES, QUIET_GRANT, STACK_BYTES } from '../../core/limits.ts';
import type { SignedOffer } from '../../node/offer/index.ts';
import type { BareNode } from './node.ts';
import type { Seed } from './seed.ts';
import type { LinkTap, TappedCircuit } from './tap.ts';

export interface CircuitPlan {
  readonly price: bigint;
  readonly grant?: number;
  readonly hops?: number;
}

/** On one link, with one channel. */
export class Payer {
  readonly node: BareNode;
  readonly to: SignedOffer;
  readonly channel: ChannelState;
  readonly tap: LinkTap;
  readonly legs: Map<number, PayerLeg> = new Map();
  /** What the payee stated; undefined when it did not take the channel. */
  terms: Terms | undefined;
  /** Signs for all that is due whenever this much is; undefined: signs nothing unasked. */
  signsAt: bigint | undefined;
  readonly seed: Seed;

  constructor(node: BareNode, to: SignedOffer, channel: ChannelState, tap: LinkTap, seed: Seed) {
    this.node = node;
    this.to = to;
    this.channel = channel;
    this.tap = tap;
    this.seed = seed;
  }

  /** Connects and presents a channel. */
  static async present(node: BareNode, to: SignedOffer, channel: ChannelState, seed: Seed): Promise<Payer> {
    let opened: Payer | undefined;
    node.onTap = (tap) => {
      opened = new Payer(node, to, channel, tap, seed);
      opened.#listen();
    };
    await node.links.connect(to.nodeId, to.addresses);
    if (opened === undefined) throw new TypeError('the link was open already');
    const payer = opened;
    const { till, slot, generation } = channel;
    const proof = node.delegate.sign(proofMessage(channel.id, node.id, to.nodeId));
    payer.tap.write(FrameType.CHANNEL, 0, encodeClaim({ till, slot, generation, proof }));
    await payer.tap.until(() => payer.tap.count('in', FrameType.ACCOUNT) > 0);
    return payer;
  }

  /** What its circuits cost, base units: as the payee reckons it. */
  get due(): bigint {
    let numerator = 0n;
    for (const circuit of this.tap.circuits.values()) {
      if (circuit.ours) numerator += circuit.cost;
    }
    return (this.terms?.paid ?? 0n) + (numerator >> NUMERATOR_BITS);
  }

  /** What an honest payer would sign now. */
  get receipt(): Receipt {
    let up = this.terms?.up ?? 0n;
    let down = this.terms?.down ?? 0n;
    for (const circuit of this.tap.circuits.values()) {
      if (!circuit.ours) continue;
      up += BigInt(circuit.out);
      down += BigInt(circuit.in);
    }
    return { channel: this.channel.id, amount: amount(this.due), up, down };
  }

  sign(receipt: Receipt = this.receipt): void {
    this.tap.write(FrameType.RECEIPT, 0, signReceipt(receipt, this.node.delegate).bytes);
  }

  get #signed(): bigint {
    return [...this.tap.signed.values()].reduce(
      (most, signed) => (signed > most ? signed : most),
      this.terms?.paid ?? 0n,
    );
  }

  /** CREATE goes; `leg.answered` tells what came of it. */
  circuit(plan: CircuitPlan): PayerLeg {
    const leg = new PayerLeg(this, this.tap.link.nextCircuitId(), plan);
    this.legs.set(leg.id, leg);
    leg.start();
    return leg;
  }

  payWhenDue(): void {
    // One that pays nothing more than the last is no receipt: several circuits may answer in one turn.
    const owed = this.due - this.#signed;
    if (this.signsAt !== undefined && owed > 0n && owed >= this.signsAt) this.sign();
  }

  #listen(): void {
    const { link } = this.tap;
    link.handle(FrameType.ACCOUNT, (_id, payload) => {
      this.terms = decodeAccount(payload).terms;
    });
    for (const type of [
      FrameType.CHANNEL,
      FrameType.RECEIPT,
      FrameType.NET,
      FrameType.GRANT,
      FrameType.RETURN,
    ] as const) {
      link.handle(type, () => {});
    }
    link.handle(FrameType.CREATE, () => {});
    for (const type of [FrameType.CREATED, FrameType.RELAY, FrameType.DESTROY, FrameType.NOTICE] as const) {
      link.handle(type, (id, payload) => {
        this.legs.get(id)?.take(type, payload);
        queueMicrotask(() => this.payWhenDue());
      });
    }
  }
}

/** A circuit that it opened. */
export class PayerLeg {
  readonly payer: Payer;
  readonly id: number;
  readonly plan: CircuitPlan;
  /** CREATED, EXTENDED: how many hops answered. */
  hops = 0;
  /** The reason byte and text of the DESTROY or NOTICE that came; undefined: none. */
  ended: { readonly reason: number; readonly text: string } | undefined;
  /** Bytes of data that came in cells that opened. */
  dataIn = 0;
  /** Frames that did not open. */
  spoiled = 0;
  readonly #opening = new OpeningLayers();
  readonly #sealing = new SealingLayers();
  #initiation: HopInitiation;

  constructor(payer: Payer, id: number, plan: CircuitPlan) {
    this.payer = payer;
    this.id = id;
    this.plan = plan;
    this.#initiation = new HopInitiation(payer.to.nodeId, payer.to.onionKey);
  }

  get counts(): TappedCircuit {
    const counts = this.payer.tap.circuits.get(this.id);
    if (counts === undefined) throw new TypeError(`circuit ${this.id} was not seen`);
    return counts;
  }

  start(): void {
    const { price, grant = QUIET_GRANT, hops = 3 } = this.plan;
    const { ephemeral } = this.#initiation;
    const create = { price: pricePerMiB(price), grant, hops, ephemeral };
    this.payer.tap.write(FrameType.CREATE, this.id, encodeCreate(create));
  }

  /** True when so many hops have answered; false when the circuit or the link ended instead. */
  async reached(hops: number): Promise<boolean> {
    await this.payer.tap.until(() => this.hops >= hops || this.ended !== undefined);
    return this.hops >= hops && this.ended === undefined;
  }

  extend(offer: SignedOffer, price: bigint): void {
    this.#initiation = new HopInitiation(offer.nodeId, offer.onionKey);
    const { ephemeral } = this.#initiation;
    const extend = { price: pricePerMiB(price), ephemeral, offer: offer.encoded };
    this.send(CellType.EXTEND, 0, encodeExtend(extend));
  }

  begin(stream: number, service: string, params: Uint8Array): void {
    this.send(CellType.BEGIN, stream, encodeBegin(service, params));
  }

  send(type: CellType, stream: number, data: Uint8Array): void {
    const cell = Buffer.alloc(MAX_CELL_BYTES);
    cell.set(data, CELL_HEADER_BYTES);
    const size = frameCell(cell, type, stream, data.length);
    const payload = Buffer.alloc(STACK_BYTES + size);
    this.#sealing.seal(cell.subarray(0, size), payload, 0);
    this.payer.tap.write(FrameType.RELAY, this.id, payload);
  }

  /** A RELAY frame of nothing. */
  garbage(payload: number): void {
    this.payer.tap.write(FrameType.RELAY, this.id, this.payer.seed.garbage(payload));
  }

  grant(bytes: number): void {
    encodeGrants(new Map([[this.id, bytes]]), (payload) => this.payer.tap.write(FrameType.GRANT, 0, payload));
  }

  giveBack(bytes: number): void {
    encodeGrants(new Map([[this.id, bytes]]), (payload) => this.payer.tap.write(FrameType.RETURN, 0, payload));
  }

  destroy(): void {
    this.payer.tap.write(FrameType.DESTROY, this.id, encodeEnding(ending(DestroyReason.FINISHED, '')));
  }

  /** RELAY bytes that came, whether or not they opened. */
  get taken(): number {
    return this.counts.relayIn;
  }

  take(type: FrameType, payload: Buffer): void {
    if (type === FrameType.CREATED) {
      this.#answered(payload);
    } else if (type === FrameType.RELAY) {
      const cell = this.#opening.open(payload);
      if (cell === undefined) this.spoiled += FRAME_HEADER_BYTES + payload.length;
      else if (cellType(cell) === CellType.EXTENDED) this.#answered(cellData(cell));
      else if (cellType(cell) === CellType.DATA) this.dataIn += cellData(cell).length;
    } else {
      this.ended = { reason: payload[0] ?? -1, text: payload.subarray(1).toString() };
    }
  }

  #answered(answer: Buffer): void {
    const keys = this.#initiation.finish(decodeCreated(answer));
    this.#opening.add(keys.backward);
    this.#sealing.add(keys.forward);
    this.hops += 1;
  }
}

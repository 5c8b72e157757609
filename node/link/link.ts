/** One connection to a peer, from the moment TLS has named it: greeting, frames, liveness, farewell. */
import type { TLSSocket } from 'node:tls';
import { RelaymintError, messageOf, violation } from '../../core/errors.ts';
import { shortId, type NodeId } from '../../core/ids.ts';
import {
  LINK_HIGH_WATER,
  MAX_CONTROL_FRAMES_PER_SECOND,
  MAX_FRAME_PAYLOAD,
  MAX_LINK_QUEUE,
  OFFER_RENEWAL_REST_MILLIS,
  OFFER_RENEWALS_AT_ONCE,
} from '../../core/limits.ts';
import type { Log } from '../../core/ports.ts';
import type { SignedOffer } from '../offer/index.ts';
import type { TransportName } from '../transport/contract.ts';
import { FRAME_HEADER_BYTES, FrameType, type FrameHandler, type Link, type LinkTiming } from './contract.ts';
import { decodeGoodbye, decodeHello, encodeGoodbye, encodeHello, type Farewell } from './control.ts';
import { FrameParser, isControl, writeHeader, type FrameMemory } from './frame.ts';
import { Outbox } from './outbox.ts';
import { Padding, PADDING_BYTES } from './padding.ts';
import { PING_BYTES, Pings } from './pings.ts';
import { TokenBucket } from '../../core/rate.ts';

/** How long a farewell may take before the connection is cut, milliseconds. */
const FAREWELL_MILLIS = 2_000;
const LAST_CIRCUIT_ID = 0xffff_ffff;
const OWN_TYPES: readonly FrameType[] = [
  FrameType.HELLO,
  FrameType.GOODBYE,
  FrameType.PING,
  FrameType.PONG,
  FrameType.OFFER,
  FrameType.PADDING,
];

/** Callbacks from a link to its manager. */
export interface LinkOwner {
  /** The peer said hello. A throw ends the link with that reason. */
  onHello(link: PeerLink, offer: Uint8Array | undefined): void;
  /** The peer renewed its offer. A throw ends the link with that reason. */
  onRenewal(link: PeerLink, offer: Uint8Array): void;
}

export interface PeerLinkOptions {
  readonly socket: TLSSocket;
  readonly peer: NodeId;
  readonly self: NodeId;
  readonly transport: TransportName;
  readonly dialer: boolean;
  /** Where frames that go out are cut from. */
  readonly memory: FrameMemory;
  /** Memory for frames that come in pieces: separate, so that outgoing frames are adjacent. */
  readonly inbound: FrameMemory;
  /** How long it may be silent before it is padded, milliseconds; absent: it is not. */
  readonly padding?: Pick<LinkTiming, 'padLeast' | 'padMost'> | undefined;
  readonly owner: LinkOwner;
  readonly log: Log;
}

/** 'greeting' until both hellos are through; 'closing' from the farewell until the connection is gone. */
type State = 'greeting' | 'open' | 'closing' | 'closed';

export class PeerLink implements Link {
  readonly peer: NodeId;
  readonly self: NodeId;
  readonly transport: TransportName;
  readonly dialer: boolean;
  readonly closed: Promise<RelaymintError | undefined>;
  /** Resolves when the link opens; rejects when it ends before. */
  readonly opened: Promise<void>;
  offer: SignedOffer | undefined;
  /** Our offer as the peer has it from our hello. */
  greetedWith: SignedOffer | undefined;

  readonly #socket: TLSSocket;
  readonly #owner: LinkOwner;
  readonly #log: Log;
  readonly #memory: FrameMemory;
  readonly #outbox: Outbox;
  readonly #parser: FrameParser;
  readonly #pings: Pings = new Pings((payload) => this.send(FrameType.PING, 0, payload));
  /** Offers of its own that the peer may renew. */
  readonly renewals: TokenBucket = new TokenBucket(
    1000 / OFFER_RENEWAL_REST_MILLIS,
    () => performance.now(),
    OFFER_RENEWALS_AT_ONCE,
  );
  readonly #control: TokenBucket = new TokenBucket(MAX_CONTROL_FRAMES_PER_SECOND, () => performance.now());
  readonly #handlers: (FrameHandler | undefined)[] = [];
  #settleOpened: { resolve: () => void; reject: (error: RelaymintError) => void } | undefined;
  #settleClosed: ((reason: RelaymintError | undefined) => void) | undefined;
  #state: State = 'greeting';
  #greeted = false;
  #farewell: Farewell;
  #farewellTimer: NodeJS.Timeout | undefined;
  #nextCircuitId: number;
  readonly #paddingTiming: PeerLinkOptions['padding'];
  #padding: Padding | undefined;
  #retained = 0;
  #heard = false;
  #silentTicks = 0;
  #stalledTicks = 0;
  #idleTicks = 0;

  constructor({ socket, peer, self, transport, dialer, memory, inbound, padding, owner, log }: PeerLinkOptions) {
    this.peer = peer;
    this.self = self;
    this.transport = transport;
    this.dialer = dialer;
    this.#socket = socket;
    this.#owner = owner;
    this.#log = log;
    this.#memory = memory;
    this.#paddingTiming = padding;
    this.#nextCircuitId = dialer ? 1 : 2;
    this.#outbox = new Outbox(socket);
    this.#parser = new FrameParser(inbound, (type, circuitId, payload) => this.#receive(type, circuitId, payload));
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpened = { resolve, reject };
    });
    // The manager may have given up waiting; `closed` tells the reason as well.
    this.opened.catch(() => {});
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onLost('the other end hung up'));
    socket.on('error', (error) => this.#onLost(messageOf(error), error));
    socket.on('close', () => this.#onClosed());
    if (socket.destroyed) this.#onClosed();
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get writable(): boolean {
    return this.#state === 'open' && this.#outbox.writable;
  }

  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  /** True from the farewell on. */
  get isEnding(): boolean {
    return this.#state === 'closing' || this.#state === 'closed';
  }

  /** Rounds of the manager's watch since the link was last in use. */
  get idleTicks(): number {
    return this.#idleTicks;
  }

  greet(offer: SignedOffer | undefined): void {
    this.greetedWith = offer;
    this.send(FrameType.HELLO, 0, encodeHello(offer?.encoded));
  }

  /** From now on frames of all types pass. */
  open(offer: SignedOffer | undefined): void {
    if (this.#state !== 'greeting') return;
    this.#state = 'open';
    this.offer = offer;
    this.#pad();
    this.#settleOpened?.resolve();
  }

  send(type: FrameType, circuitId: number, payload: Uint8Array): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const frame = this.allocFrame(payload.length);
    frame.set(payload, FRAME_HEADER_BYTES);
    this.sendFrame(frame, type, circuitId);
  }

  allocFrame(payloadLength: number): Buffer {
    if (!(payloadLength >= 0 && payloadLength <= MAX_FRAME_PAYLOAD)) {
      throw new RangeError(`a frame carries 0 to ${MAX_FRAME_PAYLOAD} bytes, got ${payloadLength}`);
    }
    return this.#memory.take(FRAME_HEADER_BYTES + payloadLength);
  }

  sendFrame(frame: Buffer, type: FrameType, circuitId: number): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    writeHeader(frame, type, circuitId);
    this.#padding?.used();
    this.#outbox.push(frame);
    if (this.#outbox.queuedBytes > MAX_LINK_QUEUE) {
      this.#end(
        new RelaymintError('LIMIT_EXCEEDED', `Node ${shortId(this.peer)} does not read what it is sent.`, {
          details: { queued: this.#outbox.queuedBytes, limit: MAX_LINK_QUEUE, highWater: LINK_HIGH_WATER },
        }),
      );
    }
  }

  onDrain(listener: () => void): void {
    this.#outbox.onDrain(listener);
  }

  handle(type: FrameType, handler: FrameHandler): void {
    if (OWN_TYPES.includes(type)) throw new TypeError(`frames of type ${type} belong to the link itself`);
    if (this.#handlers[type] !== undefined) throw new TypeError(`frames of type ${type} have a handler already`);
    this.#handlers[type] = handler;
  }

  nextCircuitId(): number {
    const id = this.#nextCircuitId;
    if (id > LAST_CIRCUIT_ID) {
      throw new RelaymintError('LIMIT_EXCEEDED', 'All circuit ids of this link are used up.', {
        remedy: 'Close the link; a new one starts again from the first id.',
      });
    }
    this.#nextCircuitId = id + 2;
    return id;
  }

  retain(): void {
    this.#retained += 1;
    this.#idleTicks = 0;
  }

  release(): void {
    if (this.#retained === 0) throw new TypeError('release() without retain()');
    this.#retained -= 1;
    this.#idleTicks = 0;
  }

  /** Somebody is about to use the link. */
  touch(): void {
    this.#idleTicks = 0;
  }

  ping(signal?: AbortSignal): Promise<number> {
    if (this.#state !== 'open') return Promise.reject(closedError(this.peer));
    return this.#pings.ask(signal);
  }

  async close(reason?: RelaymintError): Promise<void> {
    this.#end(reason);
    await this.closed;
  }

  /** Ends the link with the error that a handler threw. */
  fail(error: unknown): void {
    this.#end(this.#reasonOf(error));
  }

  /** Ends a link that lost against another one to the same peer. */
  closeAsDuplicate(): void {
    this.#end('duplicate');
  }

  /**
   * One round of the manager's watch: pings a silent peer, gives up a dead one. Time is counted in rounds, so that a process
   * that was stopped for a while does not take its peers for dead.
   */
  watch(silenceTicks: number, deadTicks: number): void {
    if (this.#state !== 'open') return;
    this.#idleTicks = this.#retained > 0 ? 0 : this.#idleTicks + 1;
    this.#silentTicks = this.#heard ? 0 : this.#silentTicks + 1;
    this.#heard = false;
    this.#stalledTicks = this.#outbox.takeProgress() ? 0 : this.#stalledTicks + 1;
    if (this.#silentTicks >= silenceTicks + deadTicks || this.#stalledTicks >= deadTicks) {
      this.#end(new RelaymintError('TIMEOUT', `Node ${shortId(this.peer)} no longer answers.`));
    } else if (this.#silentTicks === silenceTicks) {
      this.#pings.ask().catch((error: unknown) => this.#log.debug({ peer: this.peer, err: error }, 'Ping failed'));
    }
  }

  #pad(): void {
    if (this.#paddingTiming === undefined) return;
    const { padLeast: least, padMost: most } = this.#paddingTiming;
    const nothing = new Uint8Array(PADDING_BYTES);
    this.#padding = new Padding({ least, most, send: () => this.send(FrameType.PADDING, 0, nothing) });
  }

  #onData(chunk: Buffer): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#heard = true;
    this.#padding?.used();
    try {
      this.#parser.push(chunk);
    } catch (error) {
      this.fail(error);
    }
  }

  /** A RelaymintError ends the link with its own code; anything else is a fault of ours and ends it with INTERNAL. */
  #reasonOf(error: unknown): RelaymintError {
    if (error instanceof RelaymintError) return error;
    this.#log.error({ peer: this.peer, err: error }, 'a frame handler failed; the link is closed');
    return new RelaymintError('INTERNAL', 'This node failed while it handled a frame.', {
      remedy: 'Its log says more.',
      cause: error,
    });
  }

  #receive(type: FrameType, circuitId: number, payload: Buffer): boolean {
    if (isControl(type) && !this.#control.take()) {
      throw new RelaymintError('FRAME_RATE_EXCEEDED', 'Too many control frames.', {
        details: { perSecond: MAX_CONTROL_FRAMES_PER_SECOND },
      });
    }
    const handler = this.#handlers[type];
    if (this.#state === 'open' && handler !== undefined) handler(circuitId, payload);
    else this.#receiveOwn(type, payload);
    return this.#state === 'open' || this.#state === 'greeting';
  }

  #receiveOwn(type: FrameType, payload: Buffer): void {
    if (type === FrameType.GOODBYE) {
      this.#onGoodbye(decodeGoodbye(payload, this.peer));
    } else if (this.#state === 'greeting') {
      if (type !== FrameType.HELLO || this.#greeted) throw violation('A link begins with exactly one hello.');
      this.#greeted = true;
      this.#owner.onHello(this, decodeHello(payload));
    } else if (type === FrameType.PING || type === FrameType.PONG) {
      if (payload.length !== PING_BYTES) throw violation(`A ping has ${PING_BYTES} bytes.`);
      if (type === FrameType.PING) this.send(FrameType.PONG, 0, payload);
      else this.#pings.answer(payload);
    } else if (type === FrameType.OFFER) {
      this.#owner.onRenewal(this, payload);
    } else if (type === FrameType.PADDING) {
      if (payload.length > PADDING_BYTES) throw violation(`Padding has at most ${PADDING_BYTES} bytes.`);
    } else if (type === FrameType.HELLO) {
      throw violation('A link begins with exactly one hello.');
    } else if (!isControl(type)) {
      throw violation('This node does not carry circuits.');
    }
  }

  #onGoodbye(farewell: Farewell): void {
    this.#leave(farewell);
    this.#socket.end();
  }

  #end(farewell: Farewell): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#leave(farewell);
    const goodbye = encodeGoodbye(farewell);
    const frame = this.allocFrame(goodbye.length);
    frame.set(goodbye, FRAME_HEADER_BYTES);
    writeHeader(frame, FrameType.GOODBYE, 0);
    this.#outbox.push(frame);
    this.#outbox.flush();
    this.#socket.end();
  }

  #onLost(why: string, cause?: unknown): void {
    if (this.#state !== 'closing' && this.#state !== 'closed') {
      const message = `The connection to node ${shortId(this.peer)} was lost: ${why}.`;
      this.#leave(new RelaymintError('CONNECTION_LOST', message, { cause }));
    }
    this.#socket.end();
  }

  /** From here on nothing is sent or dispatched; the connection has FAREWELL_MILLIS to end by itself. */
  #leave(farewell: Farewell): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#state = 'closing';
    this.#farewell = farewell;
    this.#padding?.stop();
    this.#farewellTimer = setTimeout(() => this.#socket.destroy(), FAREWELL_MILLIS);
    const reason = farewell instanceof RelaymintError ? farewell : closedError(this.peer);
    this.#settleOpened?.reject(reason);
    this.#pings.failAll(reason);
  }

  #onClosed(): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'closing') {
      this.#leave(new RelaymintError('CONNECTION_LOST', `The connection to node ${shortId(this.peer)} was lost.`));
    }
    this.#state = 'closed';
    clearTimeout(this.#farewellTimer);
    this.#handlers.length = 0;
    this.#settleClosed?.(this.#farewell instanceof RelaymintError ? this.#farewell : undefined);
  }
}

function closedError(peer: NodeId): RelaymintError {
  return new RelaymintError('CLOSED', `The link to node ${shortId(peer)} is closed.`, { remedy: 'Connect again.' });
}

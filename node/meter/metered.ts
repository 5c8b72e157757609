/** The meter of one link: the account that pays the peer, the account that the peer pays, and their frames. */
import type { Attribution } from '../../core/attribution.ts';
import { RelaymintError, isRelaymintError, sentAmiss, violation } from '../../core/errors.ts';
import { CHANNEL_OPEN_MILLIS, MAX_FAILED_CHANNELS, MAX_FRAME_PAYLOAD } from '../../core/limits.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import { DEBT_PARTS, Netting, NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import type {
  AccountCounts,
  EarningAccount,
  SpendingAccount,
  Terms,
  UpVerdict,
} from '../../ledger/accounting/index.ts';
import type { ChannelId, LedgerAddress, NodeId } from '../../core/ids.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { FRAME_HEADER_BYTES, FrameType } from '../link/contract.ts';
import type { Link } from '../link/contract.ts';
import type { TokenBucket } from '../../core/rate.ts';
import type { LinkMeter, MeteringOptions } from './contract.ts';
import {
  AccountStatus,
  decodeAccount,
  decodeClaim,
  decodeWiden,
  encodeAccepted,
  encodeClaim,
  encodeRefused,
  encodeWiden,
  proofMessage,
  provesChannel,
} from './messages.ts';
import type { ChannelClaim } from './messages.ts';
import { allowanceExhausted, freeSponsor } from './sponsor.ts';
import type { Sponsor, Sponsors } from './sponsor.ts';

interface AwaitingTerms {
  resolve(terms: Terms): void;
  reject(error: RelaymintError): void;
}

const NOTHING = Buffer.alloc(0);
/** Time between two look-ups of a channel whose payer says that it burned more, milliseconds. */
const LOOK_PAUSE_MILLIS = 1000;
/** The largest frame of a circuit. */
const LARGEST_FRAME: bigint = BigInt(FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD);

export class MeteredLink implements LinkMeter {
  onOpen: () => void = () => {};
  onRoom: () => void = () => {};
  readonly #link: Link;
  readonly #options: MeteringOptions;
  readonly #idleMillis: number;
  readonly #lookups: TokenBucket;
  readonly #looks: TokenBucket;
  #spending: SpendingAccount | undefined;
  #earning: EarningAccount | undefined;
  #netting: Netting | undefined;
  #sponsor: Sponsor = freeSponsor;
  /** What the peer said in its terms. */
  #peerNets = false;
  #opening: Promise<void> | undefined;
  #awaiting: AwaitingTerms | undefined;
  #claimUnderWay = false;
  #failedClaims = 0;
  /** The payer's channel is being looked up, or was a moment ago. */
  #looking = false;
  /** The payer has asked for another look since. */
  #lookWanted = false;
  /** Traffic since the idle timer last looked. */
  #active = false;
  /** The leader of our netting was given one more idle time to propose. */
  #waited = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  readonly #sponsors: Sponsors;

  /** What is `shared` by all links of a node. */
  constructor(
    link: Link,
    options: MeteringOptions,
    shared: { readonly sponsors: Sponsors; readonly lookups: TokenBucket; readonly looks: TokenBucket },
    idleMillis: number,
  ) {
    this.#lookups = shared.lookups;
    this.#looks = shared.looks;
    this.#link = link;
    this.#options = options;
    this.#sponsors = shared.sponsors;
    this.#idleMillis = idleMillis;
    link.handle(FrameType.CHANNEL, (_circuit, payload) => this.#onClaim(payload));
    link.handle(FrameType.ACCOUNT, (_circuit, payload) => this.#onAccount(payload));
    link.handle(FrameType.RECEIPT, (_circuit, payload) => this.#onReceipt(payload));
    link.handle(FrameType.NET, (_circuit, payload) => this.#onNet(payload));
    link.handle(FrameType.WIDEN, (_circuit, payload) => this.#onWiden(payload));
  }

  // --- the packet path: no allocation, no promise -----------------------------------------------------------------------------

  sendUp(frameBytes: number, price: PricePerMiB, last = false): void {
    if (this.#spending === undefined) throw unpaid();
    this.#active = true;
    if (this.#idleTimer === undefined) this.#watchIdle();
    this.#spending.sendUp(frameBytes, price, last);
  }

  get mayOwe(): bigint {
    return this.#spending?.mayOwe ?? 0n;
  }

  canAfford(price: PricePerMiB): boolean {
    return this.#spending !== undefined && affords(this.#spending.window, price);
  }

  canCarry(price: PricePerMiB): boolean {
    return this.#earning !== undefined && affords(this.#earning.window, price);
  }

  get sponsor(): Sponsor {
    return this.#sponsor;
  }

  receivedDown(frameBytes: number, price: PricePerMiB): void {
    if (this.#spending === undefined) throw unpaid();
    this.#active = true;
    if (this.#idleTimer === undefined) this.#watchIdle();
    this.#spending.receivedDown(frameBytes, price);
  }

  receivedUp(frameBytes: number, price: PricePerMiB): UpVerdict {
    return this.#earning === undefined ? 'cut' : this.#earning.receivedUp(frameBytes, price);
  }

  canSendDown(frameBytes: number, price: PricePerMiB, own: boolean): boolean {
    return this.#earning === undefined ? false : this.#earning.canSendDown(frameBytes, price, own);
  }

  sentDown(frameBytes: number, price: PricePerMiB): void {
    this.#earning?.sentDown(frameBytes, price);
  }

  attribute(shares: Attribution, frameBytes: number, price: PricePerMiB): void {
    this.#earning?.attribute(shares, frameBytes, price);
  }

  // --- paying ------------------------------------------------------------------------------------------------------------------

  flush(): void {
    try {
      this.#spending?.flush();
    } catch (error) {
      this.#fail(error);
    }
  }

  payEarly(least: bigint): void {
    if ((this.#spending?.unsigned ?? 0n) << NUMERATOR_BITS >= least) this.flush();
  }

  rest(): void {
    if (this.#awaitsProposal) {
      if (this.#idleTimer === undefined) this.#watchIdle();
      return;
    }
    this.#netting?.rest();
    this.flush();
  }

  /** We could net, and it is the peer that proposes. */
  get #awaitsProposal(): boolean {
    return this.#netting?.leads === false && this.#netting.promising;
  }

  /** One timer while there is traffic; frames only set a flag. */
  #watchIdle(): void {
    this.#idleTimer = setTimeout(() => {
      this.#idleTimer = undefined;
      if (this.#closed) return;
      if (this.#active) {
        this.#active = false;
        this.#waited = false;
        this.#watchIdle();
      } else if (!this.#waited && this.#awaitsProposal) {
        this.#waited = true;
        this.#watchIdle();
      } else {
        this.#netting?.rest();
        this.flush();
      }
    }, this.#idleMillis);
    this.#idleTimer.unref();
  }

  async openSpending(sponsor?: Sponsor): Promise<void> {
    if (this.#closed) throw linkClosed();
    while (this.#spending === undefined) {
      if (this.#opening === undefined && sponsor !== undefined) await this.#ensureAllowed(sponsor);
      if (this.#spending !== undefined) return;
      const begun = this.#opening === undefined;
      this.#opening ??= this.#openSpending(sponsor).finally(() => {
        this.#opening = undefined;
      });
      try {
        await this.#opening;
      } catch (error) {
        // Another payer's allowance was too small for it: ours may do.
        if (begun || !isRelaymintError(error, 'ALLOWANCE_EXHAUSTED')) throw error;
      }
    }
  }

  /** Refuses a payer that could not pay for a channel by itself, before others share its attempt. @throws RelaymintError ALLOWANCE_EXHAUSTED, .. */
  async #ensureAllowed(sponsor: Sponsor): Promise<void> {
    const { channels } = this.#options;
    const wallet = this.#peerWallet();
    if (channels.known(wallet)) return;
    const cost = await channels.openingCost(wallet);
    if (cost > sponsor.allowance) throw allowanceExhausted(cost, sponsor.allowance);
  }

  /** @throws RelaymintError CHANNEL_UNKNOWN. */
  #peerWallet(): LedgerAddress {
    const { peer, offer } = this.#link;
    if (offer !== undefined) return offer.wallet;
    throw new RelaymintError('CHANNEL_UNKNOWN', `The node ${peer} does not say which wallet it earns for.`, {
      remedy: 'Choose a node with an offer.',
    });
  }

  async #openSpending(sponsor: Sponsor | undefined): Promise<void> {
    // Before a channel is opened on chain for a link that is gone.
    if (this.#closed) throw linkClosed();
    const { book, channels } = this.#options;
    const { peer, self } = this.#link;
    const { channel, delegate } = await channels.channelTo(this.#peerWallet(), peer, sponsor);
    const claim: ChannelClaim = {
      till: channel.till,
      slot: channel.slot,
      generation: channel.generation,
      proof: delegate.sign(proofMessage(channel.id, self, peer)),
    };
    const terms = await this.#present(claim);
    if (this.#closed) throw linkClosed();
    this.#spending = book.openSpending({ peer, channel, delegate, terms }, (receipt) => {
      this.#link.send(FrameType.RECEIPT, 0, receipt.bytes);
    });
    this.#spending.onRoom = () => this.onRoom();
    this.#peerNets = terms.nets;
    this.#beginNetting();
  }

  #present(claim: ChannelClaim): Promise<Terms> {
    return new Promise((resolve, reject) => {
      if (this.#closed || !this.#link.isOpen) {
        reject(linkClosed());
        return;
      }
      const timer = setTimeout(() => {
        this.#awaiting?.reject(
          new RelaymintError('TIMEOUT', `The node ${this.#link.peer} did not answer when our channel was presented.`, {
            remedy: 'Choose another node.',
          }),
        );
      }, CHANNEL_OPEN_MILLIS);
      const done = (): void => {
        clearTimeout(timer);
        this.#awaiting = undefined;
      };
      this.#awaiting = {
        resolve: (terms) => {
          done();
          resolve(terms);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      this.#link.send(FrameType.CHANNEL, 0, encodeClaim(claim));
    });
  }

  #onAccount(payload: Buffer): void {
    if (this.#awaiting === undefined) throw sentAmiss('an ACCOUNT that nobody asked for');
    const { terms, error } = decodeAccount(payload);
    if (terms === undefined) this.#awaiting.reject(error);
    else this.#awaiting.resolve(terms);
  }

  /** More was burned for this channel, or deposited: the payee is asked to look, if it is the one we pay from. */
  burned(channel: ChannelId): void {
    if (this.#spending?.channel.id !== channel || this.#spending.closed) return;
    this.#link.send(FrameType.WIDEN, 0, NOTHING);
  }

  #onWiden(payload: Buffer): void {
    const window = decodeWiden(payload);
    if (window === undefined) {
      this.#lookAgain();
      return;
    }
    if (this.#spending === undefined) throw sentAmiss('a WIDEN that answers nothing');
    this.#spending.widen(window);
  }

  // --- being paid --------------------------------------------------------------------------------------------------------------

  #onClaim(payload: Buffer): void {
    if (this.#claimUnderWay || this.#earning !== undefined) throw sentAmiss('a second CHANNEL');
    const claim = decodeClaim(payload);
    this.#claimUnderWay = true;
    this.#judge(claim)
      .then((channel) => this.#accept(channel))
      .catch((error: unknown) => this.#refuse(error))
      .finally(() => {
        this.#claimUnderWay = false;
      });
  }

  /** @throws Refused, RelaymintError LEDGER_UNREACHABLE. */
  async #judge(claim: ChannelClaim): Promise<ChannelState> {
    const { reader, wallet } = this.#options;
    // A stranger names an account: we only ever read one slot of our own till for it.
    if (claim.till !== reader.tillAddress(wallet)) {
      throw new Refused(AccountStatus.NOT_OURS, 'it pays another wallet');
    }
    if (!this.#lookups.take()) throw new Refused(AccountStatus.LIMIT, 'too many channels are looked up now');
    const channel = await reader.channel(claim.till, claim.slot);
    if (channel === undefined || channel.generation !== claim.generation) {
      throw new Refused(AccountStatus.UNKNOWN, 'no such channel is open');
    }
    if (channel.payee !== wallet) throw new Refused(AccountStatus.NOT_OURS, 'it pays another wallet');
    if (channel.closeAt !== undefined) throw new Refused(AccountStatus.CLOSING, 'its payer asked to close it');
    if (!provesChannel(claim, channel, this.#link.peer, this.#link.self)) {
      throw new Refused(AccountStatus.NOT_PROVED, 'its delegate did not sign for this link');
    }
    return channel;
  }

  #accept(channel: ChannelState): void {
    if (this.#closed || !this.#link.isOpen) return;
    const { book, price, nets = true } = this.#options;
    const account = book.openEarning({ peer: this.#link.peer, channel, price, nets });
    account.onOpen = () => this.onOpen();
    account.onRoom = () => this.onRoom();
    this.#sponsor = this.#sponsors.of(channel.payer, account);
    account.onFault = (error) => this.#fail(error);
    account.onWidened = (window) => this.#link.send(FrameType.WIDEN, 0, encodeWiden(window));
    this.#earning = account;
    this.#link.send(FrameType.ACCOUNT, 0, encodeAccepted(account.terms));
    this.#beginNetting();
  }

  /** The payer says that it burned or deposited more. One look at a time and link, and a pause after each. */
  #lookAgain(): void {
    if (this.#earning === undefined) throw sentAmiss('a WIDEN before its CHANNEL');
    // A newer link carries its channel: one channel on many links would use up the looks that all payers share.
    if (this.#earning.closed) return;
    if (this.#looking) {
      this.#lookWanted = true;
      return;
    }
    this.#looking = true;
    void this.#look(this.#earning).finally(() => {
      setTimeout(() => {
        this.#looking = false;
        if (!this.#lookWanted || this.#closed) return;
        this.#lookWanted = false;
        this.#lookAgain();
      }, LOOK_PAUSE_MILLIS).unref();
    });
  }

  async #look({ channel: { id, till, slot } }: EarningAccount): Promise<void> {
    const { book, reader } = this.#options;
    if (!this.#looks.take()) {
      this.#lookWanted = true;
      return;
    }
    try {
      const channel = await reader.channel(till, slot);
      if (channel?.id === id && !this.#closed) book.update(channel);
    } catch {
      // Of a ledger that cannot be read now the settlement learns the same, with its next look at the till.
    }
  }

  #refuse(error: unknown): void {
    if (this.#closed) return;
    const refused = error instanceof Refused ? error : refusalFor(error);
    this.#failedClaims += 1;
    this.#link.send(FrameType.ACCOUNT, 0, encodeRefused(refused.status, refused.message));
    if (this.#failedClaims >= MAX_FAILED_CHANNELS) {
      this.#fail(
        new RelaymintError('LIMIT_EXCEEDED', `${this.#failedClaims} channels were presented and none was accepted.`, {
          remedy: 'Open a channel to this node first.',
        }),
      );
    }
  }

  #onReceipt(payload: Buffer): void {
    if (this.#earning === undefined) throw sentAmiss('a RECEIPT before its CHANNEL');
    this.#earning.receive(payload);
  }

  // --- both --------------------------------------------------------------------------------------------------------------------

  /** Once each end pays the other and both said that they net. */
  #beginNetting(): void {
    const [spending, earning] = [this.#spending, this.#earning];
    if (spending === undefined || earning === undefined || !this.#peerNets || !earning.terms.nets) return;
    const { peer, self } = this.#link;
    this.#netting = new Netting({
      peer,
      leads: self < peer,
      spending,
      earning,
      send: (net) => this.#link.send(FrameType.NET, 0, net),
    });
  }

  #onNet(payload: Buffer): void {
    if (this.#netting === undefined) throw sentAmiss('a NET that was not agreed on');
    this.#netting.receive(payload);
  }

  get peer(): NodeId {
    return this.#link.peer;
  }

  /** The peer that pays us on this link, else the one that we pay; undefined while there is no account. */
  get peerWallet(): LedgerAddress | undefined {
    if (this.#earning?.closed === false) return this.#earning.channel.payer;
    return this.#spending?.closed === false ? this.#spending.channel.payee : undefined;
  }

  counts(): { readonly spending: AccountCounts | undefined; readonly earning: AccountCounts | undefined } {
    return { spending: this.#spending?.counts(), earning: this.#earning?.counts() };
  }

  /** The link is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    this.#awaiting?.reject(linkClosed());
    this.#spending?.close();
    this.#earning?.close();
  }

  #fail(error: unknown): void {
    if (!isRelaymintError(error)) throw error;
    void this.#link.close(error);
  }
}

/** A claim that is answered with a status. */
class Refused extends Error {
  readonly status: AccountStatus;

  constructor(status: AccountStatus, text: string) {
    super(text);
    this.status = status;
  }
}

function refusalFor(error: unknown): Refused {
  if (isRelaymintError(error, 'LIMIT_EXCEEDED')) return new Refused(AccountStatus.LIMIT, 'too many accounts');
  if (isRelaymintError(error, 'CHANNEL_CLOSING')) return new Refused(AccountStatus.CLOSING, 'it is being closed');
  return new Refused(AccountStatus.LEDGER, 'the ledger cannot be read now');
}

/** Debts are signed for at a part of the window: the largest frame must fit that part. */
function affords(window: Amount, price: PricePerMiB): boolean {
  return LARGEST_FRAME * price <= (window << NUMERATOR_BITS) / DEBT_PARTS;
}

function unpaid(): RelaymintError {
  return violation('A circuit frame on a link whose peer is not paid.', 'Both ends of a link must meter, or neither.');
}

function linkClosed(): RelaymintError {
  return new RelaymintError('CLOSED', 'The link closed.', { remedy: 'Connect again.' });
}

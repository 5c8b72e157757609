/** The meter of one link: the account that pays the peer, the account that the peer pays, and their frames. */
import { assertNotAborted, orAborted } from '../../core/abort.ts';
import type { Attribution } from '../../core/attribution.ts';
import { RelaymintError, isRelaymintError, sentAmiss, violation } from '../../core/errors.ts';
import { MAX_FAILED_CHANNELS, MAX_FRAME_PAYLOAD } from '../../core/limits.ts';
import type { Amount, PricePerMiB } from '../../core/units.ts';
import { DEBT_PARTS, Netting, NUMERATOR_BITS } from '../../ledger/accounting/index.ts';
import type { AccountCounts, EarningAccount, SpendingAccount, UpVerdict } from '../../ledger/accounting/index.ts';
import type { ChannelId, LedgerAddress, NodeId } from '../../core/ids.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { FRAME_HEADER_BYTES, FrameType, linkClosed } from '../link/contract.ts';
import type { Link } from '../link/contract.ts';
import type { TokenBucket } from '../../core/rate.ts';
import type { LinkMeter, MeteringOptions } from './contract.ts';
import { judgeClaim, refusalFor } from './claims.ts';
import type { ContentCounts } from './content-counts.ts';
import { IdleWatch } from './idle.ts';
import { Looks } from './looks.ts';
import { decodeClaim, decodeWiden, encodeAccepted, encodeRefused, encodeWiden, proofMessage } from './messages.ts';
import type { ChannelClaim } from './messages.ts';
import { Presenting } from './presenting.ts';
import { allowanceExhausted, freeSponsor } from './sponsor.ts';
import type { Sponsor, Sponsors } from './sponsor.ts';

const NOTHING = Buffer.alloc(0);
/** The largest frame of a circuit. */
const LARGEST_FRAME: bigint = BigInt(FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD);

export class MeteredLink implements LinkMeter {
  onOpen: () => void = () => {};
  onRoom: () => void = () => {};
  readonly #link: Link;
  readonly #options: MeteringOptions;
  readonly #idle: IdleWatch;
  readonly #lookups: TokenBucket;
  readonly #content: ContentCounts;
  readonly #spareLookups: TokenBucket;
  readonly #presenting: Presenting;
  #spending: SpendingAccount | undefined;
  #earning: EarningAccount | undefined;
  #netting: Netting | undefined;
  #sponsor: Sponsor = freeSponsor;
  /** What the peer said in its terms. */
  #peerNets = false;
  #opening: Promise<void> | undefined;
  #claimUnderWay = false;
  #failedClaims = 0;
  #looks: Looks | undefined;
  #closed = false;

  readonly #sponsors: Sponsors;

  /** What is `shared` by all links of a node. */
  constructor(
    link: Link,
    options: MeteringOptions,
    shared: {
      readonly sponsors: Sponsors;
      readonly lookups: TokenBucket;
      readonly looks: TokenBucket;
      readonly content: ContentCounts;
    },
    idleMillis: number,
  ) {
    this.#lookups = shared.lookups;
    this.#content = shared.content;
    this.#spareLookups = shared.looks;
    this.#link = link;
    this.#options = options;
    this.#sponsors = shared.sponsors;
    this.#idle = new IdleWatch(idleMillis, (again) => this.#onIdle(again));
    this.#presenting = new Presenting(link);
    link.handle(FrameType.CHANNEL, (_circuit, payload) => this.#onClaim(payload));
    link.handle(FrameType.ACCOUNT, (_circuit, payload) => this.#presenting.onAccount(payload));
    link.handle(FrameType.RECEIPT, (_circuit, payload) => this.#onReceipt(payload));
    link.handle(FrameType.NET, (_circuit, payload) => this.#onNet(payload));
    link.handle(FrameType.WIDEN, (_circuit, payload) => this.#onWiden(payload));
  }

  // --- the packet path: no allocation, no promise -----------------------------------------------------------------------------

  sendUp(frameBytes: number, price: PricePerMiB, last = false): void {
    if (this.#spending === undefined) throw this.#closed ? linkClosed() : unpaid();
    this.#idle.stir();
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
    if (this.#spending === undefined) throw this.#closed ? linkClosed() : unpaid();
    this.#idle.stir();
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
    if (this.#earning === undefined) return;
    this.#earning.attribute(shares, frameBytes, price);
    this.#content.add(shares, frameBytes, price);
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
      this.#idle.watch();
      return;
    }
    this.#netting?.rest();
    this.flush();
  }

  /** We could net, and it is the peer that proposes. */
  get #awaitsProposal(): boolean {
    return this.#netting?.leads === false && this.#netting.promising;
  }

  /** @returns true if the leader of our netting is given one more idle time to propose. */
  #onIdle(again: boolean): boolean {
    if (!again && this.#awaitsProposal) return true;
    this.#netting?.rest();
    this.flush();
    return false;
  }

  async openSpending(sponsor?: Sponsor, signal?: AbortSignal): Promise<void> {
    await orAborted(this.#ensureSpending(sponsor, signal), signal, 'Opening a channel');
  }

  /** The attempt is shared: it goes on for the others when one of them has left. */
  async #ensureSpending(sponsor: Sponsor | undefined, signal: AbortSignal | undefined): Promise<void> {
    this.#ensureWanted(signal);
    while (this.#spending === undefined) {
      if (this.#opening === undefined && sponsor !== undefined) {
        await this.#ensureAllowed(sponsor);
        this.#ensureWanted(signal);
        if (this.#spending !== undefined) return;
      }
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
      this.#ensureWanted(signal);
    }
  }

  /** Before a channel is opened on chain for a link that is gone, or for nobody. @throws RelaymintError CLOSED, ABORTED, .. */
  #ensureWanted(signal: AbortSignal | undefined): void {
    if (this.#closed) throw linkClosed();
    assertNotAborted(signal, 'Opening a channel');
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
    const { book, channels } = this.#options;
    const { peer, self } = this.#link;
    const { channel, delegate } = await channels.channelTo(this.#peerWallet(), peer, sponsor);
    const claim: ChannelClaim = {
      till: channel.till,
      slot: channel.slot,
      generation: channel.generation,
      proof: delegate.sign(proofMessage(channel.id, self, peer)),
    };
    const terms = await this.#presenting.present(claim);
    if (this.#closed) throw linkClosed();
    this.#spending = book.openSpending({ peer, channel, delegate, terms }, (receipt) => {
      this.#link.send(FrameType.RECEIPT, 0, receipt.bytes);
    });
    this.#spending.onRoom = () => this.onRoom();
    this.#peerNets = terms.nets;
    this.#beginNetting();
  }

  /** More was burned for this channel, or deposited: the payee is asked to look, if it is the one we pay from. */
  burned(channel: ChannelId): void {
    if (this.#spending?.channel.id !== channel || this.#spending.closed) return;
    this.#link.send(FrameType.WIDEN, 0, NOTHING);
  }

  #onWiden(payload: Buffer): void {
    const window = decodeWiden(payload);
    if (window === undefined) {
      if (this.#looks === undefined) throw sentAmiss('a WIDEN before its CHANNEL');
      this.#looks.again();
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
    judgeClaim(claim, this.#link, this.#options, this.#lookups)
      .then((channel) => this.#accept(channel))
      .catch((error: unknown) => this.#refuse(error))
      .finally(() => {
        this.#claimUnderWay = false;
      });
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
    this.#looks = new Looks(account, this.#options, this.#spareLookups);
    this.#link.send(FrameType.ACCOUNT, 0, encodeAccepted(account.terms));
    this.#beginNetting();
  }

  #refuse(error: unknown): void {
    if (this.#closed) return;
    const refused = refusalFor(error);
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
    this.#idle.close();
    this.#presenting.close();
    this.#looks?.close();
    this.#spending?.close();
    this.#earning?.close();
  }

  #fail(error: unknown): void {
    if (!isRelaymintError(error)) throw error;
    void this.#link.close(error);
  }
}

/** Debts are signed for at a part of the window: the largest frame must fit that part. */
function affords(window: Amount, price: PricePerMiB): boolean {
  return LARGEST_FRAME * price <= (window << NUMERATOR_BITS) / DEBT_PARTS;
}

function unpaid(): RelaymintError {
  return violation('A circuit frame on a link whose peer is not paid.', 'Both ends of a link must meter, or neither.');
}

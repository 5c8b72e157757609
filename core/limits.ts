/** Every cap of the project, with its reason. Bytes unless the name says otherwise. */
import {
  MIB,
  amount,
  bytes,
  lamports,
  pricePerMiB,
  type Amount,
  type Bytes,
  type Lamports,
  type PricePerMiB,
} from './units.ts';

// --- link -----------------------------------------------------------------------------------------------------------
/** Largest payload of one cell before layers: the largest size class of the wire format; with its layers it fits a 16-bit length. */
export const MAX_CELL_BYTES: number = 60 * 1024;
/** Relays in front of the last hop. More would add delay and cost without hiding more from somebody who watches both ends. */
export const MAX_RELAYS = 6;
/** Hops of a circuit: six relays and the host or exit. */
export const MAX_HOPS: number = MAX_RELAYS + 1;
/** One authentication tag per layer. */
export const LAYER_BYTES = 16;
/** The tags of a frame: as many as the longest circuit has, however long it is, so that none tells a hop where it stands. */
export const STACK_BYTES: number = MAX_HOPS * LAYER_BYTES;
/** Largest frame payload on a link: a longer length closes the link before anything is allocated. */
export const MAX_FRAME_PAYLOAD: number = MAX_CELL_BYTES + STACK_BYTES;
/** Bytes that may wait in one link's socket before its circuits queue: about a delay-bandwidth product on loopback. */
export const LINK_HIGH_WATER: number = 256 * 1024;
/** Bytes that may wait in one link before the link is given up: the high water, a burst of cells and of answers. */
export const MAX_LINK_QUEUE: number = 4 * MIB;
/** Links that a node keeps at once: each costs about 83 KB idle (TLS), so 1,024 stay below 100 MB. */
export const MAX_LINKS = 1024;
/** Unpaid control frames that a peer may send per second (receipts, offers, pings): a busy pair needs about 400. */
export const MAX_CONTROL_FRAMES_PER_SECOND = 2000;
/** Time for TCP connect + TLS + hello, milliseconds, and of an inbound connection for TLS and for hello each. Tor's own circuit time-out is 60 s; tor transports raise this. */
export const LINK_HANDSHAKE_MILLIS = 20_000;
/** Inbound connections that began a handshake and have not said hello, about 60 KB each: 60 MB. At 300 a second each has 1.7 s for certain. */
export const MAX_HANDSHAKES = 1024;
/** Inbound connections that have not said anything, about 5 KB each: 10 MB. At 300 a second each may be silent for 3.4 s. */
export const MAX_SILENT_CONNECTIONS = 2048;
/** Of both, from one address (or one /64, or one I2P destination): a household behind one address starts fewer at once. */
export const MAX_HANDSHAKES_PER_SOURCE = 32;
/** Time to the first byte of an inbound connection, milliseconds: one round trip, over Tor or I2P a few seconds. */
export const LINK_FIRST_BYTE_MILLIS = 10_000;
/** Pings that may be under way on one link: the node's own and a few of its users'. */
export const MAX_PINGS_IN_FLIGHT = 64;
/** A peer that was silent for this long is pinged, milliseconds. */
export const LINK_SILENCE_MILLIS = 15_000;
/** A peer is gone when a ping or queued bytes make no progress for this long, milliseconds. */
export const LINK_DEAD_MILLIS = 30_000;
/** Text in a GOODBYE. */
export const MAX_GOODBYE_BYTES = 200;
/** A link without circuits is closed after this long, milliseconds. */
export const LINK_IDLE_MILLIS = 120_000;
/** After so much silence, from the first to the second figure, a link over Tor or I2P is padded, milliseconds: what Tor itself does. */
export const PADDING_LEAST_MILLIS = 1_500;
export const PADDING_MOST_MILLIS = 9_500;

// --- circuit and stream -----------------------------------------------------------------------------------------------
/** Circuits one peer may have open through us. */
export const MAX_CIRCUITS_PER_LINK = 1024;
/** Frame bytes that one end of a circuit grants the other at most: bounds what is on its way, and what relays hold for it. */
export const CIRCUIT_WINDOW: number = 4 * MIB;
/** Frame bytes that an end grants while a circuit is quiet: the answers of building it, and the first small cells. */
export const QUIET_GRANT: number = 16 * 1024;
/** Frame bytes that an end of a busy circuit grants at least, however slow the path is. */
export const LEAST_TARGET: number = 32 * 1024;
/** Frame bytes that an end grants when a stream opens: the first stream window in its largest cells, and its control cells. */
export const STREAM_GRANT: number = 320 * 1024;
/** Granted bytes that data leaves to control cells (credits, ends, answers): four of the smallest frames. */
export const GRANT_RESERVE: number = 4608;
/** The smallest RELAY frame: header, tags, the smallest cell. */
export const SMALLEST_FRAME_BYTES: number = 8 + STACK_BYTES + 1024;
/** The least that is granted onward, and that an idle circuit keeps: two of the smallest frames. */
export const LEAST_GRANT: number = 2304;
/** Payload of the circuit frames that need no grant: a reason with its text, or the longest CREATE. */
export const MAX_UNGRANTED_PAYLOAD = 128;
/** What a peer may have granted us on one circuit: four times what any honest end does. */
export const MAX_CREDIT: number = 4 * CIRCUIT_WINDOW;
/** Circuits in one GRANT or RETURN: what becomes due in one turn of the event loop, rarely more than a few. */
export const MAX_GRANTS_PER_FRAME = 1024;
/** Frame bytes that a node grants in total on circuits that it carries for others: bounds all its queues together. */
export const MAX_CARRIED_BYTES: number = 512 * MIB;
/** A sender that used nothing of a grant for this long gives back what exceeds QUIET_GRANT, milliseconds. */
export const GRANT_IDLE_MILLIS = 250;
/** Silence after our DESTROY, for each hop that may still be behind the peer, before its link is closed, milliseconds. */
export const DESTROY_SILENCE_MILLIS = 20_000;
/** First stream window, bytes of whole cells: small sites need no more. */
export const STREAM_WINDOW_INITIAL: number = 256 * 1024;
/** Largest stream window; it grows to the path's bandwidth-delay product, never past the circuit's own. */
export const STREAM_WINDOW_MAX: number = 4 * MIB;
/** Streams in one circuit that one of its ends opened. */
export const MAX_STREAMS_PER_CIRCUIT = 256;
/** Streams of the last hop that the initiator may refuse. The initiator pays for each of them, so more would be a way to earn for nothing. */
export const MAX_REFUSED_STREAMS = 32;
/**
 * Control cells that whoever pays for a circuit takes beyond those that it asked for. Each costs it a cell of 1 KiB: so a host that sends
 * more would earn by it. Enough for the ends of all streams at once, twice over.
 */
export const CONTROL_ALLOWANCE = 1024;
/** One more is taken after so long, milliseconds: a quiet circuit is pinged half as often. */
export const CONTROL_ALLOWANCE_MILLIS = 5000;
/**
 * Padding, bytes of cells, that a visitor takes of a host beyond twice the bytes of its blocks, and for each of them: an answer goes out
 * in at most two cells more than its bytes fill.
 */
export const CONTENT_PADDING: number = 64 * 1024;
export const CONTENT_PADDING_PER_ANSWER: number = 2 * 1024;
/** What WINDOW and DATAGRAM_WINDOW give at least, bytes: an honest end gives half a window, 128 KiB or more. */
export const LEAST_WINDOW_CREDIT: number = 64 * 1024;
/** Circuits of others that a node takes part in: each costs about 2 KB idle, and its queue when busy. */
export const MAX_JOINED_CIRCUITS = 4096;
/** When all of these are taken, a payer's share follows what it paid plus this, base units: one MiB at the usual price. */
export const SLOT_WEIGHT: bigint = 10_000n;
/** How many of the MAX_CIRCUITS_PER_LINK towards a next hop may wait for the DESTROY of circuits that made way. */
export const ONWARD_SPARE_CIRCUITS = 32;
/** A circuit of others that carried nothing for this long is destroyed, milliseconds: pools replace theirs after ten minutes. */
export const JOINED_IDLE_MILLIS = 900_000;
/** Cells that one end of a circuit holds for readers that do not read, bytes, before it grants no more. */
export const CIRCUIT_UNREAD: number = 4 * MIB;
/** Bytes an application may have waiting in one stream's out-queue before its writes wait: a few large cells. */
export const STREAM_OUT_QUEUE: number = 256 * 1024;
/** One datagram: what a cell of 16 KiB holds with its length. UDP carries 1,500 bytes nearly everywhere, and 9,000 where it is asked to. */
export const MAX_DATAGRAM_BYTES = 16_376;
/**
 * Datagrams that wait at their sender, of one stream: a burst of some forty packets. Beyond it they are dropped, for those that waited
 * longer are worth little.
 */
export const DATAGRAM_QUEUE: number = 64 * 1024;
/** Cells of datagrams, of one stream, that its receiver holds for a reader that does not read: as much as a stream's first window. */
export const DATAGRAM_WINDOW: number = 256 * 1024;
/** Parameters given when a stream is opened: a name, a nonce and a signature with room to spare. */
export const MAX_STREAM_PARAMS = 1024;
/** Small cells (credits, ends, answers) waiting at one end of a circuit; with more, the peer asks and never reads. */
export const MAX_CONTROL_CELLS = 2048;
/** CREATEs per second that one link may bring: a pool builds a few at a time, a busy relay's neighbour some dozens. */
export const MAX_CREATES_PER_SECOND_AND_LINK = 50;
/** CREATEs answered per second on all links: at 0.2 to 0.9 ms each, a tenth to half of a processor. */
export const MAX_CREATES_PER_SECOND = 500;
/** Addresses tried for an EXTEND: a stranger chose the node whose word they are. */
export const MAX_EXTEND_ADDRESSES = 2;
/**
 * Dials that one payer's EXTENDs may start at once, and in each minute after, to nodes that we never reached; the same number to others.
 * The circuits of a busy neighbour lead to a few nodes without a link.
 */
export const EXTEND_DIALS_PER_MINUTE = 30;
/** Time for one CREATE or EXTEND to be answered, milliseconds. */
export const CIRCUIT_BUILD_MILLIS = 20_000;
/** The same if the next hop has an onion or I2P address: reaching it may take as long as those networks need for a first path. */
export const CIRCUIT_BUILD_HIDDEN_MILLIS = 120_000;

// --- money ------------------------------------------------------------------------------------------------------------
/** Bytes whose value a stranger may owe: the loss bound. */
export const STRANGER_WINDOW: number = MIB;
/**
 * Bytes whose value any peer may owe, whatever it burned: no more than this is ever between two receipts. A payer signs at a
 * quarter of it, and a receipt for each 32 MiB costs little beside carrying them (docs/benchmarks.md).
 */
export const MAX_WINDOW: number = 128 * MIB;
/**
 * A payer widens its window (burns as much again, so that it may owe twice as much) once it paid this many times what it burned:
 * receipts become rarer, and what is burned stays below a sixteenth of what is paid.
 */
export const WIDEN_AFTER = 32n;
/** Default limit of all that a payer stakes on one channel for wider windows, as a multiple of the highest stake for a new channel. */
export const WIDENED_OPENINGS = 8n;
/** Default price of a relay or host, base units per MiB: the only guide before a market is known. */
export const USUAL_PRICE: PricePerMiB = pricePerMiB(10_000n);
/** A median above this many usual prices is not believed: offers are free, so whoever makes the most of them sets the median. */
export const MAX_MEDIAN_PRICES = 4n;
/** Default limit of a circuit's price, in medians of what its hops ask: room for a choice, but not for overcharging. */
export const PRICE_LIMIT_MEDIANS = 3n;
/** Default limit of what a relay pays onward: the most expensive longest circuit that anybody builds by default. */
export const MAX_ONWARD_PRICE: PricePerMiB = pricePerMiB(
  USUAL_PRICE * MAX_MEDIAN_PRICES * PRICE_LIMIT_MEDIANS * BigInt(MAX_HOPS),
);
/** What a node may put into channels to one wallet in an hour, base units: 20 credits, half a GiB of the usual circuit. */
export const SPEND_LIMIT_PEER: Amount = amount(20_000_000n);
/** What a gateway may pay for one site in an hour: 10 credits, 256 MiB of the usual circuit. */
export const SPEND_LIMIT_SITE: Amount = amount(10_000_000n);
/** What a node may put into channels and burn for them in an hour, beyond what it earned in that hour: 50 credits. */
export const SPEND_LIMIT: Amount = amount(50_000_000n);
/** Wallets, and sites, of which the last hour's spending is remembered: about 100 bytes each. */
export const MAX_BUDGET_ENTRIES = 1024;
/** Names, each by the site that showed it, of which a gateway's page says what they cost: about 300 bytes each. */
export const MAX_COST_CONTENTS = 1024;
/** Accounts kept in memory; older idle ones are on disk only. */
export const MAX_ACCOUNTS = 10_000;
/**
 * Wallets whose arrears a payee remembers, and as many for which it burned something, about 100 bytes each: more than its books hold channels, so that one with a channel
 * always has a place. Of the others the one that was heard of longest ago gives way. That is no gain: what it took was covered by
 * what it burned for the channel that is over, and the next channel's window is what it burns for that.
 */
export const MAX_DEBTORS = 16_384;
/**
 * A node burns for a payer's circuits this many times what that payer burned for its own channel: an opening of ours costs a fee more
 * than the payer's did, so that two of them cost two fees more than twice that, and its circuits may need two before it paid for
 * anything. Nobody is paid what is burned, so to have it burned gains nothing.
 */
export const ALLOWANCE_OF_BURNED = 3n;
/** Opening payments that one transaction returns: as many as the shortest kind of transaction holds, with room to spare. */
export const RETURNS_PER_TRANSACTION = 32;
/** If the payers do not pay for it, returning opening payments may cost the payee at most this part of what their channels earned. */
export const RETURN_FEE_PARTS = 10n;
/** A transaction bids at most this part of what it moves for its place in a full block: the rest is what it is sent for. */
export const BID_PARTS = 10n;
/** Lamports that a wallet's transaction may bid however little it moves: twice the base fee, so that it lands where blocks are busy. */
export const LEAST_BID_LIMIT = 10_000n;
/** Lamports that a transaction bids at most when nothing in it is about to be lost: twenty times the base fee, because it can wait. */
export const MAX_SETTLE_BID = 100_000n;
/**
 * Lamports that a transaction bids at most for closing channels, or to close one: driving up the price keeps nobody
 * from taking a deposit back. A payer that fills blocks until its challenge period
 * is over must outbid this in every one of them; and no price that somebody drove up for a moment costs more than it.
 */
export const MAX_CLOSING_BID = 50_000_000n;
/**
 * Settled receipts and withdrawals of which a node keeps an entry for people, about 400 bytes each, and up to twice as many lines on
 * disk: a year of ten a day.
 */
export const MAX_SETTLED_KEPT = 4_096;
/** Lamports that buying credits leaves in the wallet by default: the fees of two thousand settlements that bid nothing. */
export const FEE_RESERVE: Lamports = lamports(10_000_000n);
/** Receipts in one settlement transaction: the program's own limit. How many fit (about 18 into 1,232 bytes) the ledger says. */
export const MAX_RECEIPTS_PER_TRANSACTION = 64;
/** Names paid in one settlement transaction: the program's own limit, so that a batch's cost stays bounded. */
export const MAX_SHARES_PER_TRANSACTION = 8;

/** Names that what a stream carries counts for at once: the content's own, those that show it or led there; as many as one transaction pays. */
export const MAX_ATTRIBUTED_NAMES: number = MAX_SHARES_PER_TRANSACTION;
/** Names in the books that earned and were not paid yet; what a further one earns stays with the seller. */
export const MAX_EARNING_NAMES = 10_000;
/** Referrers of them in the books beside the names: what a further one would bring counts for the name alone. */
export const MAX_EARNING_REFERRALS = 10_000;
/** Referrers of one name there: a visitor that invents more pushes out the least, whose part becomes the name's. */
export const MAX_REFERRERS_PER_NAME = 32;
/** Referrers, of all names together, that earn on one account before a receipt pays for them. */
export const MAX_UNPAID_REFERRALS = 64;
/** Names looked up in one request: a full set of settlements under way (8 of 8 names), within what RPC nodes answer at once (100). */
export const MAX_NAMES_LOOKED_UP = 64;

/** Refused channels that a peer may present on one link before it is closed: each costs us a look at the ledger. */
export const MAX_FAILED_CHANNELS = 4;
/** Presented channels that a node looks up in a second, over all its links: each is a question to the ledger of about 300 bytes. */
export const MAX_CHANNEL_LOOKUPS_PER_SECOND = 50;
/** Time for a peer to look up our channel and state its terms, milliseconds: a slow RPC and its retries. */
export const CHANNEL_OPEN_MILLIS = 30_000;

// --- discovery --------------------------------------------------------------------------------------------------------
/** Offers that a node remembers: MAX_OFFER_BYTES each at most, and the same decoded. */
export const MAX_OFFERS = 4096;
/** A signed offer: each fits an EXTEND of the smallest cell, so that no length tells whose it is. */
export const MAX_OFFER_BYTES = 976;
/** How long an offer is kept if it is not renewed, milliseconds, whatever its own expiry: longer than any honest node's offer is valid. */
export const OFFER_KEPT_MILLIS: number = 7 * 60 * 60_000;
/** One network holds at most one part in this many of a full book: the share of a large hoster. */
export const MAX_OFFER_NETWORK_PARTS = 32;
/**
 * Offers of others verified at once, and in each second after: a whole book, then what some thousand nodes renew. Each peer that
 * was named or has a channel with us gets this many for itself; all others share as many. At 0.3 ms each.
 */
export const OFFER_CHECKS_AT_ONCE: number = MAX_OFFERS;
export const OFFER_CHECKS_PER_SECOND = 20;
/**
 * What a host says in its offer of the names that it keeps: 226 names. With it an offer of the usual two addresses and three services
 * has about 900 bytes.
 */
export const MAX_KEPT_NAME_BYTES = 512;
/** Services in an offer: relay, content, exit and a few of an operator's own. */
export const MAX_OFFER_SERVICES = 16;
/** How far ahead an offer may expire, milliseconds: what a dead node may linger. */
export const MAX_OFFER_LIFE_MILLIS: number = 24 * 60 * 60_000;
/** Offers in one answer: 62 of the largest fill a frame, 64 of the usual ones. */
export const MAX_OFFERS_PER_ANSWER = 64;
/** Questions for offers that are answered to one peer per second: a whole book, page by page, once. */
export const MAX_OFFER_QUESTIONS_PER_SECOND = 100;
/** Bytes of offers sent to one peer for free: a whole book of the largest at once, and a book of the usual ones in half a minute. */
export const OFFER_BURST_BYTES: number = MAX_OFFERS * MAX_OFFER_BYTES;
export const OFFER_BYTES_PER_SECOND: number = 64 * 1024;
/** Offers of its own that a peer may renew at once, and how long each takes to be allowed again, milliseconds: a check of two signatures each. */
export const OFFER_RENEWALS_AT_ONCE = 32;
export const OFFER_RENEWAL_REST_MILLIS = 15_000;
/** Sequences and expiries of offers are whole multiples of this, milliseconds, so that they show neither when a node started nor its clock. */
export const OFFER_STEP_MILLIS: number = 10 * 60_000;
/** Linked peers asked in one round of discovery. */
export const MAX_PEERS_ASKED = 16;
/** Addresses in an offer. */
export const MAX_ADDRESSES = 8;
/** One multiaddr as text. */
export const MAX_ADDRESS_BYTES = 256;

// --- paths ------------------------------------------------------------------------------------------------------------
/** Guards drawn at once, when there are none: several may be down together without another one being needed. */
export const SAMPLED_GUARDS = 6;
/** With fewer usable guards on offer, another one is drawn: a host of the same operator still leaves a choice. */
export const LEAST_GUARDS = 3;
/** Guards remembered, including those that are gone or were given up: the most relays that ever see where a client is. */
export const MAX_GUARDS = 24;
/** How long a guard is kept, milliseconds: drawn between these, so that neither a whole sample nor many clients change at once. */
export const GUARD_LIFE_LEAST_MILLIS: number = 60 * 24 * 60 * 60_000;
export const GUARD_LIFE_MOST_MILLIS: number = 120 * 24 * 60 * 60_000;
/** A guard that nobody offered for this long is forgotten, milliseconds; where there is no room for another one, sooner. */
export const GUARD_UNLISTED_MILLIS: number = 20 * 24 * 60 * 60_000;
export const GUARD_UNLISTED_LEAST_MILLIS: number = 24 * 60 * 60_000;
/** A guard that cannot be reached is tried again after so long, milliseconds; doubled each time up to the second. */
export const GUARD_RETRY_FIRST_MILLIS = 30_000;
export const GUARD_RETRY_LAST_MILLIS: number = 30 * 60_000;
/** The outcome of a circuit counts half as much after this long, milliseconds: days, so that an honest hour repairs nothing. */
export const PATH_HALF_LIFE_MILLIS: number = 7 * 24 * 60 * 60_000;
/** Circuits before a relay is judged: below that, chance explains the result. */
export const PATH_LEAST_CIRCUITS = 12;
/** Share of circuits that fail, for certain, from which on a relay is warned of and given up: an honest one's fail as often as malicious ones stand behind it. */
export const PATH_WARN_SHARE = 0.4;
export const PATH_GIVE_UP_SHARE = 0.6;
/** Guards that may be given up at the same time: if more fail, the fault is elsewhere. */
export const MAX_GIVEN_UP_GUARDS = 3;
/** Of this many operators one relay may be given up beside the guards: a guard that has others seem to fail must not choose the rest. */
export const OPERATORS_PER_GIVEN_UP = 8;
/** Relays whose circuits' outcomes are counted, per guard: about 100 bytes each on disk. */
export const MAX_COUNTED_RELAYS = 128;
/** Failures that one host counts against a guard in a day: it may fail all its circuits by itself. */
export const MAX_HOST_FAILURES = 3;
/** The same for all hosts together: an attacker that wants a client to leave its guard runs many. */
export const MAX_HOSTS_FAILURES = 9;
/** Circuits lost within this time of each other are one loss, milliseconds: a link that broke, or a node that went. */
export const LOSSES_APART_MILLIS = 2_000;

// --- content ------------------------------------------------------------------------------------------------------------
/** One block. UnixFS chunks are 1 MiB; directories of a few thousand entries stay below 2 MiB (larger ones are sharded). */
export const MAX_BLOCK_BYTES: number = 2 * MIB;
/** Binary CID: version, codec, sha2-256 multihash = 36 bytes; room for longer hashes. */
export const MAX_CID_BYTES = 63;
/** Blocks asked for ahead of need on one stream: 4 x 1 MiB covers the circuit window. */
export const MAX_BLOCKS_IN_FLIGHT = 8;
/** A registered name in bytes: its inlined host label (each "-" doubled) must fit 63 characters. */
export const MAX_NAME_BYTES = 58;
/** Hosts that one publish brings its content to: each is sent all of it, one after the other. */
export const MAX_REPLICAS = 16;
/** Hosts that say they keep a name and are asked whether they do: each is paid, and a claim costs nothing. */
export const MAX_VERIFIED_HOSTS = 32;
/** What is fetched of a site to know which blocks it has: folders of a million files. */
export const MAX_LISTING_BYTES: Bytes = bytes(64 * MIB);
/** The header of a CAR file, which is read whole: a thousand roots. Ours have one. */
export const MAX_CAR_HEADER_BYTES: Bytes = bytes(64 * 1024);
/** Blocks under one root: 64 GiB in 1 MiB chunks; what a host walks and indexes for one publish. */
export const MAX_BLOCKS_PER_ROOT = 65_536;
/** Levels of one file's or directory's tree: 1,024 links a node need 4 for a petabyte, sharded directories rarely 8. */
export const MAX_DAG_DEPTH = 32;
/** Path segments below a site's root. */
export const MAX_PATH_SEGMENTS = 64;
/** Blocks a publisher asks about at once: 128 x 36 bytes is one answer a round trip for 128 MiB. */
export const MAX_HAVE_BATCH = 128;
/** A manifest: all its texts at their longest, eight splits and a list of names take 7 KiB. */
export const MAX_MANIFEST_BYTES: number = 8 * 1024;
/** A profile: all its texts at their longest, eight links and eight wallets take 9 KiB. */
export const MAX_PROFILE_BYTES: number = 10 * 1024;
/** One tile of a map, packed or not: makers of vector tiles stop at 500 KB, pictures of 1,024 pixels rarely reach 2 MB. */
export const MAX_TILE_BYTES: number = 8 * MIB;
/** Tiles that are packed into one archive: a region to zoom 15. Where each one is and its hash take 200 bytes meanwhile: 400 MB. */
export const MAX_MAP_TILES = 2_097_152;
/** An MBTiles file, which is read whole, and held twice while it is opened. */
export const MAX_MBTILES_BYTES: Bytes = bytes(512 * MIB);
/** A directory of a map's archive, unpacked: half a million tiles. */
export const MAX_MAP_DIRECTORY_BYTES: number = 4 * MIB;
/** What an archive says of itself in JSON, unpacked: the statistics of a planet's layers take 300 KB. */
export const MAX_MAP_METADATA_BYTES: number = 4 * MIB;
/** Roots a host keeps for one name, and as many manifests: the one on chain, the one being published, and one late visitor's. */
export const MAX_ROOTS_PER_NAME = 4;
/** Roots of a name that its publisher keeps, to go back to: versions share what did not change between them. */
export const MAX_PUBLISHER_ROOTS = 8;
/** What was published from a data folder, entries for people: years of daily publishing, and a megabyte. */
export const MAX_PUBLISHED_KEPT = 4_096;
/** A publisher or visitor that sends nothing for this long is dropped, milliseconds. */
export const CONTENT_IDLE_MILLIS = 120_000;
/** A host that does not deliver a requested block in this time is unusable, milliseconds: a slow onion path takes 30 s for 1 MiB. */
export const BLOCK_WAIT_MILLIS = 60_000;
/**
 * A host that does not begin to answer on a new stream in this time is skipped, milliseconds: several round trips of an onion path.
 * The question is small, so that waiting longer brings nothing.
 */
export const FIRST_ANSWER_MILLIS = 15_000;
/** Blocks without a root (an interrupted publish) are kept this long so that it can resume, milliseconds. */
export const ORPHAN_BLOCK_MILLIS: number = 24 * 60 * 60_000;
/** How long a host keeps the content that the chain no longer names, milliseconds: visitors' name caches and what they are about to ask. */
export const SUPERSEDED_ROOT_MILLIS = 60_000;
/** It stays for downloads under way while one of its blocks was fetched so lately, milliseconds: a block of 1 MiB at 6 kB/s. */
export const SUPERSEDED_USE_MILLIS = 180_000;
/** And no longer than this in all, milliseconds: 200 MB at 20 kB/s. Who fetches a block now and then must not keep it for ever. */
export const SUPERSEDED_MOST_MILLIS: number = 3 * 60 * 60_000;
/** Bytes that a host keeps for such downloads in all, beside what the chain names; and at most this part of its quota. */
export const MAX_SUPERSEDED_BYTES: number = 4096 * MIB;
export const MAX_SUPERSEDED_PARTS = 8;

// --- updates and posts --------------------------------------------------------------------------------------------------
/** What an update or a post says, bytes: a page of text, or a few hundred positions. */
export const MAX_ENTRY_CONTENT_BYTES: number = 12 * 1024;
/** A signed one, with all that says by whom. */
export const MAX_ENTRY_BYTES: number = 14 * 1024;
/** The path that a thread is about, bytes. */
export const MAX_TOPIC_BYTES = 512;
/** How far ahead of a host's clock an entry may say that it was made, milliseconds. */
export const ENTRY_AHEAD_MILLIS: number = 2 * 60_000;
/** The longest that a page may write posts by one word of a wallet, milliseconds. */
export const MAX_PERMIT_MILLIS: number = 24 * 60 * 60_000;
/** The longest that an update may count, milliseconds. */
export const MAX_UPDATE_LIFE_MILLIS: number = 7 * 24 * 60 * 60_000;
/** Updates of a name that a host keeps: the newest, and a bounded history. */
export const MAX_UPDATES_KEPT = 32;
/** Entries of a thread that a host keeps, and those of one author among them: who wants to fill it needs many names. */
export const MAX_ENTRIES_PER_THREAD = 2_000;
export const MAX_ENTRIES_PER_AUTHOR = 100;
/** All that is said in a thread. */
export const MAX_THREAD_BYTES: Bytes = bytes(2 * MIB);
/** Threads of a name. */
export const MAX_THREADS_PER_NAME = 4_096;
/** Bytes that a host keeps for all updates and posts of one name. */
export const MAX_FEED_BYTES_PER_NAME: Bytes = bytes(32 * MIB);
/** What of that one author may take who is not its owner, and threads that one may begin: who wants to use all of it up needs many names. */
export const MAX_FEED_BYTES_PER_AUTHOR: Bytes = bytes(MIB);
export const MAX_THREADS_BEGUN = 64;
/** Entries of threads in memory: what is asked for again and again. */
export const MAX_FEED_CACHE_BYTES: Bytes = bytes(32 * MIB);
/** Posts that one author may bring to a host at once, and how long each takes to be allowed again, milliseconds. */
export const POSTS_AT_ONCE = 5;
export const POST_REST_MILLIS = 20_000;
/** The same of all authors together, in a thread and below a name: an owner has the time to see what many names do at once. */
export const THREAD_POSTS_AT_ONCE = 40;
export const THREAD_POST_REST_MILLIS = 2_000;
export const NAME_POSTS_AT_ONCE = 200;
export const NAME_POST_REST_MILLIS = 250;
/** Posts that a page may say at once through a gateway, and how long each takes to be allowed again, milliseconds. */
export const PAGE_POSTS_AT_ONCE = 5;
export const PAGE_POST_REST_MILLIS = 5_000;
/** How long after it was made a host still takes a post, milliseconds: what is older may have been removed where this host was not told. */
export const MAX_POST_AGE_MILLIS: number = 60 * 60_000;
/** How old what the ledger said of an author may be when a host tells posts of his, milliseconds: his name may be another's since. */
export const AUTHOR_RECORD_MILLIS = 30_000;
/**
 * Questions to the ledger that entries of strangers may cause at a host at once, and how long each takes to be allowed again, milliseconds;
 * and as many those of authors whom it knows.
 */
export const ENTRY_QUESTIONS_AT_ONCE = 32;
export const ENTRY_QUESTION_REST_MILLIS = 250;
/** Updates of one name that a host takes at once, and in each second: a position twice a second. */
export const UPDATES_AT_ONCE = 10;
export const UPDATES_PER_SECOND = 2;
/** Bytes of entries in one answer of a host, and entries. */
export const MAX_PAGE_BYTES: number = 64 * 1024;
export const MAX_PAGE_ENTRIES = 64;
/** A host that nobody tells anything new says so after this time, milliseconds. */
export const FEED_WAIT_MILLIS = 60_000;
/** Streams on which a host waits for something new, of all visitors. Where all are taken, the circuit that has the most gives one up. */
export const MAX_FEED_WAITS = 4_096;
/** Topics that a gateway follows at once: a stream each. */
export const MAX_FEED_VIEWS = 256;
/** Pages that follow updates and threads at a gateway, as events. */
export const MAX_FEED_WATCHERS = 1_024;
/** Those of one client address: more than anybody looks at, and enough for many behind one address. */
export const MAX_FEED_WATCHERS_PER_CLIENT = 256;
/** Authors of a thread whose profiles are read with it: each is three blocks that somebody pays for. */
export const MAX_THREAD_PROFILES = 32;
/**
 * Profiles that a page is told of at once, and how long each further one takes, milliseconds: a screen of authors, and not all names there
 * are, each of which its visitor pays for.
 */
export const PROFILES_AT_ONCE_PER_PAGE = 64;
export const PROFILE_REST_MILLIS = 500;
/** Names whose newest update a gateway remembers. */
export const MAX_SEEN_FEEDS = 4_096;
/** Removals, and what owners said of posts, that a gateway remembers for hosts that missed them. */
export const MAX_SEEN_REMOVALS = 16_384;
/** Ledger look-ups of a thread's authors at once. */
export const MAX_AUTHOR_LOOKUPS = 16;

// --- gateway --------------------------------------------------------------------------------------------------------------
/** How long a name's record is used again, milliseconds: a page's files share one look-up, an update shows within seconds. */
export const NAME_CACHE_MILLIS = 5000;
/** Manifests of names that a gateway remembers as verified, or as bad: usually 1 KiB each, 16 MiB in all at worst. */
export const MAX_KNOWN_MANIFESTS = 1024;
/** The same of profiles. */
export const MAX_KNOWN_PROFILES = 1024;
/** Pictures and films of which a gateway remembers that they are what their manifests say: about 200 bytes each. */
export const MAX_KNOWN_MEDIA = 8_192;
/** Of a picture of which forms are made, pixels: 100 million are 400 MB while they are turned. Small files can hold far more. */
export const MAX_PICTURE_PIXELS = 100_000_000;
/** Of the file of such a picture, bytes: it is read as a whole. */
export const MAX_PICTURE_BYTES: number = 128 * 1024 * 1024;
/** Of a poster that is made of a film, bytes: a page shows it before anything else. */
export const MAX_POSTER_BYTES: number = 4 * 1024 * 1024;
/** How long that may take for one film, milliseconds: half a minute is much for fifty frames of the largest. */
export const MAX_POSTER_MILLIS = 60_000;
/** Of the address space of the program that makes it: an 8K film takes a good 1 GiB. */
export const MAX_POSTER_MEMORY_BYTES: number = 2 * 1024 * 1024 * 1024;
/** Names remembered with their highest seq: about 1 KB each. */
export const MAX_CACHED_NAMES = 4096;
/** Directory and interior blocks a gateway keeps, bytes in all. */
export const MAX_DIRECTORY_CACHE_BYTES: number = 16 * MIB;
/** Leaves of files that a gateway keeps in memory, bytes in all: the pages of a day; films go through it. Less where the disk keeps them too. */
export const MAX_LEAF_CACHE_BYTES: number = 32 * MIB;
export const MAX_LEAF_CACHE_BESIDE_DISK_BYTES: number = 8 * MIB;
/** A whole answer that a gateway keeps to send it again, bytes: pages, styles and scripts; and all of them together. */
export const MAX_KEPT_ANSWER_BYTES: number = MIB / 4;
export const MAX_KEPT_ANSWERS_BYTES: number = 32 * MIB;
/** Files of a gateway's cache on disk: each costs some 200 bytes of memory and is listed at the start. */
export const MAX_CACHED_BLOCK_FILES = 200_000;
/** Leaf blocks one request reads ahead: 4 x 1 MiB keeps a circuit window busy and bounds a slow visitor's memory. */
export const REQUEST_READ_AHEAD = 4;
/**
 * Requests a gateway answers at once. Each of a visitor that stops reading holds 2.7 MiB (measured): 350 MiB in all, besides what is read
 * ahead. With a stream to its host for each, one circuit has room for them (MAX_STREAMS_PER_CIRCUIT).
 */
export const MAX_GATEWAY_REQUESTS = 128;
/** Of them, those that hold REQUEST_READ_AHEAD more blocks, because their visitors take them fast: 128 MiB. */
export const MAX_READERS_AHEAD = 32;
/** Who needs longer for a block is not read ahead for, milliseconds: below 8 Mbit/s, what waits in the socket covers the fetch of the next one. */
export const SLOW_VISITOR_MILLIS = 1000;
/** Who took nothing for so long makes way for others when all turns are taken, milliseconds: a block a minute is 17 kB/s. */
export const STALLED_VISIT_MILLIS = 60_000;
/** Requests that may wait for their turn; further visitors are told to come back. */
export const MAX_GATEWAY_QUEUE = 512;
/** How long a request waits for its turn, milliseconds, before its visitor is told to come back: no longer than people wait without a word. */
export const GATEWAY_QUEUE_MILLIS = 4000;
/** Requests that one connection may send before it has the answers: programs that do send ten; browsers send one. */
export const MAX_PIPELINED_REQUESTS = 16;
/** A visitor's connection without traffic is closed after this long, milliseconds: a paused video asks again by range. */
export const VISITOR_IDLE_MILLIS = 120_000;
/** Connections to the proxy of full mode, those through which sites are seen among them: eight browsers' worth (each has 32 to one proxy). */
export const MAX_PROXY_CONNECTIONS = 256;
/** TLS handshakes under way there, of all clients: about 60 KB each while they last. On loopback a client has any address that it likes. */
export const MAX_PROXY_HANDSHAKES = 64;
/** What a browser does at once on this machine: ask the proxy for a name, and agree on keys. Milliseconds for each. */
export const PROXY_HANDSHAKE_MILLIS = 10_000;
/** Bytes of the head of a request to that proxy. A browser's has less than one thousand. */
export const MAX_PROXY_HEAD_BYTES = 8_192;
/** Certificates of names that are kept ready there: 20 KB each. A page that names thousands costs a signature for each. */
export const MAX_LEAF_CERTIFICATES = 256;
/** How long a certificate of a name is good, milliseconds: made when it is asked for, so that a short time costs nothing. */
export const LEAF_CERTIFICATE_MILLIS: number = 7 * 86_400_000;
/** How long the authority that signs them is good, milliseconds: ten years, after which browsers have to be told anew. */
export const AUTHORITY_MILLIS: number = 3_652 * 86_400_000;
/** A visitor waits for the look-up of a name at most this long, milliseconds: with GATEWAY_QUEUE_MILLIS and VISIT_MILLIS, less than an idle connection is kept. */
export const NAME_WAIT_MILLIS = 25_000;
/** A visitor that got nothing for this long is told so, milliseconds: before its idle connection is closed without a word. */
export const VISIT_MILLIS = 90_000;
/**
 * Hosts tried for one visit: five dead ones leave others. An attacker that makes a site's hosts seem dead gets its own asked sooner, so
 * the number is limited.
 */
export const MAX_VISIT_HOSTS = 8;
/** Rules of sites' `_headers` that a gateway keeps, bytes of their files in all: each request of a site asks for them. */
export const MAX_RULES_CACHE_BYTES: number = 2 * MIB;
/** Entries shown in a directory listing. */
export const MAX_LISTED_ENTRIES = 2000;
/** Letters of their names together: as many as that many names of file systems have. Some are three times as long in an address. */
export const MAX_LISTED_LETTERS: number = MIB / 2;
/** Streams kept open for the next request to the same site. */
export const MAX_IDLE_CONTENT_STREAMS = 8;
/** Sites whose route and idle streams a gateway keeps: more than a household visits at a time. */
export const MAX_SITE_POOLS = 128;
/** Pages that may watch the marketplace live at once. */
export const MAX_MARKET_WATCHERS = 32;

// --- statements of delivery -------------------------------------------------------------------------------------------
/** A statement with the longest names: its fields beside them, two texts and the signature. */
export const MAX_STATEMENT_BYTES: number = 1 + 32 + 32 + 64 + 16 + 4 + 4 + 8 + 8 + 2 * (2 + MAX_NAME_BYTES) + 64;
/** Bytes of blocks after which a visitor asks the host for a statement: what is not stated when either of them dies. */
export const STATEMENT_EVERY_BYTES: number = 4 * MIB;
/** How long a stream is not used until a statement is asked for on it, milliseconds: a page's requests come within it. */
export const STATEMENT_REST_MILLIS = 5_000;
/** How long a gateway that stops waits for the last statements, milliseconds. */
export const STATEMENT_LAST_MILLIS = 3_000;
/** Statements that a gateway keeps for one name, and in all: 3 MiB. Without a limit, a name without an inbox would fill its memory. */
export const MAX_STATEMENTS_OF_NAME = 1_024;
export const MAX_STATEMENTS_KEPT = 8_192;
/** How long a gateway keeps one for an owner without an inbox, milliseconds. */
export const STATEMENT_KEPT_MILLIS: number = 14 * 86_400_000;
/** Between these a gateway draws how long a statement waits at least until it is handed over, milliseconds: it must not tell when somebody read. */
export const STATEMENT_DELAY_LEAST_MILLIS: number = 3_600_000;
export const STATEMENT_DELAY_MOST_MILLIS: number = 12 * 3_600_000;
/** Statements in one batch: who sends them is one visitor for all that is in it, so they are few. */
export const MAX_STATEMENTS_IN_BATCH = 16;
/** Batches that an inbox reads at once; further streams are refused, and their senders come again. */
export const MAX_BATCHES_AT_ONCE = 32;
/** Statements that an inbox keeps, 16 MiB on disk. Those of whoever has the most make room. */
export const MAX_INBOX_STATEMENTS = 32_768;
/** How old the statements are that an inbox takes, milliseconds: twice as old as gateways keep them. */
export const STATEMENT_OLD_MILLIS: number = 28 * 86_400_000;
/** Names and wallets that an inbox remembers what the ledger said of, and for how long, milliseconds. */
export const MAX_INBOX_ANSWERS = 1_024;
export const INBOX_ANSWER_MILLIS: number = 10 * 60_000;
/** Questions to the ledger that strangers' statements may cause at once, and how long each takes to be allowed again, milliseconds. */
export const INBOX_QUESTIONS_AT_ONCE = 16;
export const INBOX_QUESTION_REST_MILLIS = 2_000;
/** How often a gateway looks for statements to hand over, milliseconds. One batch for an inbox each time, on a circuit of its own. */
export const STATEMENT_ROUND_MILLIS: number = 10 * 60_000;

// --- selling to visitors ----------------------------------------------------------------------------------------------
/** A payment in a header: a transaction in base64 twice, and the offer that it answers. Node takes 16 KiB of heads in all. */
export const MAX_PAYMENT_HEADER: number = 8 * 1024;
/** Purchases that are remembered, 1 KiB each at most in memory. When all are of use still, nothing more is sold. */
export const MAX_PURCHASES = 16_384;
/** Payments that are looked at or wait for the chain at once; further ones are told to come back. */
export const MAX_PAYMENTS_AT_ONCE = 64;
/** How long a visitor waits for its payment to be confirmed, milliseconds. What comes later counts when the payment is shown again. */
export const PAYMENT_WAIT_MILLIS = 60_000;
/** How long an offer may be taken, milliseconds: a wallet asks its owner, who reads. */
export const OFFER_MILLIS: number = 10 * 60_000;
/** How long bought bytes may be fetched, milliseconds. */
export const QUOTA_MILLIS: number = 30 * 86_400_000;
/** Payments that failed on chain after they had looked good, in an hour; then nothing more is sold for a while. Each costs a fee: 0.0012 SOL in all. */
export const MAX_FAILED_PAYMENTS_PER_HOUR = 100;
/** Of one wallet, in an hour, those that expired included: each has held a place for a minute. */
export const MAX_FAILED_PAYMENTS_PER_PAYER = 3;
/** How often what was sent of quotas is written down, milliseconds: what a crash forgets. */
export const QUOTA_WRITE_MILLIS = 1_000;
/** Least size of a quota, bytes: below it the network's fee is most of the price. */
export const LEAST_QUOTA_BYTES: number = MIB;

// --- signing in --------------------------------------------------------------------------------------------------------
/** How long what a wallet is asked to sign may be signed, milliseconds: time to read it and to find a hardware wallet. */
export const SIGN_IN_MILLIS: number = 5 * 60_000;
/** How far clocks may be apart where several instances share a store, milliseconds. Wallets allow the same. */
export const SIGN_IN_SKEW_MILLIS: number = 10 * 60_000;
/** Letters of a client's name in what a wallet signs: an origin, mostly. More would push the rest off a small screen. */
export const MAX_SIGN_IN_CLIENT_LETTERS = 64;
/** Letters of what a sign-in is called: ids have 21 to 43. */
export const MAX_SIGN_IN_REQUEST_LETTERS = 128;
/** For how long what visitors of an issuer do is counted, milliseconds. */
export const SIGN_IN_COUNT_MILLIS: number = 15 * 60_000;
/** Sign-ins that one address begins in that time: an office behind one address has that many people. Each is kept for a while. */
export const MAX_SIGN_INS_PER_ADDRESS = 600;
/** The same of all together: 22 a second, for ever. Each takes at most 8 KiB of the disk for that time and 2 KiB for two hours: half a GB. */
export const MAX_SIGN_INS: number = 20_000;
/** Clients that one address registers in that time: a developer who tries things out. */
export const MAX_REGISTRATIONS_PER_ADDRESS = 20;
/** The same of all together. What nobody uses is forgotten in a day: 48,000 clients of at most 8 KiB. */
export const MAX_REGISTRATIONS = 500;
/** What a client says of itself, characters: a page of addresses. */
export const MAX_CLIENT_LETTERS = 8_192;
/** Addresses that are counted by themselves at once; those above share one count. */
export const MAX_COUNTED_ADDRESSES = 10_000;
/** A fetch of what strangers name: everything of it, from the look-up to the last byte, milliseconds. */
export const STRANGERS_MILLIS = 2_500;
/** The answer, bytes: a description of a client, or a few keys. */
export const MAX_STRANGERS_BYTES = 5_120;
/** Names of strangers that are looked up at once. The resolver has four threads, which files use too. */
export const STRANGERS_LOOK_UPS_AT_ONCE = 2;
/** Such fetches at once, and how long each takes to be allowed again, milliseconds: 20 a second. */
export const STRANGERS_AT_ONCE = 16;
export const STRANGERS_REST_MILLIS = 50;
/** The same of one host: ours must be no means to flood another. 8 at once, then one in two seconds. */
export const STRANGERS_OF_HOST = 8;
export const STRANGERS_OF_HOST_REST_MILLIS = 2_000;
/** Answers that are remembered, with their headers, of which there are 16 KiB at most: 10 MiB. And for how long, milliseconds; those that were none, for less. */
export const STRANGERS_KEPT = 512;
export const STRANGERS_KEPT_MILLIS = 60_000;
export const STRANGERS_FAILED_MILLIS = 10_000;
/** Logouts that are told to sites at once, and with those that wait for a turn; what comes beyond is not told. Nobody waits longer than ten seconds. */
export const LOGOUTS_AT_ONCE = 32;
export const MAX_LOGOUTS_WAITING = 128;
/** Path and query of a request to an issuer: with the longest state that clients send. What it asks is kept with the sign-in. */
export const MAX_SIGN_IN_URL_LETTERS = 8_192;
/** What a wallet signs: as a memo, with its transaction around it, it fits a packet of 1,232 bytes. */
export const MAX_SIGN_IN_MESSAGE_BYTES = 1024;

/** What wears a node down for next to nothing, each at the height at which it was seen to work. All of it goes to one relay on loopback. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { elapsed } from '../../core/abort.ts';
import { isRelaymintError } from '../../core/errors.ts';
import { ledgerAddress } from '../../core/ids.ts';
import { MAX_CIRCUITS_PER_LINK } from '../../core/limits.ts';
import { silentLog, systemClock } from '../../core/ports.ts';
import { every } from '../../core/repeat.ts';
import { pricePerMiB, unixMillis } from '../../core/units.ts';
import { openNode, type RunningNode } from '../../app/node/node.ts';
import { signOffer, type SignedOffer } from '../../node/offer/index.ts';
import { walletBindingMessage } from '../../platform/keys/binding.ts';
import { identityFromSeed, type NodeIdentity } from '../../platform/keys/identity.ts';
import { encodeAnswer, encodeQuestion } from '../../node/discovery/messages.ts';
import { FrameType, createLinkManager, type Link } from '../../node/link/index.ts';
import { createPolicy, createTcpTransport } from '../../node/transport/index.ts';
import { settingsOf } from '../path/peers/node.ts';
import type { AttackerConfig, FloodName } from './protocol.ts';

/** Connections a second: as over one circuit of Tor. */
const SOCKETS_PER_SECOND = 300;
/** So long until as many wait as ever will. */
const SOCKETS_MILLIS = 5_000;
const OFFERS_PER_SECOND = 1500;
/** Just below what ends the link. */
const QUESTIONS_PER_SECOND = 90;
const FREE_LINKS = 2;
const PAYERS = 4;
/** CREATEs that one payer has under way. */
const CREATES_AT_ONCE = 64;
const OFFERS_A_PAGE = 60;
const TURN_MILLIS = 10;
const RETRY_MILLIS = 50;

/** Each resolves once it runs at its full height, and goes on until the process ends. */
export const START: Readonly<Record<FloodName, (config: AttackerConfig) => Promise<void>>> = {
  'silent-sockets': (config) => floodSockets(config, undefined),
  'half-handshakes': async (config) => floodSockets(config, await clientHello()),
  'create-flood': floodCreates,
  'offer-flood': floodOffers,
  'offers-wanted-flood': floodQuestions,
  'slot-jamming': jamSlots,
  'offer-book-flood': fillBook,
};

/** Runs `act` so often a second, in turns. */
function repeatedly(perSecond: number, act: () => void): void {
  const began = performance.now();
  let done = 0;
  every(TURN_MILLIS, () => {
    const due = ((performance.now() - began) / 1000) * perSecond;
    for (; done < due; done += 1) act();
  });
}

// --- connections --------------------------------------------------------------------------------------------------------

async function floodSockets({ relay }: AttackerConfig, first: Buffer | undefined): Promise<void> {
  const port = Number(relay.addresses[0]?.split('/').at(-1));
  repeatedly(SOCKETS_PER_SECOND, () => {
    const socket: Socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => {}).resume();
    if (first !== undefined) socket.write(first);
  });
  await elapsed(SOCKETS_MILLIS, undefined);
}

/** What a TLS client says first. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    connectTls({ socket: wire, minVersion: 'TLSv1.3', ecdhCurve: 'X25519', ALPNProtocols: ['relaymint/1'] }).on(
      'error',
      () => {},
    );
  });
}

// --- links without a channel --------------------------------------------------------------------------------------------

async function freeLink({ relay }: AttackerConfig): Promise<{ readonly link: Link; readonly identity: NodeIdentity }> {
  const identity = identityFromSeed(randomBytes(32));
  const policy = createPolicy({ transports: [createTcpTransport()], outbound: 'loopback' });
  const links = createLinkManager({ identity, policy, clock: systemClock, log: silentLog });
  return { link: await links.connect(relay.nodeId, relay.addresses), identity };
}

function offerOf(identity: NodeIdentity, sequence: bigint): SignedOffer {
  const wallet = identityFromSeed(randomBytes(32));
  return signOffer(
    {
      onionKey: randomBytes(32),
      wallet: ledgerAddress(wallet.publicKey),
      walletBinding: wallet.sign(walletBindingMessage(identity.nodeId)),
      addresses: [`/ip4/127.0.0.1/tcp/${1024 + Number(sequence % 60_000n)}`],
      services: [{ name: 'relay', price: pricePerMiB(1n) }],
      sequence,
      expires: unixMillis(Date.now() + 24 * 60 * 60_000),
    },
    identity,
  );
}

async function floodOffers(config: AttackerConfig): Promise<void> {
  for (let count = 0; count < FREE_LINKS; count += 1) {
    const { link, identity } = await freeLink(config);
    const offers = Array.from({ length: 200 }, (_, index) => offerOf(identity, BigInt(index + 1)).encoded);
    let next = 0;
    repeatedly(OFFERS_PER_SECOND, () => {
      const offer = offers[next % offers.length];
      next += 1;
      if (offer !== undefined) link.send(FrameType.OFFER, 0, offer);
    });
  }
}

async function floodQuestions(config: AttackerConfig): Promise<void> {
  for (let count = 0; count < FREE_LINKS; count += 1) {
    const { link } = await freeLink(config);
    link.handle(FrameType.OFFERS, () => {});
    const question = encodeQuestion({ count: OFFERS_A_PAGE, after: undefined });
    repeatedly(QUESTIONS_PER_SECOND, () => link.send(FrameType.OFFERS_WANTED, 0, question));
  }
}

/** Tells whoever asks of nodes without end. Running once the relay has asked. */
async function fillBook(config: AttackerConfig): Promise<void> {
  const asked: Promise<void>[] = [];
  for (let count = 0; count < FREE_LINKS; count += 1) {
    const { link } = await freeLink(config);
    asked.push(
      new Promise((resolve) => {
        link.handle(FrameType.OFFERS_WANTED, () => {
          resolve();
          const offers = Array.from({ length: OFFERS_A_PAGE }, () => offerOf(identityFromSeed(randomBytes(32)), 1n));
          link.send(FrameType.OFFERS, 0, encodeAnswer(offers, true));
        });
      }),
    );
  }
  await Promise.race(asked);
}

// --- payers -------------------------------------------------------------------------------------------------------------

async function openPayers({ relay, ledgerUrl, programId, directory }: AttackerConfig): Promise<RunningNode[]> {
  const payers: RunningNode[] = [];
  for (let index = 0; index < PAYERS; index += 1) {
    const label = `attacker-${index}`;
    const node = await openNode(
      settingsOf({
        kind: 'node',
        way: { transport: 'tcp' },
        part: 'initiator',
        label,
        dataDir: path.join(directory, label),
        ledgerUrl,
        programId,
        metered: true,
        path: [relay],
      }),
    );
    await node.announce();
    payers.push(node);
  }
  return payers;
}

/** False when the relay refused it. */
async function create(node: RunningNode, { relay }: AttackerConfig, keep: boolean): Promise<boolean> {
  const offer = node.discovery.book.get(relay.nodeId);
  if (offer === undefined) return false;
  try {
    const circuit = await node.circuits.createCircuit([offer], { service: 'relay' });
    if (!keep) circuit.destroy();
    return true;
  } catch (error) {
    if (!isRelaymintError(error)) throw error;
    return false;
  }
}

async function floodCreates(config: AttackerConfig): Promise<void> {
  const payers = await openPayers(config);
  const flood = async (node: RunningNode): Promise<void> => {
    for (;;) if (!(await create(node, config, false))) await elapsed(TURN_MILLIS, undefined);
  };
  await Promise.all(payers.map((node) => create(node, config, false)));
  for (const node of payers) for (let count = 0; count < CREATES_AT_ONCE; count += 1) void flood(node);
}

/** Takes every circuit that it is given, and has given back at once what it loses. Running once the first loses some. */
async function jamSlots(config: AttackerConfig): Promise<void> {
  const payers = await openPayers(config);
  const jam = async (node: RunningNode): Promise<void> => {
    while (node.circuits.stats().initiated < MAX_CIRCUITS_PER_LINK) {
      if (!(await create(node, config, true))) await elapsed(RETRY_MILLIS, undefined);
    }
  };
  await Promise.all(payers.map(jam));
  every(1000, () => {
    for (const node of payers) void jam(node);
  });
}

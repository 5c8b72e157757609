/** `relaymint tor address | connect | discover | advertise`: nodes that are reached through Tor. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { shortId, type NodeId } from '../../core/ids.ts';
import { systemClock } from '../../core/ports.ts';
import { formatCredits } from '../../core/units.ts';
import { createDiscovery, createOfferBook, parsePeer, type PeerAddress } from '../../node/discovery/index.ts';
import { createLinkManager, nodeAt, type LinkManager } from '../../node/link/index.ts';
import {
  appendAccess,
  clientKeyText,
  createClientKey,
  createPolicy,
  isHidden,
  onionKeyOf,
  onionMultiaddr,
  parseAddress,
  readOnion,
} from '../../node/transport/index.ts';
import { callControl, readControlFile } from '../../app/control/index.ts';
import { watchLifecycle, type Lifecycle } from '../../app/lifecycle.ts';
import {
  ONION_PORT,
  flagsOnly,
  grammar,
  list,
  nodeFolderSection,
  outboundSection,
  place,
  required,
  valuesOf,
  type NodeFolder,
  type TorValues,
  type ValuesOf,
} from '../../app/config/index.ts';
import { addCommonOptions, addTorOptions, outboundOf, type CommonOptions } from '../options.ts';
import { counted, createLog, createOutput, table } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { NODE_KEY_FILE, openOutbound } from '../../app/node/index.ts';
import type { SignedOffer } from '../../node/offer/index.ts';
import { newIdentity } from '../../platform/keys/identity.ts';
import { readNodeKey } from '../../platform/keys/key-file.ts';

/** A node, or the one that answers at an address. */
interface OnionPeer {
  readonly nodeId: NodeId | undefined;
  readonly address: string;
}

const discoverSection = flagsOnly({
  bootstrap: list(
    '--bootstrap <node@address>',
    grammar(parseOnionPeer),
    'a node to ask: NODEID@/onion3/ADDRESS:PORT or ADDRESS.onion (repeatable)',
    { required: true },
  ),
});

const clientKeySection = flagsOnly({
  out: required('--out <file>', place, 'file for the private half (created with mode 0600)'),
});

type FolderOptions = CommonOptions & NodeFolder;
type VisitOptions = CommonOptions & TorValues;
type DiscoverOptions = VisitOptions & ValuesOf<typeof discoverSection>;
type ClientKeyOptions = CommonOptions & ValuesOf<typeof clientKeySection>;

export function torNetworkCommands(tor: Command): void {
  folderCommand(tor, 'address', "show a node's onion address")
    .description('The address is derived from the node key: it is known before tor runs, and it never changes.')
    .action(address);
  addTorOptions(addCommonOptions(tor.command('connect').summary('reach a node through Tor and show its offer')))
    .description('Opens a link with a key made for this one visit, measures the round trip and shows the offer.')
    .argument(
      '<peer>',
      'ADDRESS.onion, ADDRESS.onion:PORT or NODEID@/onion3/ADDRESS:PORT',
      argumentOf(grammar(parseOnionPeer)),
    )
    .addHelpText('after', `\nExample:\n  relaymint tor connect ${'x'.repeat(8)}..${'x'.repeat(8)}.onion\n`)
    .action(connect);
  const discovering = tor.command('discover').summary('ask nodes through Tor who offers a service');
  addSettings(addTorOptions(addCommonOptions(discovering)), discoverSection)
    .description('Asks the bootstrap nodes for the offers they know, and shows those with an onion address.')
    .argument('[service]', 'relay, content, publish or another one (default: any)')
    .action(discover);
  const making = tor.command('client-key').summary('make a key that lets one client find a private node');
  addSettings(addCommonOptions(making), clientKeySection)
    .description(
      'Prints the public half, for --onion-client on the node, and appends the private half to a file, for --onion-auth on the client.',
    )
    .argument('<address>', 'ADDRESS.onion of the node', argumentOf(grammar((text) => readOnion(text).onion)))
    .action(clientKey);
  folderCommand(tor, 'advertise', 'make a running node send its offer to its peers now')
    .description('A running node does this by itself every hour and a half; this command makes it do so at once.')
    .action(advertise);
}

function folderCommand(tor: Command, name: string, summary: string): Command {
  return addSettings(addCommonOptions(tor.command(name).summary(summary)), nodeFolderSection);
}

function parseOnionPeer(text: string): OnionPeer {
  if (text.includes('@')) return parsePeer(text);
  const [, host = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const { onion } = readOnion(host);
  return { nodeId: undefined, address: onionMultiaddr(onion, port === undefined ? ONION_PORT : Number(port)) };
}

async function address(options: FolderOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using identity = await readNodeKey(path.join(options.data, NODE_KEY_FILE));
  using key = onionKeyOf(identity);
  const multiaddr = onionMultiaddr(key.onion, ONION_PORT);
  output.value({ nodeId: identity.nodeId, onion: `${key.onion}.onion`, address: multiaddr });
  output.line(`${key.onion}.onion\nOthers join with: --bootstrap ${identity.nodeId}@${multiaddr}`);
}

async function clientKey(onion: string, { json, out: file }: ClientKeyOptions): Promise<void> {
  const output = createOutput(json === true);
  const { publicKey, privateKey } = createClientKey();
  try {
    await appendAccess(file, onion, privateKey);
  } finally {
    privateKey.fill(0);
  }
  const text = clientKeyText(publicKey);
  output.value({ onion: `${onion}.onion`, publicKey: text, file });
  output.line(`${text}\nThe node needs: --onion-client ${text}\nThe client needs: --onion-auth ${file}`);
}

interface Visitor extends AsyncDisposable {
  readonly links: LinkManager;
  /** With the id of the node that answers, if none was given. */
  identify(peer: OnionPeer, signal: AbortSignal): Promise<PeerAddress>;
}

/** Links with a node key that is discarded afterwards, only over Tor. */
function openVisitor(options: VisitOptions): Visitor {
  const stack = new AsyncDisposableStack();
  const log = createLog(options.logLevel, 'tor');
  const identity = stack.use(newIdentity());
  const { policy } = stack.use(
    openOutbound(outboundOf({ ...valuesOf(outboundSection), ...options, anonymize: 'tor' }), log),
  );
  const links = stack.use(createLinkManager({ identity, policy, clock: systemClock, log }));
  return {
    links,
    identify: async ({ nodeId: named, address: at }, signal) => ({
      nodeId: named ?? (await nodeAt(at, { identity, policy, signal })),
      address: at,
    }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function connect(target: OnionPeer, options: VisitOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using visitor = openVisitor(options);
  const peer = await visitor.identify(target, lifecycle.signal);
  const began = performance.now();
  const link = await visitor.links.connect(peer.nodeId, [peer.address], { signal: lifecycle.signal });
  const connectMillis = Math.round(performance.now() - began);
  const rttMillis = Math.round(await link.ping(lifecycle.signal));
  const { offer } = link;
  if (target.nodeId === undefined) assertOwnAddress(peer, offer);
  output.value({
    nodeId: link.peer,
    transport: link.transport,
    connectMillis,
    rttMillis,
    ...(offer === undefined ? {} : offerTexts(offer)),
  });
  output.line(
    [
      `Node ${link.peer} answers through ${link.transport === 'tor' ? 'Tor' : link.transport}: connected in ${connectMillis} ms, round trip ${rttMillis} ms.`,
      offer === undefined ? '  It offers nothing.' : `  sells    ${servicesText(offer) || 'nothing'}`,
      ...(offer === undefined
        ? []
        : [`  wallet   ${offer.wallet}`, `  address  ${offer.addresses.join(', ') || 'none'}`]),
    ].join('\n'),
  );
}

/**
 * An address alone names the holder of its key, who may lead visitors to any node: the node itself must confirm the address.
 * @throws RelaymintError PEER_IDENTITY_MISMATCH.
 */
function assertOwnAddress(peer: PeerAddress, offer: SignedOffer | undefined): void {
  const onionOfAddress = (address: string): string | undefined => {
    const destination = parseAddress(address);
    return destination?.kind === 'onion' ? destination.onion : undefined;
  };
  const onion = onionOfAddress(peer.address);
  if (offer?.addresses.some((address) => onionOfAddress(address) === onion) === true) return;
  throw new RelaymintError(
    'PEER_IDENTITY_MISMATCH',
    `Node ${peer.nodeId} answers at ${onion}.onion, but its offer does not name that address.`,
    { remedy: `If it is the node you mean, use ${peer.nodeId}@${peer.address}.` },
  );
}

async function discover(service: string | undefined, options: DiscoverOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using visitor = openVisitor(options);
  const book = createOfferBook({ clock: systemClock });
  const log = createLog(options.logLevel, 'tor');
  const bootstrap: PeerAddress[] = [];
  for (const peer of options.bootstrap) {
    try {
      bootstrap.push(await visitor.identify(peer, lifecycle.signal));
    } catch (error) {
      log.debug({ address: peer.address, err: error }, 'a bootstrap peer could not be reached');
    }
  }
  await using discovery = createDiscovery({ links: visitor.links, book, clock: systemClock, log, bootstrap });
  await discovery.refresh(lifecycle.signal);
  assertReached(visitor.links, lifecycle);
  const offers = (service === undefined ? book.all() : book.find(service)).filter(({ addresses }) =>
    addresses.some(isHidden),
  );
  output.value(offers.map((offer) => ({ nodeId: offer.nodeId, ...offerTexts(offer) })));
  const rows = offers.map((offer) => [
    `  ${shortId(offer.nodeId)}`,
    servicesText(offer),
    offer.addresses.filter(isHidden)[0] ?? '',
  ]);
  output.line(
    offers.length === 0
      ? `Nobody with an onion address offers ${service ?? 'anything'}.`
      : table([['  NODE', 'CREDITS PER MIB', 'ADDRESS'], ...rows]),
  );
}

function assertReached(links: LinkManager, { signal }: Lifecycle): void {
  assertNotAborted(signal, 'Looking for nodes');
  if (links.links().length > 0) return;
  throw new RelaymintError('NO_ROUTE', 'No bootstrap node could be reached through Tor.', {
    remedy: 'Try one with "relaymint tor connect" to see why.',
  });
}

async function advertise(options: FolderOptions): Promise<void> {
  const output = createOutput(options.json === true);
  const policy = createPolicy({ transports: [], outbound: 'loopback' });
  const control = await readControlFile(options.data);
  const told = await callControl(policy.fetch('control'), control, 'advertise');
  output.value(told);
  output.line(
    told.addresses.length === 0
      ? 'The node publishes no address: others know its offer but cannot dial it.'
      : `Told ${counted(told.peers, 'peer')}: ${told.addresses.join(', ')}`,
  );
}

function servicesText(offer: SignedOffer): string {
  return offer.services.map(({ name, price }) => `${name} ${formatCredits(price)}`).join(', ');
}

function offerTexts(offer: SignedOffer): object {
  return {
    wallet: offer.wallet,
    addresses: offer.addresses,
    services: offer.services.map(({ name, price }) => ({ name, pricePerMiB: price.toString() })),
  };
}

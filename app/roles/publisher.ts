/** Publishes a folder: imports it, brings it to a host over a paid circuit, and points the name at it on chain. */
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { CID } from 'multiformats/cid';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import { amount, formatCredits, type Amount, type UnixSeconds } from '../../core/units.ts';
import type { LedgerReader, NameRecord, RegistrationStep } from '../../ledger/contract.ts';
import { daysBetween, namePrice } from '../../ledger/term.ts';
import { PUBLISH_SERVICE, openBlockStore } from '../../sites/blocks/index.ts';
import { publishSite, type PublishProgress } from '../../sites/publish/index.ts';
import { importSite, type ImportProgress } from '../../sites/unixfs/index.ts';
import { createCircuitPool, sellersOf } from '../../node/tunnel/index.ts';
import { keepsName } from '../../node/offer/index.ts';
import type { OfferBook } from '../../node/discovery/index.ts';
import type { Published } from '../market/index.ts';
import { signerOf, type RunningNode, ChainView, pairsOf, watchTransports } from '../node/index.ts';

export interface PublishSettings {
  readonly directory: string;
  readonly name: string;
  /** Share of what hosts earn with the name, basis points; for a name that is registered now. */
  readonly royaltyBps: number;
  /** How long a name that is registered now is paid for, 1 .. 10. */
  readonly years: number;
  /** The hosts to bring it to, in that order; none: those that say they keep the name, then others, cheaper ones earlier more often. */
  readonly hosts: readonly NodeId[];
  /** How many of them are to have it, 1 .. MAX_REPLICAS. Fewer will do, with a warning; none will not. */
  readonly replicas: number;
  /** Paid relays between us and the host. */
  readonly relays: number;
  readonly signal: AbortSignal;
  readonly onImport: (progress: ImportProgress) => void;
  /** `replica` counts the hosts from 1. */
  readonly onUpload: (progress: PublishProgress, totalBytes: number, replica: number) => void;
  readonly onRegistration: (step: RegistrationStep) => void;
}

const CONTENT_DIRECTORY = 'content';

/** @throws RelaymintError NO_ROUTE (no host), NAME_TAKEN, INSUFFICIENT_FUNDS, CONTENT_REFUSED, ABORTED, .. Doing it again goes on where it stopped. */
export async function publish(node: RunningNode, settings: PublishSettings): Promise<Published> {
  const { name, signal } = settings;
  assertNotAborted(signal, 'Publishing');
  await using stack = new AsyncDisposableStack();
  const transports = watchTransports(node);
  const creditsBefore = (await node.ledger.balances(node.wallet.address)).credits;
  const registration = await openRegistration(node, settings);

  const store = stack.use(
    await openBlockStore({ directory: path.join(node.settings.dataDir, CONTENT_DIRECTORY), log: node.settings.log }),
  );
  const imported = await importSite(store, name, settings.directory, { signal, onProgress: settings.onImport });

  const hosts = await uploadToAll(node, settings, store, imported.root, imported.bytes);
  const change = await pointName(node, settings, imported.root, registration);
  // The books are final once the host has answered the circuit's end: that frame counts as well.
  await node.circuits.close();
  node.metering.flush();
  const channels = await new ChainView(node).channels();
  return {
    event: 'published',
    name,
    cid: imported.root.toString(),
    files: imported.files,
    bytes: imported.bytes,
    skipped: imported.skipped,
    hosts,
    nodeId: node.keys.identity.nodeId,
    wallet: node.wallet.address,
    creditsBefore: creditsBefore.toString(),
    ...change,
    pairs: pairsOf(node, channels, transports).filter((pair) => pair.side === 'pays'),
  };
}

type Store = Parameters<typeof publishSite>[0]['store'];

/**
 * To one host after the other, until enough have it: each is paid, and takes only what it lacks. One that fails is passed over
 * for the next. @returns those that have it all, at least one.
 */
async function uploadToAll(
  node: RunningNode,
  settings: PublishSettings,
  store: Store,
  root: CID,
  totalBytes: number,
): Promise<NodeId[]> {
  const candidates = settings.hosts.length > 0 ? settings.hosts : hostsFor(node.discovery.book, settings.name);
  const done: NodeId[] = [];
  let failure: unknown = new RelaymintError('NO_ROUTE', 'No known host takes content.', {
    remedy: 'Give --bootstrap with the address of a node that knows one.',
  });
  for (const host of new Set(candidates)) {
    if (done.length === settings.replicas) break;
    try {
      await upload(node, settings, store, { root, totalBytes, host, replica: done.length + 1 });
      done.push(host);
    } catch (error) {
      assertNotAborted(settings.signal, 'Publishing', 'Do it again: it goes on where it stopped.');
      failure = error;
      node.settings.log.warn({ host, err: error }, 'a host did not take the content');
    }
  }
  if (done.length === 0) throw failure;
  return done;
}

/** Who keeps an older state of the site comes first: visitors ask it already. */
export function hostsFor(book: OfferBook, name: string): NodeId[] {
  const keeps = (host: NodeId): boolean => {
    const offer = book.get(host);
    return offer !== undefined && keepsName(offer, name);
  };
  const sellers = sellersOf(book, PUBLISH_SERVICE);
  return [...sellers.filter(keeps), ...sellers.filter((host) => !keeps(host))];
}

async function upload(
  node: RunningNode,
  settings: PublishSettings,
  store: Store,
  { root, totalBytes, host, replica }: { root: CID; totalBytes: number; host: NodeId; replica: number },
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const pool = stack.use(
    createCircuitPool({
      endpoint: node.circuits,
      nodeId: node.keys.identity.nodeId,
      offers: node.discovery.book,
      guards: node.guards,
      service: PUBLISH_SERVICE,
      target: host,
      ...(node.settings.node.maxPrice === undefined ? {} : { maxPrice: node.settings.node.maxPrice }),
      settings: { minCircuits: 1, maxCircuits: 1 },
      log: node.settings.log,
    }),
  );
  await pool.buildTunnels(settings.relays, { signal: settings.signal });
  const circuit = await pool.circuit({ signal: settings.signal });
  const signer = signerOf(node.keys.walletKey);
  stack.defer(() => signer.close());
  await publishSite({
    openStream: (service, params, options) => circuit.openStream(service, params, options),
    host,
    store,
    name: settings.name,
    root,
    publisher: signer,
    signal: settings.signal,
    onProgress: (progress) => settings.onUpload(progress, totalBytes, replica),
  });
}

/** A name that is ours, or one that we are about to register for at most so much. */
type Registration = { readonly record: NameRecord } | { readonly record: undefined; readonly maxPrice: Amount };

/**
 * Looks whether the name can be ours before anything is paid for, and commits to it when it is free: the commitment ages
 * while the content is sent.
 */
async function openRegistration(
  node: RunningNode,
  { name, years }: Pick<PublishSettings, 'name' | 'years'>,
): Promise<Registration> {
  const { ledger, wallet } = node;
  const record = await ledger.name(name);
  if (record !== undefined && record.status !== 'expired') {
    if (record.owner === wallet.address || record.manager === wallet.address) return { record };
    throw new RelaymintError('NAME_TAKEN', `${name} belongs to another wallet.`, {
      remedy: 'Choose another name, or give the --data folder whose wallet.json owns it.',
    });
  }
  const [{ nameYearPrice: yearPrice }, now, { credits }] = await Promise.all([
    ledger.bank(),
    ledger.now(),
    ledger.balances(wallet.address),
  ]);
  const maxPrice = amount(BigInt(years) * yearPrice);
  const price = namePrice({ yearPrice, years, expiresAt: record?.expiresAt, now });
  if (price > maxPrice) {
    const text = formatCredits(price);
    throw new RelaymintError('INVALID_ARGUMENT', `${name} was given up recently and costs ${text} credits today.`, {
      remedy: `It costs less every day. To have it now: relaymint name register ${name} --max-price ${text}`,
    });
  }
  if (credits < price) {
    throw new RelaymintError(
      'INSUFFICIENT_FUNDS',
      `${name} costs ${formatCredits(price)} credits, the wallet has ${formatCredits(credits)}.`,
      { remedy: 'Buy credits with "relaymint wallet buy".', details: { has: String(credits), needs: String(price) } },
    );
  }
  await wallet.commitName(name);
  return { record: undefined, maxPrice };
}

async function pointName(
  { ledger, wallet }: RunningNode,
  { name, royaltyBps, years, signal, onRegistration }: PublishSettings,
  root: CID,
  registration: Registration,
): Promise<Pick<Published, 'record' | 'paid' | 'expiresAt' | 'daysLeft'>> {
  if (registration.record === undefined) {
    const { maxPrice } = registration;
    const record = { name, root: root.bytes, royaltyBps, years, maxPrice };
    const { paid, expiresAt } = await wallet.registerName(record, { signal, onStep: onRegistration });
    return { record: 'registered', paid: String(paid), ...(await termOf(ledger, expiresAt)) };
  }
  const { root: current, expiresAt } = registration.record;
  const term = { paid: '0', ...(await termOf(ledger, expiresAt)) };
  if (current.length > 0 && CID.decode(current).equals(root)) return { record: 'unchanged', ...term };
  await wallet.updateName(name, { root: root.bytes });
  return { record: 'updated', ...term };
}

async function termOf(
  ledger: LedgerReader,
  expiresAt: UnixSeconds | undefined,
): Promise<Pick<Published, 'expiresAt' | 'daysLeft'>> {
  if (expiresAt === undefined) return {};
  return { expiresAt: String(expiresAt), daysLeft: daysBetween(await ledger.now(), expiresAt) };
}

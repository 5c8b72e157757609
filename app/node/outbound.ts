/** The one place that composes a command's way out: its transports and its policy, from its settings. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import type { Log } from '../../core/ports.ts';
import {
  USUAL_PLACES,
  createDetectedTor,
  createI2pTransport,
  createPolicy,
  createTcpTransport,
  createTorTransport,
  managedTor,
  type DeclaredPurpose,
  type Endpoint,
  type I2pDestination,
  type I2pTransport,
  type OnionKey,
  type Phase,
  type Policy,
  type TorAuth,
  type TorrcService,
  type Transport,
} from '../../node/transport/index.ts';
import { defaultDataDir, type OutboundValues, type PeerValues } from '../config/index.ts';

/** What a node adds to the outbound settings of every command. */
export interface NodeOutbound {
  /** Undefined: 'optional', or 'tor-only' for an anonymous node. */
  readonly phase?: Phase | undefined;
  readonly prefer?: PeerValues['prefer'];
  /** What its role opens connections for. */
  readonly purposes?: readonly DeclaredPurpose[];
  /** Instead of TCP, Tor and I2P. */
  readonly transports?: readonly Transport[];
  /** Of its onion services. The caller disposes it after the outbound. */
  readonly onionKeys?: readonly OnionKey[];
  readonly torrcServices?: readonly TorrcService[];
  /** Where it is reached over I2P. The caller disposes it after the outbound. */
  readonly i2pDestination?: I2pDestination | undefined;
  /** Clients that may read how to reach them, x25519; none: everybody. */
  readonly onionClients?: readonly Uint8Array[];
  /** Folder for the sockets at which tor hands visitors over. */
  readonly targetDir?: string;
}

/** Of one visitor's circuit. A peer has one link and may try again while an older one dies; a peer that opens more loses them all. */
const MAX_STREAMS = 8;

export interface OpenOutbound extends AsyncDisposable {
  readonly policy: Policy;
}

/** Opens no socket. Disposing it takes onion services down; the holders of connections close them. */
export function openOutbound(settings: OutboundValues, log: Log, node: NodeOutbound = {}): OpenOutbound {
  const { anonymize, loopbackOnly } = settings;
  const tor = torTransport(settings, log, node);
  const i2p = i2pTransport(settings, log, node);
  const usual = [createTcpTransport(), tor, ...(i2p === undefined ? [] : [i2p])];
  const policy = createPolicy({
    transports: node.transports ?? usual,
    purposes: node.purposes ?? [],
    outbound: loopbackOnly === true ? 'loopback' : 'any',
    anonymize: anonymize !== undefined,
    phase: node.phase ?? (anonymize === undefined ? 'optional' : 'tor-only'),
    preferences: new Map(node.prefer ?? []),
  });
  return {
    policy,
    async [Symbol.asyncDispose]() {
      policy.close();
      await Promise.all([tor[Symbol.asyncDispose](), i2p?.[Symbol.asyncDispose]()]);
    },
  };
}

function torTransport(
  settings: OutboundValues,
  log: Log,
  reachable: NodeOutbound,
): ReturnType<typeof createDetectedTor> {
  const { torSocks, torControl, torPasswordFile } = settings;
  const auth = torPasswordFile === undefined ? undefined : readPassword(torPasswordFile);
  const create = (socks: Endpoint, control: Endpoint | undefined): ReturnType<typeof createTorTransport> =>
    createTorTransport({
      socks,
      ...(control === undefined ? {} : { control }),
      ...(auth === undefined ? {} : { auth }),
      ...(reachable.onionKeys === undefined ? {} : { keys: reachable.onionKeys }),
      ...(reachable.torrcServices === undefined ? {} : { services: reachable.torrcServices }),
      service: { clients: reachable.onionClients ?? [], maxStreams: MAX_STREAMS, proofOfWork: true },
      clientAuth: settings.onionAuth ?? [],
      ...(reachable.targetDir === undefined ? {} : { targetDir: reachable.targetDir }),
      log,
    });
  if (torSocks !== undefined) return create(torSocks, torControl);
  return createDetectedTor({
    // Our own tor daemon is looked for first.
    places: [managedTor(defaultDataDir('tor')), ...USUAL_PLACES],
    anonymous: settings.anonymize !== undefined,
    create: ({ socks, control }) => create(socks, torControl ?? control),
  });
}

function i2pTransport(
  { i2pSam: sam, i2pTunnels: tunnels }: OutboundValues,
  log: Log,
  { i2pDestination }: NodeOutbound,
): I2pTransport | undefined {
  if (sam === undefined) return undefined;
  return createI2pTransport({
    sam,
    tunnels: tunnels ?? {},
    log,
    ...(i2pDestination === undefined ? {} : { destinations: [i2pDestination] }),
  });
}

/** @throws RelaymintError FILE_NOT_FOUND. The password is in no message. */
function readPassword(file: string): TorAuth {
  try {
    return { kind: 'password', password: readFileSync(file, 'utf8').replace(/\r?\n$/, '') };
  } catch (cause) {
    throw new RelaymintError(
      'FILE_NOT_FOUND',
      `The password of tor's control port cannot be read from ${path.resolve(file)}.`,
      {
        remedy: 'Check --tor-password-file.',
        cause,
      },
    );
  }
}

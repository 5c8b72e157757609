/** The one place where a command's way out is composed: its transports and its policy, out of its settings. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { RelaymintError } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Log } from '../../core/ports.ts';
import {
  USUAL_PLACES,
  createDetectedTor,
  createI2pTransport,
  createPolicy,
  createTcpTransport,
  createTorTransport,
  managedTor,
  type Anonymizer,
  type Endpoint,
  type I2pDestination,
  type I2pTransport,
  type I2pTunnels,
  type OnionAccess,
  type OnionKey,
  type Outbound,
  type Phase,
  type Policy,
  type Preference,
  type TorAuth,
  type TorrcService,
  type Transport,
} from '../../node/transport/index.ts';

export interface OutboundSettings {
  readonly outbound: Outbound;
  readonly anonymize: Anonymizer | undefined;
  /** Where tor is; undefined: it is looked for when it is first needed. */
  readonly torSocks: Endpoint | undefined;
  readonly torControl: Endpoint | undefined;
  readonly torPasswordFile: string | undefined;
  /** Keys for private onion services of others. */
  readonly onionAccess: readonly OnionAccess[];
  /** Data directory of our own tor daemon, which is looked for first. */
  readonly torData: string;
  /** SAM of an I2P router; undefined: nothing goes over I2P. */
  readonly i2pSam: Endpoint | undefined;
  readonly i2pTunnels: Partial<I2pTunnels>;
  /** Undefined: 'optional', or 'tor-only' for who is anonymous. */
  readonly phase: Phase | undefined;
  readonly preferences: ReadonlyMap<NodeId, Preference>;
}

/** What a node that others reach adds. */
export interface ReachableOptions {
  /** Of its onion services. The caller disposes it after the outbound. */
  readonly onionKeys?: readonly OnionKey[];
  readonly torrcServices?: readonly TorrcService[];
  /** Where it is reached over I2P. The caller disposes it after the outbound. */
  readonly i2pDestination?: I2pDestination | undefined;
  /** Who may read how to reach them, x25519; none: everybody. */
  readonly onionClients?: readonly Uint8Array[];
  /** Folder for the sockets at which tor hands visitors over. */
  readonly targetDir?: string;
}

/** Of one visitor's circuit. A peer has one link and may try anew while an older one dies; who opens more loses them all. */
const MAX_STREAMS = 8;

export interface OpenOutbound extends AsyncDisposable {
  readonly policy: Policy;
}

/** Opens no socket. Disposing it takes onion services down; connections are their holders' to close. */
export function openOutbound(settings: OutboundSettings, log: Log, reachable: ReachableOptions = {}): OpenOutbound {
  const { outbound, anonymize, preferences } = settings;
  const tor = torTransport(settings, log, reachable);
  const i2p = i2pTransport(settings, log, reachable);
  const transports: Transport[] = [createTcpTransport(), tor, ...(i2p === undefined ? [] : [i2p])];
  const policy = createPolicy({
    transports,
    outbound,
    anonymize: anonymize !== undefined,
    phase: settings.phase ?? (anonymize === undefined ? 'optional' : 'tor-only'),
    preferences,
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
  settings: OutboundSettings,
  log: Log,
  reachable: ReachableOptions,
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
      clientAuth: settings.onionAccess,
      ...(reachable.targetDir === undefined ? {} : { targetDir: reachable.targetDir }),
      log,
    });
  if (torSocks !== undefined) return create(torSocks, torControl);
  return createDetectedTor({
    places: [managedTor(settings.torData), ...USUAL_PLACES],
    anonymous: settings.anonymize !== undefined,
    create: ({ socks, control }) => create(socks, torControl ?? control),
  });
}

function i2pTransport(
  { i2pSam: sam, i2pTunnels: tunnels }: OutboundSettings,
  log: Log,
  { i2pDestination }: ReachableOptions,
): I2pTransport | undefined {
  if (sam === undefined) return undefined;
  return createI2pTransport({
    sam,
    tunnels,
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

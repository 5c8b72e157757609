/** What tor's answers mean to us: SOCKS replies (RFC 1928), and tor's own about onion services (its proposal 304). */
import { RelaymintError, type ErrorCode } from '../../../core/errors.ts';
import { formatEndpoint, type Endpoint } from '../endpoint.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly says: string;
  readonly remedy: string;
}

const LATER = 'Try again in a moment.';
const OWNER = 'Check that the other node is running and announces its onion service.';
const CIRCUITS = 'Check that tor is connected with: relaymint tor status.';

/** To a host that is not an onion service: through an exit. */
const REPLIES: Readonly<Record<number, Meaning>> = {
  0x01: { code: 'TOR_CIRCUIT_FAILED', says: 'tor found no way there', remedy: CIRCUITS },
  0x02: {
    code: 'CONNECTION_REFUSED',
    says: 'no Tor exit allows this address and port',
    remedy: 'Use another port, or an onion address of the same service.',
  },
  0x03: { code: 'CONNECTION_REFUSED', says: 'the exit has no route there', remedy: LATER },
  0x04: { code: 'CONNECTION_REFUSED', says: 'the name is unknown or its host is away', remedy: 'Check the address.' },
  0x05: {
    code: 'CONNECTION_REFUSED',
    says: 'nobody listens on that port',
    remedy: 'Check the port and that the other side is running.',
  },
  0x06: { code: 'TIMEOUT', says: 'the other side does not answer', remedy: LATER },
  0x07: {
    code: 'SOCKS_FAILED',
    says: 'the proxy does not know the command CONNECT',
    remedy: 'Check that the setting names a SOCKS port of tor.',
  },
  0x08: {
    code: 'SOCKS_FAILED',
    says: 'the proxy does not take names',
    remedy: 'Check that the setting names a SOCKS port of tor.',
  },
};

/** To an onion service: general replies that mean something else there, and tor's own. */
const ONION_REPLIES: Readonly<Record<number, Meaning>> = {
  // The reply if the service's own end refuses the connection, after tor has tried three circuits.
  0x01: { code: 'ONION_UNREACHABLE', says: 'the onion service does not take the connection', remedy: OWNER },
  0x04: { code: 'ONION_UNREACHABLE', says: 'tor cannot reach the onion service', remedy: OWNER },
  0x06: { code: 'TOR_CIRCUIT_FAILED', says: 'tor built no circuit there in time', remedy: CIRCUITS },
  0xf0: { code: 'ONION_UNREACHABLE', says: 'this onion service is not published', remedy: OWNER },
  0xf1: {
    code: 'ONION_UNREACHABLE',
    says: 'what the onion service published about itself is not valid',
    remedy: 'Its owner has to start it again.',
  },
  0xf2: {
    code: 'ONION_UNREACHABLE',
    says: 'the onion service has left its introduction points: it stopped or moved on',
    remedy: OWNER,
  },
  0xf3: {
    code: 'TOR_CIRCUIT_FAILED',
    says: 'the onion service did not come to the rendezvous',
    remedy: LATER,
  },
  0xf4: {
    code: 'ONION_UNREACHABLE',
    says: 'the onion service is private and tor has no key for it',
    remedy: 'Ask its owner for a client key and add it to the settings.',
  },
  0xf5: {
    code: 'ONION_UNREACHABLE',
    says: 'the onion service is private and does not take the client key that tor has for it',
    remedy: 'Ask its owner whether the client key is still valid.',
  },
  0xf6: {
    code: 'ADDRESS_UNSUPPORTED',
    says: 'tor does not accept this as an onion address',
    remedy: 'Copy the address once more.',
  },
  0xf7: {
    code: 'TOR_CIRCUIT_FAILED',
    says: 'every circuit to the introduction points of the onion service took too long',
    remedy: LATER,
  },
};

/** The proxy's refusal of a connection to `host` as one of our errors; `details.reply` is its byte in hex. */
export function socksReplyError(reply: number, host: string, port: number): RelaymintError {
  const hex = reply.toString(16).toUpperCase().padStart(2, '0');
  const onion = host.endsWith('.onion') ? ONION_REPLIES[reply] : undefined;
  const { code, says, remedy } = onion ??
    REPLIES[reply] ?? {
      code: 'SOCKS_FAILED' as const,
      says: `the proxy gave the unknown answer ${hex}`,
      remedy: 'Check that the setting names a SOCKS port of tor.',
    };
  return new RelaymintError(code, `No connection to ${host} port ${port} through Tor: ${says}.`, {
    remedy,
    details: { reply: hex },
  });
}

/** The program at `endpoint` does not speak SOCKS as we need it. */
export function socksFailed(endpoint: Endpoint, says: string, remedy: string, cause?: unknown): RelaymintError {
  return new RelaymintError('SOCKS_FAILED', `The SOCKS proxy at ${formatEndpoint(endpoint)} ${says}.`, {
    remedy,
    cause,
  });
}

/** Nothing answers at `endpoint`, where tor's SOCKS port should be. */
export function torNotRunning(endpoint: Endpoint, cause: unknown): RelaymintError {
  return new RelaymintError('TOR_NOT_RUNNING', `Tor does not answer at ${formatEndpoint(endpoint)}.`, {
    remedy: 'Start it with: relaymint tor start, or install it: apt-get install tor.',
    cause,
  });
}

/** Tor neither connected nor said why in the time that a dial has. */
export function circuitFailed(host: string, port: number, millis: number, cause: unknown): RelaymintError {
  return new RelaymintError(
    'TOR_CIRCUIT_FAILED',
    `No connection to ${host} port ${port} through Tor: it built no circuit in ${millis} ms.`,
    { remedy: CIRCUITS, cause },
  );
}

/**
 * TLS 1.3 between node keys over any connection. No certificate authority is involved: TLS proves that the peer holds
 * the key of its certificate, and that key is the node id.
 */
import { constants } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { TLSSocket, connect, createSecureContext, type SecureContext } from 'node:tls';
import { RelaymintError, messageOf } from '../../core/errors.ts';
import { nodeId, shortId, type NodeId } from '../../core/ids.ts';
import { orAborted } from '../../core/abort.ts';
import { selfSigned } from './certificate.ts';
import { ED25519 } from '../../platform/keys/der.ts';
import { pem } from '../../platform/keys/pem.ts';
import type { NodeIdentity } from '../../platform/keys/identity.ts';

const ALPN = 'relaymint/1';
/** The first byte that a dialer of TLS sends. Its whole greeting is a few hundred bytes. */
export const TLS_FIRST_BYTE = 22;

export interface SecureConnection {
  readonly socket: TLSSocket;
  readonly peer: NodeId;
}

/** The identity's TLS context: about 1 ms to make, so once per node. */
export function createTlsContext(identity: NodeIdentity): SecureContext {
  const der = identity.exportKey();
  const key = pem('PRIVATE KEY', der);
  try {
    return createSecureContext({
      key,
      cert: pem('CERTIFICATE', selfSigned(identity)),
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      // ChaCha20 first: constant-time without hardware help, and as fast as AES here.
      ciphers: 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384',
      ecdhCurve: 'X25519',
      sigalgs: 'ed25519',
      // Every link proves both keys again: no session is ever resumed.
      secureOptions: constants.SSL_OP_NO_TICKET,
      honorCipherOrder: true,
    });
  } finally {
    der.fill(0);
    key.fill(0);
  }
}

/**
 * The dialer's side. `expected` is undefined if any node that proves its key may answer.
 * @throws RelaymintError PEER_IDENTITY_MISMATCH (somebody else answered), CONNECTION_LOST, TIMEOUT, ABORTED.
 */
export async function secureOutbound(
  connection: Duplex,
  context: SecureContext,
  expected: NodeId | undefined,
  signal: AbortSignal,
): Promise<SecureConnection> {
  const socket = connect({
    socket: connection,
    secureContext: context,
    ALPNProtocols: [ALPN],
    // The certificate is self-signed; the key in it is compared below.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  await established(socket, 'secureConnect', signal);
  const peer = identityOf(socket);
  if (expected !== undefined && peer !== expected) {
    socket.destroy();
    throw new RelaymintError(
      'PEER_IDENTITY_MISMATCH',
      `Node ${shortId(peer)} answered where ${shortId(expected)} was expected.`,
      { remedy: 'The address now belongs to another node, or somebody is in between: get a newer offer.' },
    );
  }
  return { socket, peer };
}

/** The listener's side: any node may come, but it must prove which one it is. @throws as secureOutbound does. */
export async function secureInbound(
  connection: Duplex,
  context: SecureContext,
  signal: AbortSignal,
): Promise<SecureConnection> {
  const socket = new TLSSocket(connection, {
    isServer: true,
    secureContext: context,
    ALPNProtocols: [ALPN],
    requestCert: true,
    rejectUnauthorized: false,
  });
  await established(socket, 'secure', signal);
  return { socket, peer: identityOf(socket) };
}

async function established(socket: TLSSocket, event: 'secureConnect' | 'secure', signal: AbortSignal): Promise<void> {
  const ready = new Promise<void>((resolve, reject) => {
    // Both listeners stay: after the promise has settled they change nothing, and no 'error' is ever unhandled.
    socket.on('error', (cause) => reject(lost(cause)));
    socket.on('close', () => reject(lost(undefined)));
    socket.once(event, () => resolve());
  });
  try {
    await orAborted(ready, signal, 'The TLS handshake');
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function lost(cause: Error | undefined): RelaymintError {
  const why = cause === undefined ? 'the other end hung up' : messageOf(cause);
  return new RelaymintError('CONNECTION_LOST', `The TLS handshake failed: ${why}.`, {
    remedy: 'Check that there is a Relaymint node at this address.',
    cause,
  });
}

function identityOf(socket: TLSSocket): NodeId {
  const key = socket.getPeerX509Certificate()?.publicKey;
  if (key?.asymmetricKeyType !== 'ed25519' || socket.alpnProtocol !== ALPN || socket.isSessionReused()) {
    socket.destroy();
    throw new RelaymintError('PEER_IDENTITY_MISMATCH', 'The other end did not present a node key.', {
      remedy: 'Check that there is a Relaymint node at this address.',
    });
  }
  return nodeId(ED25519.rawPublic(key));
}

/** Settings that decide who can reach a node, judged together. */
import { describe, expect, it } from 'vitest';
import {
  assertSafe,
  outboundSection,
  peerSection,
  phaseOf,
  reachSection,
  valuesOf,
  type NodeSettings,
} from '../../app/config/index.ts';

type Judged = Pick<NodeSettings, 'reach' | 'outbound' | 'peers'>;
/** Settings as they were said. */
const settings = (
  reach: Parameters<typeof valuesOf<NonNullable<NodeSettings['reach']>>>[1],
  anonymize?: 'tor',
): Judged => ({
  reach: valuesOf(reachSection, reach),
  outbound: valuesOf(outboundSection, { anonymize }),
  peers: valuesOf(peerSection),
});
/** As `relaymint tor client-key` prints one: 32 bytes in base32. */
const onionClient = `descriptor:x25519:${'A'.repeat(52)}`;

describe('client keys', () => {
  it.each([
    ['no location', {}],
    ['a service of the torrc', { location: 'onion:80:hiddenServiceDir=/srv/x' }],
    ['I2P beside it', { location: 'onion:80,i2p' }],
    ['every address beside it', { location: 'AUTODETECT,onion:80' }],
    ['an announced address', { location: 'onion:80', announce: '/ip4/192.0.2.1/tcp/4001' }],
    ['a listener on the network', { location: 'onion:80', listen: '/ip4/0.0.0.0/tcp/4001' }],
  ])('are refused with %s: it would stay open', (_what, reach) => {
    expect(() => assertSafe(settings({ ...reach, onionClient }))).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining('--onion-client') as string }),
    );
  });

  it('go with an onion service of ours alone', () => {
    const alone = { location: 'onion:80,UNREACHABLE', listen: '/ip4/127.0.0.1/tcp/0', onionClient };
    expect(() => assertSafe(settings(alone))).not.toThrow();
    expect(() => assertSafe(settings({ onionClient }, 'tor'))).not.toThrow();
  });
});

describe('the phase of a node', () => {
  it.each([
    ['onion:80', 'tor-only'],
    ['onion:80,i2p,UNREACHABLE', 'tor-only'],
    ['AUTODETECT,onion:80', undefined],
    ['UNREACHABLE', undefined],
  ])('with --location %s is %s', (text, phase) => {
    const said = settings({ location: text });
    expect(phaseOf(said)).toBe(phase);
    expect(phaseOf({ ...said, peers: { phase: 'optional', prefer: [] } })).toBe('optional');
  });
});

/** Settings that decide who can reach a node, judged together. */
import { describe, expect, it } from 'vitest';
import {
  assertSafe,
  hostName,
  ip,
  nodeSection,
  outboundSection,
  parseText,
  peerSection,
  phaseOf,
  reachSection,
  slotsOf,
  tillSection,
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

describe('settings of which one forbids what another asks for', () => {
  it.each([
    [{ opening: '5', maxOpening: '1' }, {}, '--opening 5 is more than --max-opening 1'],
    [{}, { slots: '100', maxSlots: '50' }, '--slots 100 is more than --max-slots 50'],
  ])('are refused before anything is paid: %j %j', (node, till, message) => {
    const said = { ...settings({}), node: valuesOf(nodeSection('relay'), node), till: valuesOf(tillSection, till) };
    expect(() => assertSafe(said)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(message) as string }),
    );
  });

  it('are taken where they agree', () => {
    const node = valuesOf(nodeSection('relay'), { opening: '1', maxOpening: '1' });
    for (const said of [{ slots: '50', maxSlots: '50' }, { maxSlots: '50' }]) {
      const till = valuesOf(tillSection, said);
      expect(() => assertSafe({ ...settings({}), node, till })).not.toThrow();
      expect(slotsOf(till)).toBe(50);
    }
  });
});

describe('where a gateway is', () => {
  it.each(['localhost', 'gateway.example', '127.0.0', '1.2.3.4:80', ''])('is no address: "%s"', (text) => {
    expect(() => parseText({ grammar: ip }, text)).toThrow('Write an IP address');
  });

  it.each(['127.0.0.1', '0.0.0.0', '::1'])('is %s', (text) => {
    expect(parseText({ grammar: ip }, text)).toBe(text);
  });

  it.each([
    'a b',
    'http://www.example.org',
    'www.example.org:80',
    '-a.example',
    '',
    'a..b',
    'a'.repeat(64),
    '[1.2.3.4]',
    'fd00::1',
  ])('has no such name: "%s"', (text) => {
    expect(() => parseText({ grammar: hostName }, text)).toThrow('without a port');
  });

  it('has a name in lower case, or an address as browsers send it', () => {
    expect(parseText({ grammar: hostName }, 'WWW.Example.org')).toBe('www.example.org');
    for (const text of ['[fd00::1]', '192.0.2.1']) expect(parseText({ grammar: hostName }, text)).toBe(text);
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

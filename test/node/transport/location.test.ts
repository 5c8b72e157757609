import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../core/errors.ts';
import { assertAnonymous, type RevealingSettings } from '../../../node/transport/anonymity.ts';
import { parseLocations, reveals } from '../../../node/transport/location.ts';

const ONION = 'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd';

describe('the words of a location', () => {
  it.each([
    ['AUTODETECT', { kind: 'autodetect' }],
    ['unreachable', { kind: 'unreachable' }],
    ['client.fakelocation:0', { kind: 'unreachable' }],
    ['onion:80', { kind: 'onion', port: 80 }],
    ['i2p', { kind: 'i2p' }],
    [
      'onion:80:hiddenServiceDir=/var/lib/tor/my_service',
      {
        kind: 'torrc',
        port: 80,
        hiddenServiceDir: '/var/lib/tor/my_service',
        local: { kind: 'tcp', host: '127.0.0.1', port: 80 },
      },
    ],
    [
      'onion:80:hiddenServiceDir=/srv/x:local=127.0.0.1:8098',
      { kind: 'torrc', port: 80, hiddenServiceDir: '/srv/x', local: { kind: 'tcp', host: '127.0.0.1', port: 8098 } },
    ],
    ['tcp:192.0.2.7:4001', { kind: 'hint', address: '/ip4/192.0.2.7/tcp/4001' }],
    ['node.example:4001', { kind: 'hint', address: '/dns/node.example/tcp/4001' }],
    ['[2001:db8::1]:4001', { kind: 'hint', address: '/ip6/2001:db8::1/tcp/4001' }],
    [`${ONION}.onion:29212`, { kind: 'hint', address: `/onion3/${ONION}:29212` }],
    ['/ip4/192.0.2.7/tcp/1', { kind: 'hint', address: '/ip4/192.0.2.7/tcp/1' }],
  ])('%s', (text, expected) => {
    expect(parseLocations(text)).toMatchObject([expected]);
  });

  it('can be several, with commas', () => {
    expect(parseLocations('AUTODETECT, onion:80')).toMatchObject([{ kind: 'autodetect' }, { kind: 'onion' }]);
  });

  it('are refused with a reason when they are invalid', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (text) => {
        let failure: unknown;
        try {
          parseLocations(text);
        } catch (error) {
          failure = error;
        }
        expect(failure === undefined || isRelaymintError(failure)).toBe(true);
      }),
    );
    for (const text of ['', 'onion:0', 'onion:70000', 'onion:80:x=1', '/ip4/1.2.3.4', 'here', 'a:b', 'x.onion:80']) {
      expect(() => parseLocations(text)).toThrow(/no location|onion/i);
    }
  });
});

describe('anonymity', () => {
  const safe: RevealingSettings = {
    anonymize: 'tor',
    locations: [],
    listen: [],
    announce: [],
    ledgerUrl: `http://${ONION}.onion/`,
    i2p: false,
    tunnels: {},
    phase: undefined,
    preferences: [],
    loopbackOnly: false,
    gatewayAddress: undefined,
  };
  const locations = (text: string): Partial<RevealingSettings> => ({ locations: parseLocations(text) });

  it.each([
    ['--location', locations('AUTODETECT')],
    ['--location', locations('onion:80,AUTODETECT')],
    ['--location', locations('tcp:192.0.2.1:80')],
    ['--location', locations('192.0.2.1:80')],
    ['--location', locations('/ip4/127.0.0.1/tcp/80')],
    ['--listen', { listen: ['/ip4/0.0.0.0/tcp/4001'] }],
    ['--announce', { announce: ['/ip4/192.0.2.1/tcp/4001'] }],
    ['--listen', { listen: ['/ip4/0.0.0.0/udp/4001/quic-v1'] }],
    [
      '--announce',
      { announce: ['/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWLRPJAA5o6eyMHEoTRLBvVMbJo1ifbHnqXSwAdXHYCNUj'] },
    ],
    ['--announce', { announce: ['/dns4/home.example/tcp/443/wss'] }],
    ['--announce', { announce: [`/onion3/${ONION}:80`, '/ip4/203.0.113.7/udp/4001'] }],
    ['--announce', { announce: ['/memory/home'] }],
    ['--i2p-tunnels', { tunnels: { inboundLength: 0 } }],
    ['--i2p-tunnels', { tunnels: { inboundLength: 3, outboundLength: 0 } }],
    ['--ledger', { ledgerUrl: 'https://0.0.0.0/' }],
    ['--ledger', { ledgerUrl: 'https://localhost./' }],
    ['--ledger', { ledgerUrl: 'https://100.64.0.1/' }],
    ['--ledger', { ledgerUrl: 'https://printer.local/' }],
    ['--ledger', { ledgerUrl: 'http://x.i2p/' }],
    ['--ledger', { ledgerUrl: 'http://127.0.0.1:8899' }],
    ['--ledger', { ledgerUrl: 'http://localhost:8899' }],
    ['--ledger', { ledgerUrl: 'https://192.168.1.5/' }],
    ['--ledger', { ledgerUrl: 'http://[::1]:8899/' }],
    ['--ledger', { ledgerUrl: 'https://[fd00::1]/' }],
    ['--ledger', { ledgerUrl: 'http://api.devnet.solana.com' }],
    ['--ledger', { anonymize: 'i2p', ledgerUrl: 'https://api.devnet.solana.com' }],
    ['--phase', { phase: 'default' }],
    ['--prefer', { preferences: ['hybrid'] }],
    ['--prefer', { preferences: ['tor', 'direct'] }],
    ['--loopback-only', { loopbackOnly: true }],
    ['--address', { gatewayAddress: '0.0.0.0' }],
  ] as const)('is refused with %s %j: named, with why and a remedy', (setting, unsafe) => {
    let failure: unknown;
    try {
      assertAnonymous({ ...safe, ...unsafe });
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: 'UNSAFE_CONFIG', details: { setting } });
    const { message, remedy } = failure as { message: string; remedy: string };
    expect(message).toContain(setting);
    expect(message).toContain('--anonymize');
    expect(remedy.length).toBeGreaterThan(10);
  });

  it.each([
    locations('UNREACHABLE'),
    locations('onion:80'),
    locations('onion:80:hiddenServiceDir=/var/lib/tor/x'),
    locations(`${ONION}.onion:80`),
    locations('i2p'),
    { listen: ['/ip4/127.0.0.1/tcp/0', `/onion3/${ONION}:80`] },
    { announce: [`/onion3/${ONION}:80`] },
    { ledgerUrl: 'https://api.devnet.solana.com' },
    { ledgerUrl: 'https://[2606:4700::1]/' },
    { anonymize: 'i2p', i2p: true, ledgerUrl: `http://${'a'.repeat(52)}.b32.i2p/` },
    { anonymize: 'i2p', i2p: true, ledgerUrl: `http://${ONION}.onion/` },
    { i2p: true, ledgerUrl: 'http://x.i2p/', tunnels: { inboundLength: 1, outboundLength: 1 } },
    { phase: 'tor-only', preferences: ['tor'] },
    { gatewayAddress: '127.0.0.1' },
  ] as const)('goes with %j', (settings) => {
    expect(() => assertAnonymous({ ...safe, ...settings })).not.toThrow();
  });

  it('shows nothing of what follows the host in the URL of a ledger: it may be a key', () => {
    for (const ledgerUrl of ['http://rpc.example/?api-key=SECRET', 'http://user:SECRET@rpc.example/SECRET', 'SECRET']) {
      let failure: unknown;
      try {
        assertAnonymous({ ...safe, ledgerUrl });
      } catch (error) {
        failure = error;
      }
      expect(failure).toMatchObject({ message: expect.stringContaining('--ledger') as string });
      expect(JSON.stringify([failure, (failure as Error).message, (failure as Error).cause])).not.toContain('SECRET');
    }
  });

  it('agrees with what locations reveal', () => {
    expect(parseLocations('UNREACHABLE,onion:80,i2p').some(reveals)).toBe(false);
    expect(parseLocations('AUTODETECT,tcp:192.0.2.1:1').every(reveals)).toBe(true);
  });
});

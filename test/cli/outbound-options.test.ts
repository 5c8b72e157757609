/** Settings that decide who can reach a node, judged together. */
import { describe, expect, it } from 'vitest';
import { outboundSettings } from '../../cli/outbound-options.ts';
import { parseLocations } from '../../node/transport/index.ts';

const client = [new Uint8Array(32)];
const at = (text: string): { readonly location: ReturnType<typeof parseLocations>[] } => ({
  location: [parseLocations(text)],
});

describe('client keys', () => {
  it.each([
    ['no location', {}],
    ['a service of the torrc', at('onion:80:hiddenServiceDir=/srv/x')],
    ['I2P beside it', at('onion:80,i2p')],
    ['every address beside it', at('AUTODETECT,onion:80')],
    ['an announced address', { ...at('onion:80'), announce: ['/ip4/192.0.2.1/tcp/4001'] }],
    ['a listener on the network', { ...at('onion:80'), listen: ['/ip4/0.0.0.0/tcp/4001'] }],
  ])('are refused with %s: it would stay open', (_what, options) => {
    expect(() => outboundSettings({ ...options, onionClient: client })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining('--onion-client') as string }),
    );
  });

  it('go with an onion service of ours alone', () => {
    const options = { ...at('onion:80,UNREACHABLE'), listen: ['/ip4/127.0.0.1/tcp/0'], onionClient: client };
    expect(() => outboundSettings(options)).not.toThrow();
    expect(() => outboundSettings({ anonymize: 'tor', onionClient: client })).not.toThrow();
  });
});

describe('the phase of a node', () => {
  it.each([
    ['onion:80', 'tor-only'],
    ['onion:80,i2p,UNREACHABLE', 'tor-only'],
    ['AUTODETECT,onion:80', undefined],
    ['UNREACHABLE', undefined],
  ])('with --location %s is %s', (text, phase) => {
    expect(outboundSettings(at(text)).phase).toBe(phase);
    expect(outboundSettings({ ...at(text), phase: 'optional' }).phase).toBe('optional');
  });
});

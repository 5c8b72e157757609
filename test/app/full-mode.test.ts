/** A gateway with --full: who may have it, and what it says and serves. */
import { describe, expect, it } from 'vitest';
import { baseSection, gateway, settingsOf } from '../../app/roles/index.ts';
import { valuesOf } from '../../app/config/index.ts';
import { silentLog } from '../../core/ports.ts';

const settings = (said: Readonly<Record<string, string | readonly string[]>>): unknown =>
  settingsOf(
    gateway,
    { ...valuesOf(baseSection(gateway)), ...valuesOf(gateway.settings, { full: '0', ...said }) },
    () => silentLog,
  );

describe('a gateway with --full', () => {
  it.each([
    [{ domain: 'example.org' }, '--domain'],
    [{ host: ['www.example.org'] }, '--host'],
    [{ sell: '0.1' }, '--sell'],
    [{ address: '0.0.0.0' }, '--address 0.0.0.0'],
    [{ address: '192.0.2.7' }, '--address 192.0.2.7'],
    [{ address: '::' }, '--address ::'],
  ])('is for nobody else: %j', (said, option) => {
    expect(() => settings(said)).toThrow(
      expect.objectContaining({
        code: 'UNSAFE_CONFIG',
        message: `--full is for the browsers of this machine, and ${option} for visitors from elsewhere. Run two gateways: one with --full for yourself, and one for them.`,
      }),
    );
  });

  it.each(['127.0.0.2', '127.1.2.3', '0:0:0:0:0:0:0:1'])('is where browsers look, and not at %s', (address) => {
    expect(() => settings({ address })).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', remedy: 'Leave --address out, or give 127.0.0.1 or ::1.' }),
    );
  });

  it.each([{}, { address: '127.0.0.1' }, { address: '::1' }])('runs on this machine: %j', (said) => {
    expect(settings(said)).toMatchObject({ role: 'gateway' });
  });
});

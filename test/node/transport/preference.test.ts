import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PHASES, PREFERENCES, isHidden, planDial, type Attempt } from '../../../node/transport/preference.ts';

const ONION = `/onion3/${'a'.repeat(56)}:80`;
const GARLIC = `/garlic32/${'b'.repeat(52)}`;
const TCP = '/ip4/192.0.2.1/tcp/4001';
const NAME = '/dns4/node.example/tcp/4001';
const ALL = [TCP, ONION, NAME, GARLIC];

const order = (attempts: readonly Attempt[]): string[] => attempts.map(({ address }) => address);

describe('which addresses are tried, and in which order', () => {
  it.each([
    ['optional', undefined, [TCP, NAME, ONION, GARLIC]],
    ['optional', 'hybrid', [ONION, GARLIC, TCP, NAME]],
    ['optional', 'tor', [ONION, GARLIC]],
    ['optional', 'direct', [TCP, NAME]],
    ['default', undefined, [ONION, GARLIC, TCP, NAME]],
    ['default', 'direct', [TCP, NAME]],
    ['deprecated', undefined, [ONION, GARLIC, TCP, NAME]],
    ['tor-only', undefined, [ONION, GARLIC]],
    ['tor-only', 'direct', [ONION, GARLIC]],
    ['tor-only', 'hybrid', [ONION, GARLIC]],
  ] as const)('phase %s, preference %s', (phase, preference, expected) => {
    expect(order(planDial(ALL, { phase, preference, anonymize: false }))).toEqual(expected);
  });

  it('warns of a fall-back after hidden addresses, and of every direct one in the deprecated phase', () => {
    const warnings = (phase: (typeof PHASES)[number], addresses: readonly string[]): (string | undefined)[] =>
      planDial(addresses, { phase, preference: undefined, anonymize: false }).map(({ warning }) => warning);
    expect(warnings('default', [TCP, ONION])).toEqual([undefined, 'fallback']);
    expect(warnings('default', [TCP])).toEqual([undefined]);
    expect(warnings('deprecated', [TCP, ONION])).toEqual([undefined, 'deprecated']);
    expect(warnings('deprecated', [TCP])).toEqual(['deprecated']);
    expect(warnings('optional', [TCP, ONION])).toEqual([undefined, undefined]);
  });

  it('never tries a direct one when anonymous or onion-only, whatever the preference', () => {
    const address = fc.constantFrom(...ALL, '/memory/x', 'nonsense');
    const anyPreference = fc.option(fc.constantFrom(...PREFERENCES), { nil: undefined });
    fc.assert(
      fc.property(
        fc.array(address, { maxLength: 8 }),
        fc.constantFrom(...PHASES),
        anyPreference,
        fc.boolean(),
        (addresses, phase, preference, anonymize) => {
          const attempts = planDial(addresses, { phase, preference, anonymize });
          const mayReveal = !anonymize && phase !== 'tor-only' && preference !== 'tor';
          const revealing = attempts.filter(({ direct }) => direct);
          expect(mayReveal ? [] : revealing).toEqual([]);
          // Who is anonymous dials open addresses through an exit.
          const open = attempts.filter(({ address: tried }) => !isHidden(tried));
          expect(anonymize ? [] : open).toEqual(revealing);
          // Nothing is invented, and nothing is tried more often than it was given.
          const left = [...addresses];
          for (const tried of order(attempts)) {
            expect(left).toContain(tried);
            left.splice(left.indexOf(tried), 1);
          }
        },
      ),
    );
  });
});

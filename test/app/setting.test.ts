/** Settings are written down once: flags, environment, help, defaults and errors follow. */
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  count,
  credits,
  duration,
  list,
  node,
  oneOf,
  optional,
  standard,
  toggle,
  valuesOf,
  type Section,
} from '../../app/config/index.ts';
import { amount, type Amount } from '../../core/units.ts';
import { nodeId, type NodeId } from '../../core/ids.ts';
import { addSettings } from '../../cli/settings.ts';
import { ROLES, baseSection, earnerSection } from '../../app/roles/index.ts';

interface Sample {
  readonly price: Amount;
  readonly most: Amount | undefined;
  readonly idle: number;
  readonly slots: number;
  readonly peer: readonly NodeId[];
  readonly mode: 'quick' | 'slow';
  readonly quiet: true | undefined;
}

const SAMPLE: Section<Sample> = {
  price: standard('--price <credits>', credits, 'what it costs', '0.5'),
  most: optional('--most <credits>', credits, 'what it costs at most'),
  idle: standard('--idle <duration>', duration, 'how long nothing happens', '24h'),
  slots: standard('--slots <n>', count(1, 64), 'how many', '8'),
  peer: list('--peer <node>', node, 'whom it knows (repeatable)'),
  mode: oneOf('--mode <mode>', ['quick', 'slow'], 'how it does it', {}, 'quick'),
  quiet: toggle('--quiet', 'say nothing'),
};
const [ONE, TWO] = [nodeId(new Uint8Array(32).fill(1)), nodeId(new Uint8Array(32).fill(2))];
const USUAL: Sample = {
  price: amount(500_000n),
  most: undefined,
  idle: 86_400_000,
  slots: 8,
  peer: [],
  mode: 'quick',
  quiet: undefined,
};

function command(): Command {
  const made = new Command('sample').exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  return addSettings(made, SAMPLE, 'sample');
}

/** What the settings are after this command line. */
function read(...words: string[]): Sample {
  return command().parse(words, { from: 'user' }).opts<Sample>();
}

afterEach(() => vi.unstubAllEnvs());

describe('settings', () => {
  it('that are not given have their defaults, on the command line as elsewhere', () => {
    expect({ ...USUAL, ...read() }).toEqual(USUAL);
    expect(valuesOf(SAMPLE)).toEqual(USUAL);
  });

  it('are read from flags, and as texts', () => {
    const wanted = { ...USUAL, most: amount(2_000_000n), idle: 1_800_000, peer: [ONE, TWO], mode: 'slow', quiet: true };
    const words = ['--most', '2', '--idle', '30m', '--peer', ONE, '--peer', TWO, '--mode', 'slow', '--quiet'];
    expect(read(...words)).toEqual(wanted);
    expect(read('--most', '2', '--idle', '30m', '--peer', `${ONE},${TWO}`, '--mode', 'slow', '--quiet')).toEqual(
      wanted,
    );
    const said = { most: '2', idle: '30m', peer: [ONE, TWO], mode: 'slow', quiet: true } as const;
    expect(valuesOf(SAMPLE, said)).toEqual(wanted);
  });

  it('are read from the environment, under the role they belong to, and the command line goes first', () => {
    vi.stubEnv('RELAYMINT_SAMPLE_PEER', `${ONE},${TWO}`);
    vi.stubEnv('RELAYMINT_SAMPLE_SLOTS', '9');
    vi.stubEnv('RELAYMINT_SLOTS', '10');
    vi.stubEnv('RELAYMINT_SAMPLE_QUIET', '0');
    expect(read()).toMatchObject({ peer: [ONE, TWO], slots: 9 });
    expect(read().quiet).toBeUndefined();
    expect(read('--slots', '11').slots).toBe(11);
  });

  it.each([
    ['--price', 'dear', /--price <credits>.*"dear" is not an amount of credits/],
    ['--idle', '24', /--idle <duration>.*Write a duration with its unit/],
    ['--slots', '65', /--slots <n>.*a whole number from 1 to 64/],
    ['--mode', 'fast', /--mode <mode>.*quick, slow/],
    ['--peer', 'nobody', /--peer <node>/],
  ])('%s %s is refused by the name of the option', (flag, text, message) => {
    expect(() => read(flag, text)).toThrow(message);
    const key = flag.slice(2) as keyof Sample;
    expect(() => valuesOf(SAMPLE, { [key]: text })).toThrow(new RegExp(`^${flag}: `));
  });

  it('show their defaults in the help', () => {
    const help = command().helpInformation().replaceAll(/\s+/g, ' ');
    expect(help).toContain('(default: 0.5, env: RELAYMINT_SAMPLE_PRICE)');
    expect(help).toContain('(default: 24h, env: RELAYMINT_SAMPLE_IDLE)');
    expect(help).toContain('whom it knows (repeatable) (env: RELAYMINT_SAMPLE_PEER)');
  });

  it.each(ROLES.map((role) => [role.name, role] as const))(
    'of a %s have defaults in their own grammar',
    (_name, role) => {
      expect(() => valuesOf({ ...baseSection(role), ...earnerSection, ...role.settings })).not.toThrow();
    },
  );
});

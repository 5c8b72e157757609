/** Settings are written down once: flags, environment, help, defaults and errors follow. */
import { Command } from 'commander';
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import {
  count,
  credits,
  duration,
  durationBetween,
  flagsOnly,
  list,
  name,
  node,
  oneOf,
  optional,
  required,
  shareUpTo,
  someWords,
  speechSection,
  standard,
  toggle,
  toggleOff,
  valuesOf,
  type Grammar,
  type Section,
  type ValuesOf,
} from '../../app/config/index.ts';
import { amount, type Amount } from '../../core/units.ts';
import { nodeId, type NodeId } from '../../core/ids.ts';
import { addSettings, argumentOf } from '../../cli/settings.ts';
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

/** What a command that does one thing once is told. */
const ORDER = {
  site: required('--site <name>', name, 'which site'),
  ...flagsOnly({
    node: list('--node <node>', node, 'from whom (repeatable)', { required: true }),
    text: list('--text <text>', someWords, 'what to say (repeatable)'),
    most: optional('--most <credits>', credits, 'what it costs at most'),
    wait: toggle('--wait', 'until it is done'),
    dryRun: toggle('--dry-run', 'only say what would be done', { conflicts: ['wait', 'most'] }),
    check: toggleOff('--no-check', 'do not look first'),
  }),
};
const LEAST = ['--site', 'Demo.web3', '--node', ONE];
const ORDERED: ValuesOf<typeof ORDER> = {
  site: 'demo.web3',
  node: [ONE],
  text: [],
  most: undefined,
  wait: undefined,
  dryRun: undefined,
  check: true,
};

function silent(): Command {
  return new Command('sample').exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
}

function command(): Command {
  return addSettings(silent(), SAMPLE, 'sample');
}

/** What a command is told by this command line. */
function ordered(...words: string[]): ValuesOf<typeof ORDER> {
  return { ...ORDERED, ...addSettings(silent(), ORDER).parse(words, { from: 'user' }).opts<Partial<typeof ORDERED>>() };
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

describe('what has to be given', () => {
  it('is taken from the command line, as texts, and from the environment unless it is only a flag', () => {
    expect(ordered(...LEAST)).toEqual(ORDERED);
    expect(valuesOf(ORDER, { site: 'Demo.web3', node: ONE })).toEqual(ORDERED);
    vi.stubEnv('RELAYMINT_SITE', 'other.web3');
    vi.stubEnv('RELAYMINT_NODE', TWO);
    expect(ordered('--node', ONE)).toMatchObject({ site: 'other.web3', node: [ONE] });
    expect(() => ordered('--site', 'demo.web3')).toThrow("required option '--node <node>' not specified");
  });

  it('is missed by its name', () => {
    expect(() => ordered('--node', ONE)).toThrow("required option '--site <name>' not specified");
    expect(() => valuesOf(ORDER, { node: ONE })).toThrow(/^--site: It has to be given/);
    expect(() => valuesOf(ORDER, { site: 'demo.web3' })).toThrow(/^--node: It has to be given/);
    expect(() => valuesOf(ORDER, { site: 'demo.web3', node: [] })).toThrow(/^--node: It has to be given/);
  });

  it('is not given by a list of none', () => {
    const section = { peer: list('--peer <node>', node, 'whom it asks', { required: true }) };
    vi.stubEnv('RELAYMINT_PEER', ',');
    expect(() => addSettings(silent(), section).parse([], { from: 'user' })).toThrow(
      /--peer <node>.*Give one at least/,
    );
    expect(() => valuesOf(section, { peer: ',' })).toThrow(/^--peer: It has to be given/);
    vi.stubEnv('RELAYMINT_PEER', `${ONE},${TWO}`);
    expect(addSettings(silent(), section).parse([], { from: 'user' }).opts()).toEqual({ peer: [ONE, TWO] });
  });
});

describe('settings that conflict', () => {
  it.each([
    [['--wait', '--dry-run'], { wait: true, dryRun: true }, '--wait'],
    [['--dry-run', '--most', '1'], { dryRun: true, most: '1' }, '--most'],
  ] as const)('are refused together: %j', (words, said, other) => {
    const refusal = new RegExp(`'--dry-run' cannot be used with option '${other}`);
    expect(() => ordered(...LEAST, ...words)).toThrow(refusal);
    const texts = { site: 'demo.web3', node: ONE, ...said };
    expect(() => valuesOf(ORDER, texts)).toThrow(`--dry-run: It cannot be given with ${other}.`);
  });

  it('are taken alone, and beside others', () => {
    expect(ordered(...LEAST, '--dry-run', '--no-check')).toEqual({ ...ORDERED, dryRun: true, check: false });
    expect(ordered(...LEAST, '--wait', '--most', '1')).toMatchObject({ wait: true, most: amount(1_000_000n) });
    expect(valuesOf(ORDER, { site: 'demo.web3', node: ONE, dryRun: true })).toMatchObject({ dryRun: true });
  });

  it('are of one section', () => {
    const section = { here: toggle('--here', 'in this place', { conflicts: ['there'] }) };
    expect(() => addSettings(silent(), section)).toThrow('--here conflicts with there');
  });
});

describe('settings that are only flags', () => {
  it('are not read from the environment, and the others of their command are', () => {
    for (const key of ['NODE', 'TEXT', 'MOST', 'WAIT', 'DRY_RUN', 'CHECK', 'NO_CHECK']) {
      vi.stubEnv(`RELAYMINT_${key}`, '1');
    }
    expect(ordered(...LEAST)).toEqual(ORDERED);
    const help = addSettings(silent(), ORDER).helpInformation();
    expect(help.match(/env: \w+/g)).toEqual(['env: RELAYMINT_SITE']);
  });

  it('may hold commas, and are refused blank', () => {
    expect(ordered(...LEAST, '--text', 'a,b', '--text', 'c').text).toEqual(['a,b', 'c']);
    expect(valuesOf(ORDER, { site: 'demo.web3', node: ONE, text: 'a,b' }).text).toEqual(['a,b']);
    expect(() => ordered(...LEAST, '--text', '')).toThrow(/--text <text>.*Give a text/);
  });
});

describe('a switch that is on', () => {
  it('is switched off by its flag', () => {
    expect(ordered(...LEAST).check).toBe(true);
    expect(ordered(...LEAST, '--no-check').check).toBe(false);
    expect(valuesOf(ORDER, { site: 'demo.web3', node: ONE, check: true }).check).toBe(false);
  });
});

describe('a section', () => {
  it('says the types of its values', () => {
    interface Ordered {
      readonly site: string;
      readonly node: readonly NodeId[];
      readonly text: readonly string[];
      readonly most: Amount | undefined;
      readonly wait: true | undefined;
      readonly dryRun: true | undefined;
      readonly check: boolean;
    }
    expectTypeOf<ValuesOf<typeof ORDER>>().toEqualTypeOf<Ordered>();
    expect(Object.keys(ordered(...LEAST)).toSorted()).toEqual(Object.keys(ORDER).toSorted());
  });

  it('is added under the names of its keys', () => {
    expect(() => addSettings(silent(), { all: toggle('--every', 'everything') })).toThrow('--every does not make all');
  });

  it('of what a command says has the level that the command asks for', () => {
    expect(valuesOf(speechSection()).logLevel).toBe('info');
    expect(valuesOf(speechSection('warn')).logLevel).toBe('warn');
  });
});

describe('arguments', () => {
  const taken = (...words: string[]): unknown =>
    silent()
      .argument('<credits>', 'how many', argumentOf(credits))
      .argument('[node]', 'to whom', argumentOf(node))
      .parse(words, { from: 'user' }).processedArgs;

  it('are read with the grammars of settings', () => {
    expect(taken('1.5', ONE)).toEqual([amount(1_500_000n), ONE]);
    expect(taken('2')).toEqual([amount(2_000_000n), undefined]);
  });

  it('are refused by their name, with what is wrong', () => {
    expect(() => taken('dear')).toThrow(/argument 'credits'.*"dear" is not an amount of credits/);
    expect(() => taken('1', 'nobody')).toThrow(/argument 'node'/);
  });
});

describe('grammars with bounds', () => {
  const read = (grammar: Grammar<unknown>, text: string): unknown => argumentOf(grammar)(text);

  it.each(['1s', '90s', '1h'])('take a duration of %s from 1s to 1h', (text) => {
    expect(read(durationBetween('1s', '1h'), text)).toBe(read(duration, text));
  });

  it.each(['999ms', '61m', '0'])('refuse a duration of %s from 1s to 1h', (text) => {
    expect(() => read(durationBetween('1s', '1h'), text)).toThrow('It must be from 1s to 1h.');
  });

  it('take shares up to theirs', () => {
    expect([read(shareUpTo(1000), '10%'), read(shareUpTo(1000), '0')]).toEqual([1000, 0]);
    expect(() => read(shareUpTo(1000), '1001bps')).toThrow('It can be 10% at most.');
    expect(() => read(shareUpTo(1000), '10')).toThrow('Write a share with its unit');
  });
});

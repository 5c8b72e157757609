/**
 * One setting, defined once: its name on the command line, in the environment and in the help, how its text becomes a value, and
 * its default. A command or a role is composed of sections of settings; the types follow from them.
 */
import { z } from 'zod';
import { messageOf } from '../../core/errors.ts';

/** How one text becomes a value. */
export type Grammar<T> = z.ZodType<T, string>;

export interface Setting<out Value = unknown> {
  /** As the command line has it: `--max-price <credits>`. The key in a section is its name in camel case. */
  readonly flags: string;
  readonly help: string;
  /** `list`: may be given several times; `switch`: takes no text, and is on if it is given; `switch-off`: on unless it is given. */
  readonly kind: 'one' | 'list' | 'switch' | 'switch-off';
  readonly grammar: Grammar<unknown>;
  /** The default, as a text of its grammar; absent: no value. */
  readonly standard?: string;
  /** What the help shows as the default, where the text itself would say less. */
  readonly standardHelp?: string;
  /** All texts that it may have. */
  readonly choices?: readonly string[];
  /** The value of an option that is given without a text. */
  readonly preset?: string;
  /** The heading under which the help shows it. */
  readonly group?: string;
  /** Not read from the environment: it belongs to one start, or is for tests. */
  readonly onlyFlag?: true;
  /** Nothing runs without it; of a list: without one at least. */
  readonly required?: true;
  /** Settings beside which it cannot be given, by their keys in the section. */
  readonly conflicts?: readonly string[];
  /** Carries the type of what `valueOf` makes of it. */
  readonly value?: Value;
}

/** The settings that make these values, by the same names. */
export type Section<Values> = { readonly [K in keyof Values]: Setting<Values[K]> };

/** What the settings of a section make. */
export type ValuesOf<S> = S extends Section<infer Values> ? Readonly<Values> : never;

/** What was given: a text, several for a list, `true` for a switch of either kind. */
export type Said = string | readonly string[] | true | undefined;

type Extra = Pick<Setting, 'standardHelp' | 'preset' | 'group' | 'onlyFlag' | 'conflicts'>;

/** Makes a grammar of a function that throws if the text is wrong. */
export function grammar<T>(parse: (text: string) => T): Grammar<T> {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
      return z.NEVER;
    }
  });
}

/** One of these words. */
export function choice<const T extends string>(words: readonly T[]): Grammar<T> {
  return grammar((text) => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new RangeError(`It must be one of ${words.join(', ')}.`);
    return found;
  });
}

/** A whole number within bounds. */
export function count(min: number, max: number): Grammar<number> {
  return grammar((text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new RangeError(`It must be a whole number from ${min} to ${max}.`);
  });
}

/** Any text. */
export const words: Grammar<string> = grammar((text) => text);

/** A setting without a default. */
export function optional<T>(flags: string, of: Grammar<T>, help: string, extra: Extra = {}): Setting<T | undefined> {
  return { flags, help, kind: 'one', grammar: of, ...extra };
}

/** A setting whose default is `standard`. */
export function standard<T>(flags: string, of: Grammar<T>, help: string, text: string, extra: Extra = {}): Setting<T> {
  return { flags, help, kind: 'one', grammar: of, standard: text, ...extra };
}

/** A setting that has to be given. */
export function required<T>(flags: string, of: Grammar<T>, help: string, extra: Extra = {}): Setting<T> {
  return { flags, help, kind: 'one', grammar: of, required: true, ...extra };
}

/** One of `words`. Default: `text`, or no value. */
export function oneOf<const T extends string>(
  flags: string,
  among: readonly T[],
  help: string,
  extra?: Extra,
): Setting<T | undefined>;
export function oneOf<const T extends string>(
  flags: string,
  among: readonly T[],
  help: string,
  extra: Extra,
  text: T,
): Setting<T>;
export function oneOf<const T extends string>(
  flags: string,
  among: readonly T[],
  help: string,
  extra: Extra = {},
  text?: T,
): Setting<T | undefined> {
  const choices = { choices: among, ...extra };
  return {
    flags,
    help,
    kind: 'one',
    grammar: choice(among),
    ...(text === undefined ? {} : { standard: text }),
    ...choices,
  };
}

/** A list. Default: empty, unless it is required. */
export function list<T>(
  flags: string,
  of: Grammar<T>,
  help: string,
  extra: Extra & Pick<Setting, 'required'> = {},
): Setting<readonly T[]> {
  return { flags, help, kind: 'list', grammar: of, ...extra };
}

/** A switch, on if it is given. */
export function toggle(flags: string, help: string, extra: Extra = {}): Setting<true | undefined> {
  return { flags, help, kind: 'switch', grammar: words, ...extra };
}

/** A switch, on unless it is given: `--no-settle` is false as `settle`. */
export function toggleOff(flags: string, help: string, extra: Extra = {}): Setting<boolean> {
  return { flags, help, kind: 'switch-off', grammar: words, ...extra };
}

/** The same settings, none of them read from the environment: of a command that does one thing once, at the time it is told to. */
export function flagsOnly<S extends Readonly<Record<string, Setting>>>(section: S): S {
  return Object.fromEntries(Object.entries(section).map(([key, one]) => [key, { ...one, onlyFlag: true }])) as S;
}

/** The name in the environment: `--max-price` of the gateway's own settings is RELAYMINT_GATEWAY_MAX_PRICE. */
export function environmentName({ flags }: Setting, role?: string): string {
  const [, name = ''] = /--([a-z0-9-]+)/.exec(flags) ?? [];
  return ['relaymint', ...(role === undefined ? [] : [role]), name].join('_').replaceAll('-', '_').toUpperCase();
}

/** @throws RangeError that says what is wrong with the text. */
export function parseText<T>({ grammar: of }: { readonly grammar: Grammar<T> }, text: string): T {
  const { success, data, error } = of.safeParse(text);
  if (success) return data;
  throw new RangeError(error.issues.map(({ message }) => message).join(' '));
}

/** The texts of a list that one text gives. The environment has but one, with commas; what is only a flag is given again instead. */
export function textsOf({ onlyFlag }: Pick<Setting, 'onlyFlag'>, said: string): readonly string[] {
  return onlyFlag === true ? [said] : said.split(',').filter((text) => text !== '');
}

/**
 * The values of settings, defaults included.
 * @throws RangeError that names the setting and says what is wrong.
 */
export function valuesOf<Values>(section: Section<Values>, said: { readonly [K in keyof Values]?: Said } = {}): Values {
  const settings = Object.entries<Setting>(section);
  const given = new Map<string, Setting>(settings.filter(([key]) => said[key as keyof Values] !== undefined));
  const entries = settings.map(([key, setting]) => {
    try {
      if (given.has(key)) assertAlone(setting, given);
      return [key, valueOf(setting, said[key as keyof Values])] as const;
    } catch (error) {
      throw new RangeError(`${flagOf(setting)}: ${messageOf(error)}`, { cause: error });
    }
  });
  return Object.fromEntries(entries) as Values;
}

function flagOf({ flags }: Setting): string | undefined {
  return flags.split(' ')[0];
}

/** @throws RangeError when a setting was given that it conflicts with. */
function assertAlone({ conflicts = [] }: Setting, given: ReadonlyMap<string, Setting>): void {
  const other = conflicts.map((key) => given.get(key)).find((setting) => setting !== undefined);
  if (other !== undefined) throw new RangeError(`It cannot be given with ${flagOf(other)}.`);
}

function valueOf(setting: Setting, said: Said): unknown {
  const { kind, standard: usual } = setting;
  if (kind === 'switch') return said === true ? true : undefined;
  if (kind === 'switch-off') return said !== true;
  if (kind === 'list') {
    const texts = typeof said === 'string' ? textsOf(setting, said) : said === true ? [] : (said ?? []);
    if (texts.length === 0) assertDispensable(setting);
    return texts.map((text) => parseText(setting, text));
  }
  const text = typeof said === 'string' ? said : usual;
  if (text !== undefined) return parseText(setting, text);
  assertDispensable(setting);
  return undefined;
}

/** @throws RangeError */
function assertDispensable({ required: needed }: Setting): void {
  if (needed === true) throw new RangeError('It has to be given.');
}

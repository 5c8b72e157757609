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
  /** `list`: may be given several times, or once with commas; `switch`: takes no text. */
  readonly kind: 'one' | 'list' | 'switch';
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
  /** Carries the type of what `valueOf` makes of it. */
  readonly value?: Value;
}

/** The settings that make these values, by the same names. */
export type Section<Values> = { readonly [K in keyof Values]: Setting<Values[K]> };

/** What was given: a text, several for a list, `true` for a switch. */
export type Said = string | readonly string[] | true | undefined;

type Extra = Pick<Setting, 'standardHelp' | 'preset' | 'group' | 'onlyFlag'>;

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

/** A list. Default: empty. */
export function list<T>(flags: string, of: Grammar<T>, help: string, extra: Extra = {}): Setting<readonly T[]> {
  return { flags, help, kind: 'list', grammar: of, ...extra };
}

/** A switch, on if it is given. */
export function toggle(flags: string, help: string, extra: Extra = {}): Setting<true | undefined> {
  return { flags, help, kind: 'switch', grammar: words, ...extra };
}

/** The name in the environment: `--max-price` of the gateway's own settings is RELAYMINT_GATEWAY_MAX_PRICE. */
export function environmentName({ flags }: Setting, role?: string): string {
  const [, name = ''] = /--([a-z0-9-]+)/.exec(flags) ?? [];
  return ['relaymint', ...(role === undefined ? [] : [role]), name].join('_').replaceAll('-', '_').toUpperCase();
}

/** @throws RangeError that says what is wrong with the text. */
export function parseText<T>({ grammar: of }: Pick<Setting<T>, 'grammar'>, text: string): unknown {
  const { success, data, error } = of.safeParse(text);
  if (success) return data;
  throw new RangeError(error.issues.map(({ message }) => message).join(' '));
}

/** The texts of a list, given one by one or separated by commas. */
export function textsOf(said: string): readonly string[] {
  return said.split(',').filter((text) => text !== '');
}

/**
 * The values of settings, defaults included.
 * @throws RangeError that names the setting and says what is wrong.
 */
export function valuesOf<Values>(section: Section<Values>, said: { readonly [K in keyof Values]?: Said } = {}): Values {
  const entries = Object.entries<Setting>(section).map(([key, setting]) => {
    try {
      return [key, valueOf(setting, said[key as keyof Values])] as const;
    } catch (error) {
      throw new RangeError(`${setting.flags.split(' ')[0]}: ${messageOf(error)}`, { cause: error });
    }
  });
  return Object.fromEntries(entries) as Values;
}

function valueOf(setting: Setting, said: Said): unknown {
  const { kind, standard: usual } = setting;
  if (kind === 'switch') return said === true ? true : undefined;
  if (kind === 'list') {
    const texts = typeof said === 'string' ? textsOf(said) : said === true ? [] : (said ?? []);
    return texts.map((text) => parseText(setting, text));
  }
  const text = typeof said === 'string' ? said : usual;
  return text === undefined ? undefined : parseText(setting, text);
}

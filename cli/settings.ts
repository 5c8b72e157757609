/** Settings as commander has them: options, names in the environment, help, and errors that name the option. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { messageOf } from '../core/errors.ts';
import { environmentName, parseText, textsOf, type Grammar, type Section, type Setting } from '../app/config/index.ts';

/**
 * Adds a section to a command, whose options then hold its values, by the names of the section's keys.
 * `role`: they are a role's own, and their names in the environment begin with it.
 * @throws RangeError if a setting is not what its key says, or conflicts with one that the section does not have.
 */
export function addSettings<Values>(command: Command, section: Section<Values>, role?: string): Command {
  for (const [key, setting] of Object.entries<Setting>(section)) {
    const option = optionOf(setting, role);
    if (option.attributeName() !== key) throw new RangeError(`${setting.flags} does not make ${key}`);
    const unknown = setting.conflicts?.find((other) => !(other in section));
    if (unknown !== undefined) throw new RangeError(`${setting.flags} conflicts with ${unknown}, which is not there`);
    command.addOption(option);
    // Not as the option's default, which the help would print.
    if (setting.kind === 'list' && setting.required === undefined) command.setOptionValueWithSource(key, [], 'default');
  }
  return command;
}

/** How the text of an argument of a command becomes a value: `.argument('<name>', 'a name', argumentOf(name))`. */
export function argumentOf<T>(grammar: Grammar<T>): (text: string) => T {
  return (text) => spoken({ grammar }, text);
}

/** @throws RangeError if the setting's default is not one of its texts. */
function optionOf(setting: Setting, role?: string): Option {
  const { flags, help, kind, standard, standardHelp, choices, preset, group, onlyFlag } = setting;
  // Commander prints a default only where there is a value.
  const usual = standard === undefined && standardHelp !== undefined ? ` (default: ${standardHelp})` : '';
  const option = new Option(flags, help + usual);
  if (choices !== undefined) option.choices(choices);
  if (kind === 'one') {
    option.argParser((text) => spoken(setting, text));
    if (preset !== undefined) option.preset(preset);
    if (standard !== undefined) option.default(parseText(setting, standard), standardHelp ?? standardText(standard));
  } else if (kind === 'list') {
    option.argParser((text, previous: unknown) => {
      const texts = textsOf(setting, text);
      if (texts.length === 0 && setting.required === true) throw new InvalidArgumentError('Give one at least.');
      return [...((previous ?? []) as readonly unknown[]), ...texts.map((one) => spoken(setting, one))];
    });
  }
  option.makeOptionMandatory(setting.required === true).conflicts([...(setting.conflicts ?? [])]);
  // Any value in the environment, even 0, would turn a switch on.
  if (onlyFlag === undefined && (kind === 'one' || kind === 'list')) option.env(environmentName(setting, role));
  if (group !== undefined) option.helpGroup(group);
  return option;
}

/** As commander prints the default of an option that takes text. */
function standardText(standard: string): string {
  return /^\d/.test(standard) ? standard : JSON.stringify(standard);
}

/** Commander names the option in what the user reads. */
function spoken<T>(setting: { readonly grammar: Grammar<T> }, text: string): T {
  try {
    return parseText(setting, text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

/** Settings as commander has them: options, names in the environment, help, and errors that name the option. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { messageOf } from '../core/errors.ts';
import { environmentName, parseText, textsOf, type Section, type Setting } from '../app/config/index.ts';

/**
 * Adds a section to a command, whose options then hold its values, by the names of the section's keys.
 * `role`: they are a role's own, and their names in the environment begin with it.
 */
export function addSettings<Values>(command: Command, section: Section<Values>, role?: string): Command {
  for (const [key, setting] of Object.entries<Setting>(section)) {
    const option = optionOf(setting, role);
    if (option.attributeName() !== key) throw new RangeError(`${setting.flags} does not make ${key}`);
    command.addOption(option);
    // Not as the option's default, which the help would print.
    if (setting.kind === 'list') command.setOptionValueWithSource(key, [], 'default');
  }
  return command;
}

/** @throws RangeError if the setting's default is not one of its texts. */
export function optionOf(setting: Setting, role?: string): Option {
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
    option.argParser((text, previous: unknown) => [
      ...(previous as readonly unknown[]),
      ...textsOf(text).map((one) => spoken(setting, one)),
    ]);
  }
  // Any value in the environment, even 0, would turn a switch on.
  if (onlyFlag === undefined && kind !== 'switch') option.env(environmentName(setting, role));
  if (group !== undefined) option.helpGroup(group);
  return option;
}

/** As commander prints the default of an option that takes text. */
function standardText(standard: string): string {
  return /^\d/.test(standard) ? standard : JSON.stringify(standard);
}

/** Commander names the option in what the user reads. */
function spoken(setting: Setting, text: string): unknown {
  try {
    return parseText(setting, text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

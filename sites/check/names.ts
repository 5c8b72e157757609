/** What is odd about names: of files, which visitors type, and of sites, which they read. */

/** The form in which keyboards give letters with marks. */
export function isComposed(name: string): boolean {
  return name === name.normalize('NFC');
}

/** Equal for names that differ only by case, or by how letters with marks are written: file systems of other machines take them for one. */
export function alikeKey(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** What looks like something else in many fonts, longer ones first. */
const LOOK_ALIKES: readonly (readonly [said: RegExp, seen: string])[] = [
  [/rn/g, 'm'],
  [/vv/g, 'w'],
  [/cl/g, 'd'],
  [/0/g, 'o'],
  [/1/g, 'l'],
];

/** What a hurried reader may take the label for; undefined when it is unlike anything else. */
export function looksLike(label: string): string | undefined {
  const seen = LOOK_ALIKES.reduce((text, [said, other]) => text.replaceAll(said, other), label);
  return seen === label ? undefined : seen;
}

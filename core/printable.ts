/** For text that others wrote: it may hold anything, line ends, commands to the terminal and turns of its direction too. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, '?');
}

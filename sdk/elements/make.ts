/** Makes elements of words that anybody wrote: as text, never as HTML. */
import { addressOf, type Client } from '../client.ts';

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  content: string | readonly (string | Node)[] = [],
  className: string = '',
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.append(...(typeof content === 'string' ? [content] : content));
  return made;
}

/** Words of somebody, which turn nothing around them (letters that are written from the right). */
export function words(text: string): HTMLElement {
  return make('bdi', text);
}

/** What failed, and what to do. Said to who does not see it too. */
export function note(text: string): HTMLElement {
  const made = make('p', text, 'relaymint-error');
  made.setAttribute('role', 'status');
  return made;
}

/** To the page of a name; words alone where that is none. */
export function toName(client: Client, name: string, text: string = name): HTMLElement {
  try {
    const link = make('a', [words(text)]);
    link.href = addressOf(client, name);
    return link;
  } catch {
    return words(text);
  }
}

/** `<relaymint-posts name="forum.web3" path="/talk">`: a thread, and what is said in it while somebody reads. */
import { readPosts, watchPosts, type Post } from '../feeds.ts';
import type { Client } from '../client.ts';
import { nameOf, type Drawing } from './drawing.ts';
import { make, toName, words } from './make.ts';

const NOTHING = 'Nobody has said anything yet.';

export const posts: Drawing = {
  tag: 'relaymint-posts',
  attributes: ['name', 'path'],
  async draw(stage) {
    const { place, client, signal, shown } = stage;
    const name = nameOf(stage);
    const path = place.getAttribute('path') ?? location.pathname;
    const thread = new Thread(client);
    place.replaceChildren(thread.status, thread.list);
    for await (const event of watchPosts(client, path, { name, signal })) {
      if (event.kind === 'start') {
        thread.fill(await readPosts(client, path, { name, signal }));
        shown();
      } else if (event.kind === 'gone') thread.take(keyOf(event.author, event.sequence));
      else thread.hear(event.post);
    }
  },
};

class Thread {
  readonly list: HTMLOListElement = make('ol', [], 'relaymint-list');
  /** What happens is said to who does not see it, when nothing else is being said. */
  readonly status: HTMLElement = make('p', '', 'relaymint-status');
  readonly #client: Client;
  readonly #shown = new Map<string, { readonly post: Post; readonly item: HTMLLIElement }>();

  constructor(client: Client) {
    this.#client = client;
    this.status.setAttribute('role', 'status');
    // Where a style sheet takes the numbers away, a browser takes the list away too (Safari).
    this.list.setAttribute('role', 'list');
  }

  get size(): number {
    return this.#shown.size;
  }

  say(text: string): void {
    this.status.textContent = text;
  }

  /** All that there is: what is not among them is there no more. */
  fill(all: readonly Post[]): void {
    const told = new Set(all.map((post) => keyOf(post.author.name, post.sequence)));
    const before = [...this.#shown.keys()];
    for (const key of before) if (!told.has(key)) this.#drop(key);
    for (const post of all) this.#put(post);
    if (this.size === 0) this.say(NOTHING);
    else if (before.length === 0) this.say('');
  }

  /** A post that is new, or changed, or told again. */
  hear(post: Post): void {
    const before = this.#shown.get(keyOf(post.author.name, post.sequence))?.post;
    if (before !== undefined && before.revision === post.revision && before.state === post.state) return;
    this.#put(post);
    this.say(before === undefined ? `New: ${post.author.name}` : `Changed: ${post.author.name}`);
  }

  take(key: string): void {
    this.#drop(key);
    if (this.size === 0) this.say(NOTHING);
  }

  #drop(key: string): void {
    this.#shown.get(key)?.item.remove();
    this.#shown.delete(key);
  }

  /** One that is there keeps its place; a new one goes where its time is. */
  #put(post: Post): void {
    const key = keyOf(post.author.name, post.sequence);
    const item = this.#itemOf(post);
    const known = this.#shown.get(key);
    if (known === undefined) {
      const later = Array.from(this.#shown.values()).filter((other) => other.post.created > post.created);
      const [next] = later.toSorted((one, other) => one.post.created - other.post.created);
      this.list.insertBefore(item, next?.item ?? null);
    } else known.item.replaceWith(item);
    this.#shown.set(key, { post, item });
  }

  #itemOf(post: Post): HTMLLIElement {
    const { author, answers, edited, state, text } = post;
    const head = make('header', [toName(this.#client, author.name), ' ', timeOf(post.created)]);
    if (edited !== undefined) head.append(', changed ', timeOf(edited));
    if (answers !== undefined) {
      const link = make('a', ['answers ', words(answers.author)]);
      link.href = `#${idOf(answers.author, answers.sequence)}`;
      head.append(', ', link);
    }
    const article = make('article', [head, ...(text === undefined ? [make('p', missing(state))] : paragraphs(text))]);
    const item = make('li', [article]);
    item.id = idOf(author.name, post.sequence);
    item.dataset['post'] = state;
    return item;
  }
}

function missing(state: Post['state']): string {
  if (state === 'removed') return 'Its author took it back.';
  return state === 'hidden' ? 'The owner of this page hid it.' : 'It is no text.';
}

/** As it was written, without any style. */
function paragraphs(text: string): HTMLElement[] {
  return text.split(/\n{2,}/).map((paragraph) => {
    const lines = paragraph.split('\n').flatMap((line, at) => (at === 0 ? [line] : [make('br'), line]));
    const made = make('p', lines);
    made.dir = 'auto';
    return made;
  });
}

/** By the author's clock, which may say anything. */
function timeOf(millis: number): HTMLElement {
  const date = new Date(millis);
  if (Number.isNaN(date.getTime())) return make('span', 'at no time');
  const made = make('time', date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }));
  made.dateTime = date.toISOString();
  return made;
}

function keyOf(author: string, sequence: number): string {
  return `${author}/${sequence}`;
}

function idOf(author: string, sequence: number): string {
  return `post-${author}-${sequence}`;
}

/** From drawings to elements that browsers know: each is drawn when it comes into the page, and anew when an attribute changes. */
import { isRelaymintError } from '../../core/errors.ts';
import { createClient, type Client } from '../client.ts';
import type { Drawing } from './drawing.ts';
import { image } from './image.ts';
import { note, toName } from './make.ts';
import { posts } from './posts.ts';
import { video } from './video.ts';

export interface ElementsOptions {
  /** Which gateway they ask. Default: one of the page's own address. */
  readonly client?: Client;
}

const DRAWINGS: readonly Drawing[] = [image, video, posts];

/**
 * Makes the elements known to the page. Those that are known already stay as they are; on a server, where there is no page, nothing happens.
 * @throws RelaymintError INVALID_ARGUMENT where the page has no address of http, and no client is given.
 */
export function defineElements(options: ElementsOptions = {}): void {
  if (globalThis.customElements === undefined) return;
  const client = options.client ?? createClient();
  for (const drawing of DRAWINGS) {
    if (customElements.get(drawing.tag) === undefined) customElements.define(drawing.tag, elementOf(client, drawing));
  }
}

/** A class that is made when it is wanted: where there is no page, there is nothing to extend. */
function elementOf(client: Client, { attributes, draw }: Drawing): CustomElementConstructor {
  return class extends HTMLElement {
    static readonly observedAttributes: readonly string[] = attributes;
    #drawn: AbortController | undefined;
    #isAsked = false;

    connectedCallback(): void {
      this.#ask();
    }

    disconnectedCallback(): void {
      this.#drawn?.abort();
    }

    attributeChangedCallback(): void {
      this.#ask();
    }

    /** Once for all that changes together. */
    #ask(): void {
      if (this.#isAsked) return;
      this.#isAsked = true;
      queueMicrotask(() => {
        this.#isAsked = false;
        this.#drawn?.abort();
        if (this.isConnected) void this.#draw((this.#drawn = new AbortController()).signal);
      });
    }

    async #draw(signal: AbortSignal): Promise<void> {
      this.dataset['state'] = 'loading';
      const shown = (): void => {
        this.dataset['state'] = 'shown';
      };
      try {
        await draw({ place: this, client, signal, shown });
      } catch (error) {
        if (signal.aborted) return;
        this.dataset['state'] = 'failed';
        this.replaceChildren(...failure(client, this.getAttribute('name'), error));
        if (!isRelaymintError(error)) throw error;
      }
    }
  };
}

function failure(client: Client, name: string | null, error: unknown): HTMLElement[] {
  if (!isRelaymintError(error)) return [note('The program of this page failed here.')];
  if (name === null || name === client.name || error.code !== 'CONNECTION_LOST') return [note(error.message)];
  // Of another name's answer, a page learns no more than that it may not read it.
  const why = `${name} cannot be shown in this page: its owner does not allow it, there is no such name, or the gateway does not run. `;
  const text = note(why);
  text.append('Open ', toName(client, name), ' itself.');
  return [text];
}

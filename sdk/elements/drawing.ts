/** What an element is, apart from what all of them are. */
import type { Client } from '../client.ts';

/** What a drawing gets to work with. */
export interface Stage {
  /** The element itself: all that is below it is the drawing's. */
  readonly place: HTMLElement;
  readonly client: Client;
  /** Ends when the element leaves the page, or is drawn anew. */
  readonly signal: AbortSignal;
  /** There is something to see. */
  readonly shown: () => void;
}

export interface Drawing {
  /** `relaymint-image` */
  readonly tag: string;
  /** Those that it reads: it is drawn anew when one changes. */
  readonly attributes: readonly string[];
  /** Draws it, and goes on as long as it likes. @throws RelaymintError whose message is shown in its place, and anything when the signal has ended */
  readonly draw: (stage: Stage) => Promise<void>;
}

/** The name that the element is about. */
export function nameOf({ place, client }: Stage): string | undefined {
  return place.getAttribute('name') ?? client.name;
}

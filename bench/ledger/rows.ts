/** What the rows of this benchmark have in common. */

/** One row: a name and its figures, which become the fields of its JSON. */
export interface LedgerRow {
  readonly name: string;
  readonly figures: Readonly<Record<string, number>>;
}

/** Rows that belong together: they have the same figures. */
export interface RowGroup {
  readonly title: string;
  readonly rows: readonly LedgerRow[];
  /** Lines for people: what was left out and why, what a ratio says. */
  readonly notes: readonly string[];
}

/** Measures a group. It carries out transactions on machines of its own and leaves nothing behind. */
export type RowSource = () => Promise<RowGroup>;

/** Which media types a visitor takes, and how gladly (RFC 9110, section 12.5.1). */

interface Accepted {
  readonly weight: number;
  /** The type itself is named, and no range of types. */
  readonly named: boolean;
}

/** More are not looked at: browsers send eight. */
const MAX_RANGES = 32;
const NOTHING: Accepted = { weight: 0, named: false };

export class AcceptedTypes {
  /** By range: `image/webp`, `image/*`, `*` + `/*`. */
  readonly #weights = new Map<string, number>();

  /** `header`: Accept. Who sends none takes everything, and names nothing. */
  constructor(header: string | undefined) {
    for (const item of (header ?? '*/*').split(',').slice(0, MAX_RANGES)) {
      const [range = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      // A type with parameters of its own is another one.
      if (parameters[0] !== undefined && !parameters[0].startsWith('q=')) continue;
      if (range !== '') this.#weights.set(range, weight === undefined ? 1 : weightOf(weight));
    }
  }

  /** By the range that says most of it. */
  of(type: string): Accepted {
    const named = this.#weights.get(type);
    if (named !== undefined) return { weight: named, named: true };
    const weight = this.#weights.get(`${type.split('/')[0]}/*`) ?? this.#weights.get('*/*');
    return weight === undefined ? NOTHING : { weight, named: false };
  }

  /** The second is wanted instead of the first: more, or as much by its name (`*` + `/*` is sent by programs that know neither). */
  prefers(first: string, second: string): boolean {
    const [one, other] = [this.of(first), this.of(second)];
    return other.weight > one.weight || (other.weight > 0 && other.weight === one.weight && other.named);
  }
}

/** What is no weight is none. */
function weightOf(text: string): number {
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 0;
}

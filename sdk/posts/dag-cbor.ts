/** The part of dag-cbor that entries need, in its only encoding: the shortest heads, and keys by length first. */
export type Value = number | string | Uint8Array | Fields;
export interface Fields {
  readonly [key: string]: Value | undefined;
}

const UNSIGNED = 0;
const BYTES = 2;
const TEXT = 3;
const MAP = 5;

/** Fields that are undefined are left out. Numbers are whole and not negative. */
export function encode(value: Value): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  write(value, parts);
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function write(value: Value, parts: Uint8Array[]): void {
  if (typeof value === 'number') parts.push(head(UNSIGNED, value));
  else if (value instanceof Uint8Array) parts.push(head(BYTES, value.length), value);
  else if (typeof value === 'string') {
    const text = new TextEncoder().encode(value);
    parts.push(head(TEXT, text.length), text);
  } else {
    const said = Object.entries(value).filter(([, one]) => one !== undefined) as [string, Value][];
    // Names of fields are ASCII here.
    said.sort(([one], [other]) => one.length - other.length || (one < other ? -1 : 1));
    parts.push(head(MAP, said.length));
    for (const [key, one] of said) {
      write(key, parts);
      write(one, parts);
    }
  }
}

function head(major: number, value: number): Uint8Array {
  const type = major << 5;
  if (value < 24) return Uint8Array.of(type | value);
  const [size, code] = value < 0x100 ? [1, 24] : value < 0x1_0000 ? [2, 25] : value < 0x1_0000_0000 ? [4, 26] : [8, 27];
  const bytes = new Uint8Array(1 + size);
  bytes[0] = type | code;
  for (let rest = value, at = size; at > 0; at -= 1) {
    bytes[at] = rest % 0x100;
    rest = Math.floor(rest / 0x100);
  }
  return bytes;
}

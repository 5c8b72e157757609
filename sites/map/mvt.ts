/** The outermost layer of vector tiles (Mapbox Vector Tile 2): enough to tell one from something else, and which layers it has. */
import { RelaymintError } from '../../core/errors.ts';

const LAYER = 3;
const LAYER_NAME = 1;
/** How long values of these kinds are. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 8],
  [5, 4],
]);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Names of the layers, in their order. @throws RelaymintError INVALID_ENCODING. */
export function layersOf(tile: Uint8Array): string[] {
  const names: string[] = [];
  for (const [field, layer] of fieldsOf(tile)) {
    if (field !== LAYER || layer === undefined) throw notATile('it has fields that vector tiles do not have');
    const name = [...fieldsOf(layer)].find(([number]) => number === LAYER_NAME)?.[1];
    if (name === undefined) throw notATile('it has a layer without a name');
    try {
      names.push(utf8.decode(name));
    } catch (cause) {
      throw notATile('the name of a layer is not UTF-8', cause);
    }
  }
  return names;
}

/** Fields of a protobuf message; those that hold bytes with them. */
function* fieldsOf(bytes: Uint8Array): Generator<readonly [field: number, value: Uint8Array | undefined]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = bytes[at];
      if (byte === undefined) throw notATile('it ends early');
      at += 1;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
    throw notATile('it holds a number that is too large');
  };
  while (at < bytes.length) {
    const key = varint();
    const wire = key % 8;
    const length = wire === 0 ? (varint(), 0) : wire === 2 ? varint() : FIXED_BYTES.get(wire);
    if (length === undefined || length > bytes.length - at) throw notATile('it ends early');
    const value = bytes.subarray(at, at + length);
    at += length;
    yield [Math.floor(key / 8), wire === 2 ? value : undefined];
  }
}

function notATile(why: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ENCODING', `This is no vector tile: ${why}.`, { cause });
}

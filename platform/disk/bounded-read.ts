/** Reading what may be of any length, of which only a little is wanted. */

/**
 * All of a stream, if that is at most `most` bytes. Of a longer one, or one without an end, it takes what shows that, and ends it.
 * @returns undefined for a longer one. @throws what the stream says.
 */
export async function readUpTo(source: AsyncIterable<Uint8Array>, most: number): Promise<Buffer | undefined> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of source) {
    size += piece.length;
    if (size > most) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

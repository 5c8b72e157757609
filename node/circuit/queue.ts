/** Chunks in, any number of bytes out. Holds references, copies only on the way out. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  /** Bytes of the first chunk that are gone. */
  #offset = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** Moves `length` bytes (at most `bytes`) to `target` at `offset`. */
  moveTo(target: Buffer, offset: number, length: number): void {
    let written = 0;
    let used = 0;
    while (written < length) {
      const chunk = this.#chunks[used];
      if (chunk === undefined) throw new RangeError(`${length} bytes were asked of a queue of ${this.#bytes}`);
      const count = Math.min(length - written, chunk.length - this.#offset);
      target.set(chunk.subarray(this.#offset, this.#offset + count), offset + written);
      written += count;
      this.#offset += count;
      if (this.#offset === chunk.length) {
        used += 1;
        this.#offset = 0;
      }
    }
    if (used === 1) this.#chunks.shift();
    else if (used > 1) this.#chunks.splice(0, used);
    this.#bytes -= length;
  }

  clear(): void {
    this.#chunks = [];
    this.#offset = 0;
    this.#bytes = 0;
  }
}

/** Chance that a seed repeats on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 0 .. below - 1. mulberry32. */
  number(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  /** 0 .. below - 1, of any size. */
  big(below: bigint): bigint {
    const wide = (BigInt(this.number(2 ** 32)) << 32n) | BigInt(this.number(2 ** 32));
    return below <= 0n ? 0n : wide % below;
  }

  /** True once in `often` times. */
  once(often: number): boolean {
    return this.number(often) === 0;
  }

  of<T>(list: readonly [T, ...T[]]): T;
  of<T>(list: readonly T[]): T | undefined;
  of<T>(list: readonly T[]): T | undefined {
    return list[this.number(list.length)];
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.number(256));
  }

  /** Mostly between 0 and `usual`; now and then 0, 1, or at the edge of 64 bits. */
  amount(usual: bigint): bigint {
    switch (this.number(40)) {
      case 0:
        return 0n;
      case 1:
        return 1n;
      case 2:
        return (1n << 64n) - 1n - this.big(3n);
      case 3:
        return this.big(1n << 64n);
      default:
        return this.big(usual + 1n);
    }
  }
}

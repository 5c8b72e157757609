/** SHA-512 and the product modulo L, from the very files of the program, compiled and run as it is. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { address } from '@solana/kit';
import { ComputeBudgetProgram, TransactionInstruction } from '@solana/web3.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, toHex, utf8 } from '../../../core/codec.ts';
import { buildProgram } from '../../../ledger/program/build/main.ts';
import { Chain, keypair } from './svm.ts';
import { ORDER, toBytes, toNumber } from './verdict.ts';

const SOURCE = fileURLToPath(new URL('vectors', import.meta.url));
const HAS_TOOL_CHAIN = existsSync('/usr/bin/rustc') && existsSync('/usr/lib/rustlib/bpfel-unknown-none');
const RECORD = 128;
const DIGEST = 0;
const BLOCK = 1;
const PRODUCT = 2;
/** Compute units of one: what the batch's figures rest on. */
const CEILING_DIGEST = 6_560;
const CEILING_PRODUCT = 1_250;

if (!HAS_TOOL_CHAIN) {
  process.stderr.write('skipped: these tests need apt-get install rustc-web libstd-rust-web-dev-bpf llvm-22\n');
}

describe.skipIf(!HAS_TOOL_CHAIN)('the arithmetic of the program', () => {
  const chain = Chain.bare();
  const programId = keypair('vectors').publicKey;
  const account = keypair('records').publicKey;
  beforeAll(async () => {
    chain.svm.addProgram(address(programId.toBase58()), await buildProgram(SOURCE));
  });

  /** Runs it on all inputs; the first `size` bytes of each record afterwards. */
  const run = (which: number, inputs: readonly Uint8Array[], size: number): Uint8Array[] => {
    const results: Uint8Array[] = [];
    for (let from = 0; from < inputs.length; from += 150) {
      const some = inputs.slice(from, from + 150);
      chain.put(account, programId, concatBytes(...some.map((input) => padded(input))));
      chain.ok([limit(), call(which)], chain.admin);
      const data = chain.data(account);
      for (const index of some.keys())
        results.push(Uint8Array.from(data.subarray(index * RECORD, index * RECORD + size)));
    }
    return results;
  };
  const call = (which: number): TransactionInstruction =>
    new TransactionInstruction({
      programId,
      keys: [{ pubkey: account, isSigner: false, isWritable: true }],
      data: Buffer.of(which),
    });
  const limit = (): TransactionInstruction => ComputeBudgetProgram.setComputeUnitLimit({ units: 1_400_000 });
  const cost = (which: number, count: number): number => {
    chain.put(account, programId, randomBytes(count * RECORD).fill(0, 31, 32));
    return chain.ok([limit(), call(which)], chain.admin).computeUnits;
  };

  it.each([
    ['', 'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e'],
    ['abc', 'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f'],
  ])('hashes %j as FIPS 180 says', (text, digest) => {
    expect(run(BLOCK, [block(utf8(text))], 64).map(toHex)).toEqual([digest]);
  }); // prettier-ignore

  it('hashes messages of every length that is one block as Node does', () => {
    const messages = Array.from({ length: 112 }, (_, length) => randomBytes(length));
    expect(run(BLOCK, messages.map(block), 64).map(toHex)).toEqual(messages.map(sha512));
  });

  it('hashes a receipt of any content as Node does, whatever byte follows it', () => {
    const edges = [0x00, 0xff, 0x80, 0x7f].map((byte) => new Uint8Array(112).fill(byte));
    // One bit set, each in its turn.
    const bits = Array.from({ length: 888 }, (_, bit) =>
      new Uint8Array(112).map((_byte, at) => (at === bit >> 3 ? 1 << (bit & 7) : 0)),
    );
    const inputs = [...edges, ...bits, ...Array.from({ length: 2000 }, () => new Uint8Array(randomBytes(112)))];
    expect(run(DIGEST, inputs, 64).map(toHex)).toEqual(inputs.map((input) => sha512(input.subarray(0, 111))));
  });

  it('multiplies modulo L, at every edge and anywhere', () => {
    const top = 1n << 512n;
    const random = (bits: number): bigint => toNumber(randomBytes(64)) & ((1n << BigInt(bits)) - 1n);
    const z = [
      0n,
      1n,
      2n,
      (1n << 252n) - 1n,
      1n << 251n,
      ORDER - (1n << 252n),
      (1n << 28n) - 1n,
      1n << 28n,
      random(252),
    ];
    const h = [0n, 1n, ORDER - 1n, ORDER, ORDER + 1n, 2n * ORDER - 1n, (1n << 252n) - 1n, 1n << 252n, (1n << 252n) + 1n, 1n << 511n, top - 1n, (top / ORDER) * ORDER, (top / ORDER) * ORDER - 1n, (1n << 260n) - 1n, random(512)]; // prettier-ignore
    const pairs = z.flatMap((a) => h.map((b): [bigint, bigint] => [a, b]));
    // Products next to multiples of L and to the limits of the last step.
    for (const result of [0n, 1n, 2n, ORDER - 1n, (1n << 252n) - 1n, 1n << 252n, (1n << 252n) + 1n, 1n << 156n, ORDER - (1n << 156n), ORDER - (1n << 130n)]) {
      for (let index = 0; index < 60; index += 1) {
        const a = random(252) | 1n;
        pairs.push([a, ((result * inverse(a)) % ORDER) + ORDER * random(250)]);
      }
    } // prettier-ignore
    for (let index = 0; index < 3000; index += 1) pairs.push([random(252), random(512)]);
    const inputs = pairs.map(([a, b]) => concatBytes(toBytes(a), toBytes(b, 64)));
    expect(run(PRODUCT, inputs, 32).map(toHex)).toEqual(pairs.map(([a, b]) => toHex(toBytes((a * b) % ORDER))));
  });

  it('costs little', () => {
    expect((cost(DIGEST, 11) - cost(DIGEST, 1)) / 10).toBeLessThanOrEqual(CEILING_DIGEST);
    expect((cost(PRODUCT, 11) - cost(PRODUCT, 1)) / 10).toBeLessThanOrEqual(CEILING_PRODUCT);
  });
});

function padded(input: Uint8Array): Uint8Array {
  return concatBytes(input, new Uint8Array(RECORD - input.length));
}

/** A message of less than 112 bytes with its padding. */
function block(message: Uint8Array): Uint8Array {
  const whole = padded(concatBytes(message, Uint8Array.of(0x80)));
  new DataView(whole.buffer).setBigUint64(RECORD - 8, BigInt(8 * message.length));
  return whole;
}

function sha512(message: Uint8Array): string {
  return createHash('sha512').update(message).digest('hex');
}

function inverse(value: bigint): bigint {
  let [result, base, exponent] = [1n, value % ORDER, ORDER - 2n];
  for (; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * base) % ORDER;
    base = (base * base) % ORDER;
  }
  return result;
}

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { address } from '@solana/kit';
import { TransactionInstruction } from '@solana/web3.js';
import { FeatureSet } from 'litesvm';
import { describe, expect, it } from 'vitest';
import { inspectCode } from '../../../ledger/program/build/inspect.ts';
import { link } from '../../../ledger/program/build/link.ts';
import { buildProgram, main } from '../../../ledger/program/build/main.ts';
import { murmur3, syscallNumber } from '../../../ledger/program/build/syscalls.ts';
import { Chain, PROGRAM_FILE, keypair } from './svm.ts';
import type { Outcome } from './svm.ts';

const SOURCE = fileURLToPath(new URL('../../../ledger/program/', import.meta.url));
/** Absent for those who only use the program: then the committed bytes are compared by CI alone. */
const HAS_TOOL_CHAIN = existsSync('/usr/bin/rustc') && existsSync('/usr/lib/rustlib/bpfel-unknown-none');

if (!HAS_TOOL_CHAIN) {
  process.stderr.write('skipped: these tests need apt-get install rustc-web libstd-rust-web-dev-bpf llvm-22\n');
}

describe.skipIf(!HAS_TOOL_CHAIN)('the build', () => {
  it('gives the committed bytes, in this folder and in any other', { timeout: 300_000 }, async () => {
    const committed = await readFile(PROGRAM_FILE);
    expect(await main(['--check'])).toMatch(/is what the source builds/);
    const elsewhere = await mkdtemp(join(tmpdir(), 'relaymint elsewhere '));
    try {
      await cp(join(SOURCE, 'src'), join(elsewhere, 'src'), { recursive: true });
      expect(Buffer.compare(await buildProgram(elsewhere), committed)).toBe(0);
      // A changed source is noticed.
      const file = join(elsewhere, 'src', 'math.rs');
      await writeFile(file, (await readFile(file, 'utf8')).replace('u64 = 10_000', 'u64 = 10_001'));
      expect(Buffer.compare(await buildProgram(elsewhere), committed)).not.toBe(0);
      await writeFile(file, 'not Rust');
      await expect(buildProgram(elsewhere)).rejects.toMatchObject({ code: 'INTERNAL' });
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
  });

  it('leaves SHA-512 to the runtime when asked, which makes a settlement cheaper where there is that call', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'relaymint sha512 '));
    try {
      const file = join(folder, 'program.so');
      expect(await main(['--sha512-syscall', file])).toMatch(/^Wrote .*program\.so, \d+ bytes/);
      const program = await readFile(file);
      expect(program.length).toBeLessThan((await readFile(PROGRAM_FILE)).length);
      const settled = settleOne(Chain.with(program, FeatureSet.allEnabled()));
      expect(settled.reason).toBeUndefined();
      expect(settled.computeUnits).toBeLessThan(7_500);
      // The call is unknown to a cluster of today.
      expect(settleOne(Chain.with(program)).reason).toMatch(/LEDGER_REJECTED/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it.each([[['--chekc']], [['--sha512-syscall']], [['--check', '--check']], [['--sha512-syscall', 'a', 'b']]])(
    'refuses the arguments %j',
    async (args) => {
      await expect(main(args)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    },
  );
});

/** One receipt on a new chain. */
function settleOne(chain: Chain): Outcome {
  chain.fund(chain.admin.publicKey);
  chain.initialize();
  const payer = chain.wallet('payer', 1_000n);
  const till = chain.openTill(chain.wallet('payee'), 1);
  chain.openChannel(payer, till, 0, 500n);
  const receipt = chain.receipt(payer, { till, slot: 0, amount: 500n });
  return chain.send(chain.settlement([receipt], { till, slots: [0] }), chain.admin);
}

describe('the committed program', () => {
  it('names no folder of the machine that built it', async () => {
    const text = (await readFile(PROGRAM_FILE)).toString('latin1');
    for (const folder of ['/home', '/root', '/tmp', SOURCE, process.cwd()]) expect(text).not.toContain(folder);
  });
});

describe('syscall numbers', () => {
  it('are those the loader knows', () => {
    expect(murmur3(new TextEncoder().encode('sol_log_'))).toBe(0x207559bd);
    expect(syscallNumber('abort')).toBe(0xb6fc1a11);
    expect(syscallNumber('sol_invoke_signed_c')).toBe(0xa22b9c85);
    expect(murmur3(new Uint8Array())).toBe(0);
  });

  it('exist for a call that not every cluster has when the build asks for it', () => {
    expect(syscallNumber('sol_sha512', ['sol_sha512'])).toBe(murmur3(new TextEncoder().encode('sol_sha512')));
  });

  it.each(['memcpy', 'sol_sha512', 'sol_remaining_compute_units', '__multi3'])('do not exist for %s', (name) => {
    expect(() => syscallNumber(name)).toThrow(name);
  });
});

/** One instruction: opcode, destination, source, offset, immediate. */
function op(opcode: number, target = 0, source = 0, offset = 0, immediate = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8((source << 4) | target, 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}

const RETURN_ZERO = Buffer.concat([op(0xb7), op(0x95)]);

describe('the inspection of code', () => {
  it.each([
    ['32-bit addition', op(0x04)],
    ['a 32-bit move', op(0xbc)],
    ['32-bit multiplication', op(0x24)],
    ['a 32-bit comparison', op(0x16)],
    ['an atomic addition', op(0xdb)],
    ['a 32-bit atomic addition', op(0xc3)],
    ['a packet load', op(0x20)],
    ['signed division', op(0x3f, 1, 2, 1)],
    ['signed remainder', op(0x97, 1, 0, 1, 3)],
    ['a sign-extending move', op(0xbf, 1, 2, 8)],
    ['a sign-extending load', op(0x91, 1, 2)],
    ['a 64-bit byte swap', op(0xd7, 1, 0, 0, 64)],
    ['a load below the frame', op(0x79, 1, 10, -4104)],
    ['a store below the frame', op(0x7b, 10, 1, -4104)],
    ['a pointer below the frame', Buffer.concat([op(0xbf, 1, 10), op(0x07, 1, 0, 0, -4104)])],
  ])('refuses %s', (_title, code) => {
    expect(() => inspectCode('f', Buffer.concat([RETURN_ZERO, code]))).toThrow(/f, instruction/);
  });

  it.each([
    ['byte order conversion', op(0xdc, 1, 0, 0, 64)],
    ['a wide constant that looks like code', Buffer.concat([op(0x18), op(0x04)])],
    ['the whole frame', Buffer.concat([op(0x7b, 10, 1, -4096), op(0xbf, 1, 10), op(0x07, 1, 0, 0, -4096)])],
    ['large constants elsewhere', op(0x07, 1, 0, 0, -100_000)],
  ])('allows %s', (_title, code) => {
    expect(() => inspectCode('f', Buffer.concat([code, RETURN_ZERO]))).not.toThrow();
  });
});

interface TestSection {
  readonly name: string;
  readonly content: Buffer;
  /** ALLOC 2, WRITE 1, EXEC 4. */
  readonly flags: number;
  /** Offset, relocation type, symbol number. */
  readonly relocations?: readonly (readonly [number, number, number])[];
}

/** A relocatable object as the compiler would write it. Sections count from 1; symbol 0 is none. */
function object(sections: readonly TestSection[], symbols: readonly { name: string; section: number }[]): Buffer {
  const strings: number[] = [0];
  const text = (value: string): number => {
    const at = strings.length;
    strings.push(...Buffer.from(`${value}\0`));
    return at;
  };
  const table = Buffer.concat([{ name: '', section: 0 }, ...symbols].map(({ name, section }) => {
      const entry = Buffer.alloc(24);
      entry.writeUInt32LE(text(name), 0);
      entry.writeUInt16LE(section, 6);
      return entry;
    })); // prettier-ignore
  const relocations = sections.flatMap(({ relocations: list = [] }, index) => {
    const content = Buffer.concat(
      list.map(([offset, type, symbol]) => {
        const entry = Buffer.alloc(16);
        entry.writeBigUInt64LE(BigInt(offset), 0);
        entry.writeUInt32LE(type, 8);
        entry.writeUInt32LE(symbol, 12);
        return entry;
      }),
    );
    return list.length === 0 ? [] : [{ name: '.rel', content, type: 9, flags: 0, info: index + 1, link: 0 }];
  });
  const count = 1 + sections.length + relocations.length;
  const all = [
    { name: '', content: Buffer.alloc(0), type: 0, flags: 0, info: 0, link: 0 },
    ...sections.map((section) => ({ ...section, type: 1, info: 0, link: 0 })),
    ...relocations,
    { name: '.symtab', content: table, type: 2, flags: 0, info: 0, link: count + 1 },
  ];
  const names = [...all, { name: '.strtab' }].map(({ name }) => text(name));
  const everything = [...all, { name: '.strtab', content: Buffer.from(strings), type: 3, flags: 0, info: 0, link: 0 }];
  let offset = 64;
  const headers = everything.map((section, index) => {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(names[index] ?? 0, 0);
    header.writeUInt32LE(section.type, 4);
    header.writeBigUInt64LE(BigInt(section.flags), 8);
    header.writeBigUInt64LE(BigInt(offset), 24);
    header.writeBigUInt64LE(BigInt(section.content.length), 32);
    header.writeUInt32LE(section.link, 40);
    header.writeUInt32LE(section.info, 44);
    header.writeBigUInt64LE(8n, 48);
    offset += section.content.length;
    return header;
  });
  const file = Buffer.alloc(64);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(1, 16);
  file.writeUInt16LE(247, 18);
  file.writeBigUInt64LE(BigInt(offset), 40);
  file.writeUInt16LE(everything.length, 60);
  file.writeUInt16LE(everything.length - 1, 62);
  return Buffer.concat([file, ...everything.map(({ content }) => content), ...headers]);
}

const ENTRY = { name: 'entrypoint', section: 1 };

describe('the linker', () => {
  /** Runs a linked program; returns the transaction's reason to fail, "accepted" when it returned 0. */
  const run = (file: Uint8Array): string => {
    const chain = Chain.start();
    const programId = keypair('linked').publicKey;
    chain.svm.addProgram(address(programId.toBase58()), file);
    return chain.refusal([new TransactionInstruction({ programId, keys: [], data: Buffer.alloc(0) })]);
  };

  it('links calls, constants and pointers between constants into a program that runs', () => {
    // entry: r1 = &pointer; r1 = *r1 (pointer to number); r0 = *r1; call helper, which subtracts 7.
    const entry = Buffer.concat([
      op(0x18, 1), op(0), op(0x79, 1, 1), op(0x79, 0, 1), op(0xbf, 6), op(0x85, 0, 1, 0, -1), op(0x95),
    ]); // prettier-ignore
    const number = Buffer.alloc(16);
    number.writeBigUInt64LE(7n, 8);
    const pointer = Buffer.alloc(8);
    pointer.writeBigUInt64LE(8n);
    const helper = Buffer.concat([op(0xbf, 0, 6), op(0x07, 0, 0, 0, -7), op(0x95)]);
    const file = (change: Buffer): Uint8Array =>
      link(
        object(
          [
            { name: '.text', content: entry, flags: 6, relocations: [[0, 1, 2], [40, 10, 4]] }, // prettier-ignore
            { name: '.data.rel.ro.p', content: pointer, flags: 3, relocations: [[0, 2, 3]] },
            { name: '.rodata', content: change, flags: 2 },
            { name: '.text.helper', content: helper, flags: 6 },
            { name: '.text.unused', content: op(0x04), flags: 6 },
          ],
          [ENTRY, ...[2, 3, 4].map((section) => ({ name: '', section }))],
        ),
      );
    expect(run(file(number))).toBe('accepted');
    const eight = Buffer.from(number);
    eight.writeBigUInt64LE(8n, 8);
    expect(run(file(eight))).not.toBe('accepted');
  });

  it('links syscalls', () => {
    const entry = (size: number): Uint8Array => {
      const code = Buffer.concat([
        op(0xbf, 1, 10), op(0x07, 1, 0, 0, -8), op(0xbf, 2, 10), op(0x07, 2, 0, 0, -16), op(0x7a, 10, 0, -8, 5),
        op(0x7a, 10, 0, -16, 0), op(0xb7, 3, 0, 0, size), op(0x85, 0, 1, 0, -1), op(0x79, 0, 10, -8), op(0x95),
      ]); // prettier-ignore
      const sections = [{ name: '.text', content: code, flags: 6, relocations: [[56, 10, 2]] as const }];
      return link(object(sections, [ENTRY, { name: 'sol_memcpy_', section: 0 }]));
    };
    expect(run(entry(8))).toBe('accepted');
    expect(run(entry(0))).not.toBe('accepted');
  });

  it.each([
    ['a library function', () => object([{ name: '.text', content: Buffer.concat([op(0x85, 0, 1, 0, -1), RETURN_ZERO]), flags: 6, relocations: [[0, 10, 2]] }], [ENTRY, { name: 'memcmp', section: 0 }]), /memcmp/],
    ['variables', () => object([{ name: '.text', content: RETURN_ZERO, flags: 6 }, { name: '.data', content: Buffer.alloc(8), flags: 3 }], [ENTRY]), /\.data is writable/],
    ['a missing entry point', () => object([{ name: '.text', content: RETURN_ZERO, flags: 6 }], [{ name: 'main', section: 1 }]), /entrypoint/],
    ['a reference to what is not loaded', () => object([{ name: '.text', content: Buffer.concat([op(0x18), op(0), RETURN_ZERO]), flags: 6, relocations: [[0, 1, 2]] }, { name: '.debug', content: Buffer.alloc(8), flags: 0 }], [ENTRY, { name: '', section: 2 }]), /not loaded/],
    ['an unknown relocation', () => object([{ name: '.text', content: RETURN_ZERO, flags: 6, relocations: [[0, 3, 1]] }], [ENTRY]), /relocation type 3/],
    ['refused code', () => object([{ name: '.text', content: op(0x04), flags: 6 }], [ENTRY]), /32-bit/],
    ['anything but a BPF object', () => Buffer.alloc(64), /BPF object/],
  ])('refuses %s', (_title, make, message) => {
    expect(() => link(make())).toThrow(message);
  }); // prettier-ignore
});

/** Reads the relocatable ELF object that LLVM's BPF back-end writes. Only what that back-end uses is understood. */

const SHT_PROGBITS = 1;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SHT_REL = 9;
const SHF_WRITE = 1;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const EM_BPF = 247;
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 16;

export type SectionKind = 'text' | 'data' | 'none';

export interface Relocation {
  readonly offset: number;
  /** R_BPF_64_64 = 1, R_BPF_64_ABS64 = 2, R_BPF_64_32 = 10. */
  readonly type: number;
  readonly symbol: ObjectSymbol;
}

export interface ObjectSymbol {
  readonly name: string;
  /** Section number, 0 when undefined: a syscall. */
  readonly section: number;
  readonly value: number;
}

export interface Section {
  readonly index: number;
  readonly name: string;
  /** `none`: not part of the program (debug data, tables). */
  readonly kind: SectionKind;
  readonly content: Uint8Array;
  readonly alignment: number;
  readonly relocations: readonly Relocation[];
}

export interface ObjectFile {
  readonly sections: readonly Section[];
  readonly symbols: readonly ObjectSymbol[];
}

interface Header {
  readonly name: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
}

/** @throws Error when it is not such an object, or holds writable data, which a program on this chain cannot have. */
export function readObject(file: Uint8Array): ObjectFile {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.getUint32(0) !== 0x7f454c46 || view.getUint16(16, true) !== 1 || view.getUint16(18, true) !== EM_BPF) {
    throw new Error('the compiler did not write a relocatable BPF object');
  }
  const table = Number(view.getBigUint64(40, true));
  const headers = Array.from({ length: view.getUint16(60, true) }, (_, index) => readHeader(view, table + 64 * index));
  const names = at(headers, view.getUint16(62, true));
  const symbolTable = headers.find((header) => header.type === SHT_SYMTAB);
  const symbols = symbolTable === undefined ? [] : readSymbols(view, symbolTable, at(headers, symbolTable.link));
  const relocations = readRelocations(view, headers, symbols);
  const sections = headers.map((header, index): Section => {
    const name = text(view, names.offset + header.name);
    return {
      index,
      name,
      kind: kindOf(header, name),
      content:
        header.type === SHT_PROGBITS ? file.subarray(header.offset, header.offset + header.size) : new Uint8Array(),
      alignment: Math.max(header.alignment, 1),
      relocations: relocations.get(index) ?? [],
    };
  });
  return { sections, symbols };
}

function kindOf(header: Header, name: string): SectionKind {
  if ((header.flags & SHF_ALLOC) === 0 || header.size === 0) return 'none';
  if ((header.flags & SHF_EXECINSTR) !== 0) return 'text';
  const relocatedConstants = name.startsWith('.data.rel.ro');
  if (header.type === SHT_NOBITS || ((header.flags & SHF_WRITE) !== 0 && !relocatedConstants)) {
    throw new Error(`section ${name} is writable: a program has no variables of its own`);
  }
  return name.startsWith('.eh_frame') ? 'none' : 'data';
}

function readHeader(view: DataView, offset: number): Header {
  return {
    name: view.getUint32(offset, true),
    type: view.getUint32(offset + 4, true),
    flags: Number(view.getBigUint64(offset + 8, true)),
    offset: Number(view.getBigUint64(offset + 24, true)),
    size: Number(view.getBigUint64(offset + 32, true)),
    link: view.getUint32(offset + 40, true),
    info: view.getUint32(offset + 44, true),
    alignment: Number(view.getBigUint64(offset + 48, true)),
  };
}

function readSymbols(view: DataView, table: Header, strings: Header): readonly ObjectSymbol[] {
  return Array.from({ length: table.size / SYMBOL_SIZE }, (_, index) => {
    const offset = table.offset + index * SYMBOL_SIZE;
    return {
      name: text(view, strings.offset + view.getUint32(offset, true)),
      section: view.getUint16(offset + 6, true),
      value: Number(view.getBigUint64(offset + 8, true)),
    };
  });
}

function readRelocations(
  view: DataView,
  headers: readonly Header[],
  symbols: readonly ObjectSymbol[],
): ReadonlyMap<number, readonly Relocation[]> {
  const bySection = new Map<number, readonly Relocation[]>();
  for (const header of headers) {
    if (header.type !== SHT_REL) continue;
    const list = Array.from({ length: header.size / RELOCATION_SIZE }, (_, index) => {
      const offset = header.offset + index * RELOCATION_SIZE;
      return {
        offset: Number(view.getBigUint64(offset, true)),
        type: view.getUint32(offset + 8, true),
        symbol: at(symbols, view.getUint32(offset + 12, true)),
      };
    });
    bySection.set(header.info, list);
  }
  return bySection;
}

function text(view: DataView, offset: number): string {
  let end = offset;
  while (view.getUint8(end) !== 0) end += 1;
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + offset, end - offset));
}

function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new Error(`the object refers to entry ${index} of ${list.length}`);
  return value;
}

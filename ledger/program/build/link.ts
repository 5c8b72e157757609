/**
 * Links one BPF object into an SBPF version 3 program: no section headers, no relocations, two segments. Everything the
 * entry point reaches is laid out in the object's own order, so equal objects give equal programs.
 */
import { inspectCode } from './inspect.ts';
import { readObject } from './object.ts';
import type { ObjectFile, Relocation, Section } from './object.ts';
import { syscallNumber } from './syscalls.ts';
import type { OptionalSyscall } from './syscalls.ts';

const ENTRY = 'entrypoint';
const EM_SBPF = 247;
const SBPF_V3 = 3;
const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
const TEXT_ADDRESS = 0x1_0000_0000n;
/** Nothing may lie at address 0: a pointer to it would look like a null pointer. */
const RODATA_RESERVED = 16;
const R_BPF_64_64 = 1;
const R_BPF_64_ABS64 = 2;
const R_BPF_64_32 = 10;
const CALL = 0x85;
const CALL_INTERNAL = 1;
const CALL_SYSCALL = 0;

/** Byte offset of each section within its segment. */
interface Layout {
  readonly text: readonly Section[];
  readonly data: readonly Section[];
  readonly offsets: ReadonlyMap<number, number>;
  readonly textSize: number;
  readonly dataSize: number;
}

/**
 * `optional` are syscalls that it may use although not every cluster has them.
 * @throws Error when the object cannot become a program; the message says which part and why.
 */
export function link(objectBytes: Uint8Array, optional: readonly OptionalSyscall[] = []): Uint8Array {
  const object = readObject(objectBytes);
  const entry = object.symbols.find((symbol) => symbol.name === ENTRY && symbol.section !== 0);
  if (entry === undefined) throw new Error(`the object has no function called ${ENTRY}`);
  const layout = place(reachable(object, entry.section));
  const text = new Uint8Array(layout.textSize);
  const data = new Uint8Array(layout.dataSize);
  for (const section of layout.text) {
    inspectCode(section.name, section.content);
    text.set(section.content, offsetOf(layout, section.index));
  }
  for (const section of layout.data) data.set(section.content, offsetOf(layout, section.index));
  for (const section of layout.text) {
    for (const relocation of section.relocations) relocateText(object, layout, text, section, relocation, optional);
  }
  for (const section of layout.data) {
    for (const relocation of section.relocations) relocateData(object, layout, data, section, relocation);
  }
  return program(text, data, offsetOf(layout, entry.section) + entry.value);
}

/** Sections that the entry point reaches, in the object's order. */
function reachable(object: ObjectFile, from: number): readonly Section[] {
  const seen = new Set<number>();
  const waiting = [from];
  for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
    const section = object.sections[index];
    if (section === undefined || seen.has(index)) continue;
    seen.add(index);
    for (const { symbol } of section.relocations) if (symbol.section !== 0) waiting.push(symbol.section);
  }
  return object.sections.filter((section) => seen.has(section.index));
}

function place(sections: readonly Section[]): Layout {
  const stray = sections.find((section) => section.kind === 'none');
  if (stray !== undefined) throw new Error(`the program refers to section ${stray.name}, which is not loaded`);
  const text = sections.filter((section) => section.kind === 'text');
  const data = sections.filter((section) => section.kind === 'data');
  const offsets = new Map<number, number>();
  let textSize = 0;
  for (const section of text) {
    offsets.set(section.index, textSize);
    textSize += section.content.length;
  }
  let dataSize = data.length === 0 ? 0 : RODATA_RESERVED;
  for (const section of data) {
    dataSize = roundUp(dataSize, section.alignment);
    offsets.set(section.index, dataSize);
    dataSize += section.content.length;
  }
  return { text, data, offsets, textSize, dataSize: roundUp(dataSize, 8) };
}

function relocateText(
  object: ObjectFile,
  layout: Layout,
  text: Uint8Array,
  section: Section,
  { offset, type, symbol }: Relocation,
  optional: readonly OptionalSyscall[],
): void {
  const view = new DataView(text.buffer);
  const at = offsetOf(layout, section.index) + offset;
  if (type === R_BPF_64_64) {
    const addend = view.getUint32(at + 4, true) + view.getUint32(at + 12, true) * 2 ** 32;
    const address = addressOf(object, layout, symbol.section, symbol.value + addend);
    view.setUint32(at + 4, Number(address & 0xffff_ffffn), true);
    view.setUint32(at + 12, Number(address >> 32n), true);
    return;
  }
  if (type !== R_BPF_64_32 || view.getUint8(at) !== CALL) {
    throw new Error(`${section.name}: relocation type ${type} of ${symbol.name} is unknown`);
  }
  if (symbol.section === 0) {
    view.setUint8(at + 1, CALL_SYSCALL << 4);
    view.setUint32(at + 4, syscallNumber(symbol.name, optional), true);
    return;
  }
  const target = offsetOf(layout, symbol.section) + symbol.value + (view.getInt32(at + 4, true) + 1) * 8;
  view.setUint8(at + 1, CALL_INTERNAL << 4);
  view.setInt32(at + 4, (target - at) / 8 - 1, true);
}

function relocateData(
  object: ObjectFile,
  layout: Layout,
  data: Uint8Array,
  section: Section,
  { offset, type, symbol }: Relocation,
): void {
  if (type !== R_BPF_64_ABS64) throw new Error(`${section.name}: relocation type ${type} is unknown`);
  const view = new DataView(data.buffer);
  const at = offsetOf(layout, section.index) + offset;
  const addend = Number(view.getBigUint64(at, true));
  view.setBigUint64(at, addressOf(object, layout, symbol.section, symbol.value + addend), true);
}

function addressOf(object: ObjectFile, layout: Layout, section: number, offset: number): bigint {
  const within = BigInt(offsetOf(layout, section) + offset);
  return object.sections[section]?.kind === 'text' ? TEXT_ADDRESS + within : within;
}

function offsetOf(layout: Layout, section: number): number {
  const offset = layout.offsets.get(section);
  if (offset === undefined) throw new Error(`section ${section} has no place in the program`);
  return offset;
}

function program(text: Uint8Array, data: Uint8Array, entry: number): Uint8Array {
  const segments = data.length === 0 ? 1 : 2;
  const start = ELF_HEADER + PROGRAM_HEADER * segments;
  const out = new Uint8Array(start + data.length + text.length);
  const view = new DataView(out.buffer);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 3, true);
  view.setUint16(18, EM_SBPF, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, TEXT_ADDRESS + BigInt(entry), true);
  view.setBigUint64(32, BigInt(ELF_HEADER), true);
  view.setUint32(48, SBPF_V3, true);
  view.setUint16(52, ELF_HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, segments, true);
  let at = ELF_HEADER;
  if (data.length > 0) {
    segment(view, at, { flags: 4, offset: start, address: 0n, size: data.length });
    at += PROGRAM_HEADER;
  }
  segment(view, at, { flags: 1, offset: start + data.length, address: TEXT_ADDRESS, size: text.length });
  out.set(data, start);
  out.set(text, start + data.length);
  return out;
}

interface Segment {
  readonly flags: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

function segment(view: DataView, at: number, { flags, offset, address, size }: Segment): void {
  view.setUint32(at, 1, true);
  view.setUint32(at + 4, flags, true);
  view.setBigUint64(at + 8, BigInt(offset), true);
  view.setBigUint64(at + 16, address, true);
  view.setBigUint64(at + 24, address, true);
  view.setBigUint64(at + 32, BigInt(size), true);
  view.setBigUint64(at + 40, BigInt(size), true);
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

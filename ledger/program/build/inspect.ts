/**
 * Refuses instructions that the chain's virtual machine reads differently from LLVM. Each of these would
 * compile, deploy and then compute something else.
 */

/** Bytes of one stack frame: a larger one silently overwrites its caller's. */
const FRAME_BYTES = 4096;
const WIDE_LOAD = 0x18;
const FRAME_POINTER = 10;

/** @throws Error naming the function and the instruction. `code` is one section: whole functions. */
export function inspectCode(name: string, code: Uint8Array): void {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  /** Registers that hold the frame pointer plus nothing. */
  let frameCopy = -1;
  for (let at = 0; at + 8 <= code.length; at += 8) {
    const opcode = view.getUint8(at);
    const registers = view.getUint8(at + 1);
    const [target, source] = [registers & 15, registers >>> 4];
    const offset = view.getInt16(at + 2, true);
    const immediate = view.getInt32(at + 4, true);
    const problem = problemOf(opcode, offset) ?? frameProblem(opcode, { target, source, offset, immediate }, frameCopy);
    if (problem !== undefined) {
      throw new Error(`${name}, instruction ${at / 8} (0x${opcode.toString(16)}): ${problem}`);
    }
    frameCopy = opcode === 0xbf && source === FRAME_POINTER ? target : -1;
    if (opcode === WIDE_LOAD) at += 8;
  }
}

function problemOf(opcode: number, offset: number): string | undefined {
  const kind = opcode & 7;
  if (kind === 4 && opcode !== 0xdc && opcode !== 0xd4) return '32-bit arithmetic is sign-extended by the machine';
  if (kind === 6) return '32-bit comparisons do not exist';
  if (opcode === 0xdb || opcode === 0xc3) return 'atomic operations do not exist';
  if (kind === 0 && opcode !== WIDE_LOAD) return 'packet loads do not exist';
  if (kind === 7 && (opcode & 0xf0) === 0xd0) return '64-bit byte swaps are encoded otherwise';
  if (kind === 7 && offset !== 0) return 'signed division and sign-extending moves do not exist';
  if (kind === 1 && (opcode & 0xe0) === 0x80) return 'sign-extending loads do not exist';
  return undefined;
}

interface Operands {
  readonly target: number;
  readonly source: number;
  readonly offset: number;
  readonly immediate: number;
}

function frameProblem(opcode: number, operands: Operands, frameCopy: number): string | undefined {
  const kind = opcode & 7;
  const base = kind === 1 ? operands.source : operands.target;
  const direct = (kind === 1 || kind === 2 || kind === 3) && base === FRAME_POINTER && operands.offset < -FRAME_BYTES;
  const indirect = opcode === 0x07 && operands.target === frameCopy && operands.immediate < -FRAME_BYTES;
  return direct || indirect ? `the stack frame is larger than ${FRAME_BYTES} bytes` : undefined;
}

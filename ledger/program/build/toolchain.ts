/** Compiles the Rust source to one BPF object with Debian's compilers. Nothing is fetched from anywhere. */
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RelaymintError, messageOf } from '../../../core/errors.ts';

const run = promisify(execFile);

/** Debian's own compiler: others have no core library for this target. */
const RUSTC = '/usr/bin/rustc';
const PACKAGES = 'rustc-web libstd-rust-web-dev-bpf';
const OUTPUT_LIMIT = 16 * 1024 * 1024;

/** Conditions that the source asks for with `cfg(..)`. */
export type Condition = 'relaymint_sha512_syscall';

/**
 * Object bytes of the crate in `source` (the folder that holds src/lib.rs). `scratch` is an empty folder.
 * @throws RelaymintError FILE_NOT_FOUND when the tool-chain is missing, INTERNAL when the source does not compile.
 */
export async function compile(
  source: string,
  scratch: string,
  conditions: readonly Condition[] = [],
): Promise<Uint8Array> {
  const llvm = await llvmTools();
  const archive = join(scratch, 'program.a');
  // prettier-ignore
  await tool(RUSTC, [
    '--edition', '2024', '--crate-name', 'relaymint', '--crate-type', 'staticlib', '--target', 'bpfel-unknown-none',
    '-C', 'opt-level=3', '-C', 'panic=abort', '-C', 'codegen-units=1', '-C', 'lto=fat', '-C', 'overflow-checks=on',
    '-C', 'target-cpu=v2', '--remap-path-prefix', `${source}=.`, ...conditions.flatMap((condition) => ['--cfg', condition]),
    '-o', archive, 'src/lib.rs',
  ], source);
  const listing = await tool(llvm.archiver, ['t', archive], scratch);
  const member = listing.trim().split('\n')[0] ?? '';
  await tool(llvm.archiver, ['x', archive, member], scratch);
  await tool(llvm.optimizer, ['-strip-debug', '-passes=globaldce', '-o', 'program.bc', member], scratch);
  // v2: the 32-bit instructions of later versions mean something else on this machine. Instructions stay in the source's
  // order: the compiler's own choice keeps more values alive than ten registers hold, which costs SHA-512 a tenth more.
  // prettier-ignore
  await tool(llvm.compiler, [
    '-march=bpfel', '-mcpu=v2', '-pre-RA-sched=linearize', '-mattr=+allows-misaligned-mem-access', '-bpf-stack-size=4096', '--function-sections',
    '--data-sections', '-filetype=obj', '-o', 'program.o', 'program.bc',
  ], scratch);
  return readFile(join(scratch, 'program.o'));
}

interface LlvmTools {
  readonly archiver: string;
  readonly optimizer: string;
  readonly compiler: string;
}

/** LLVM of the same major version as the compiler's own, which its security updates move. */
async function llvmTools(): Promise<LlvmTools> {
  if (!(await exists(RUSTC))) throw missing(`${PACKAGES} llvm`);
  const version = await tool(RUSTC, ['-vV'], '/');
  const major = /LLVM version: (\d+)/.exec(version)?.[1];
  if (major === undefined) throw missing(PACKAGES);
  const target = (await tool(RUSTC, ['--print', 'sysroot'], '/')).trim();
  const tools = {
    archiver: `/usr/bin/llvm-ar-${major}`,
    optimizer: `/usr/bin/opt-${major}`,
    compiler: `/usr/bin/llc-${major}`,
  };
  const needed = [join(target, 'lib/rustlib/bpfel-unknown-none'), ...Object.values(tools)];
  for (const path of needed) if (!(await exists(path))) throw missing(`${PACKAGES} llvm-${major}`);
  return tools;
}

function missing(packages: string): RelaymintError {
  return new RelaymintError('FILE_NOT_FOUND', 'The tool-chain that builds the on-chain program is not installed.', {
    remedy: `On Debian: apt-get install --no-install-recommends ${packages}`,
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function tool(program: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await run(program, [...args], { cwd, maxBuffer: OUTPUT_LIMIT });
    return stdout;
  } catch (cause) {
    throw new RelaymintError('INTERNAL', `${program} failed: ${messageOf(cause)}`, { cause });
  }
}

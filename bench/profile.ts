/** CPU profiles of what is measured. */

/** A directory: every process of a benchmark writes a CPU profile of its whole life into it. */
const PROFILE_VARIABLE = 'RELAYMINT_BENCH_PROFILE';

/** Flags of Node for a process. */
export function profileArgs(label: string): string[] {
  const directory = process.env[PROFILE_VARIABLE];
  if (directory === undefined || directory === '') return [];
  return ['--cpu-prof', '--cpu-prof-dir', directory, '--cpu-prof-name', `${label}.cpuprofile`];
}

/** Below the options in the help. */
export const PROFILE_HELP: string = 'RELAYMINT_BENCH_PROFILE=DIR makes every process write a CPU profile there.';

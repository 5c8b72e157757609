/** Why the system refused something: the codes of errno, as Node's errors carry them. */

/** Those that are told apart somewhere; any other failure is just one. */
export type Errno = 'EADDRINUSE' | 'EDQUOT' | 'EEXIST' | 'EIO' | 'ENOENT' | 'ENOSPC' | 'EPERM' | 'EPIPE' | 'ETIMEDOUT';

/** True when `error` came from the system with one of these codes. */
export function hasErrno(error: unknown, ...codes: readonly Errno[]): boolean {
  return error instanceof Error && 'code' in error && (codes as readonly unknown[]).includes(error.code);
}

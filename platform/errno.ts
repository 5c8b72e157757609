/** Reasons why the system refused something: errno codes, as Node's errors carry them. */

/** The codes that some caller tells apart. */
export type Errno =
  | 'EACCES'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'EAFNOSUPPORT'
  | 'EDQUOT'
  | 'EEXIST'
  | 'EIO'
  | 'ELOOP'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOTDIR'
  | 'EPERM'
  | 'EPIPE'
  | 'EROFS'
  | 'ESRCH'
  | 'ETIMEDOUT';

/** True when `error` came from the system with one of these codes. */
export function hasErrno(error: unknown, ...codes: readonly Errno[]): boolean {
  return error instanceof Error && 'code' in error && (codes as readonly unknown[]).includes(error.code);
}

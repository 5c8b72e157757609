/** Other processes of this machine. */
import { hasErrno } from './errno.ts';

/** False once it has ended, and for what is no number of a process. */
export function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It is somebody else's.
    return hasErrno(error, 'EPERM');
  }
}

/** Ports of this machine for tests that have to know one before anybody listens there. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below what systems hand out by themselves, so that nobody who asks for any port gets it meanwhile. */
const [LOWEST, HIGHEST] = [10_240, 32_767];
const ATTEMPTS = 100;

/** A port that was free a moment ago, and that only who names it can take. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(LOWEST, HIGHEST + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`found no free port among ${ATTEMPTS} between ${LOWEST} and ${HIGHEST}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** Records on the servers of Debian. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog, systemClock, type Clock, type Log } from '../../../core/ports.ts';
import { unixMillis } from '../../../core/units.ts';
import { openPostgresStore, openRedisStore, type IssuerStore } from '../../../sites/sso/index.ts';
import { assertSameSecrets } from '../../../sites/sso/server-store.ts';
import { connectDirectly, hasPostgres, hasRedis, startPostgres, startRedis, type TestServer } from './servers.ts';
import { storeCompliance } from './store-compliance.ts';

const PASSWORD = 'a-word-nobody-may-see';
const HOUR = 3_600_000;

const SERVERS = [
  { what: 'Redis', install: 'redis-server', has: hasRedis, start: startRedis, open: openRedisStore },
  { what: 'PostgreSQL', install: 'postgresql', has: hasPostgres, start: startPostgres, open: openPostgresStore },
];

describe.each(SERVERS.filter(({ has }) => !has()))('records in $what', ({ install }) => {
  it.skipIf(true)(`needs: apt-get install ${install}`, () => expect.unreachable());
});

describe.each(SERVERS.filter(({ has }) => has()))('records in $what', ({ start, open }) => {
  let server: TestServer;
  let issuer: URL;
  beforeAll(async () => {
    server = await start(PASSWORD);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(() => {
    // Another issuer sees nothing of what was kept before.
    issuer = new URL(`https://${randomUUID()}.example`);
  });
  const opened = (clock: Clock = systemClock, log: Log = silentLog): Promise<IssuerStore> =>
    open(server.url, { issuer, connect: connectDirectly, clock, log });

  storeCompliance(() => ({ isShared: true, open: opened }));

  it('says that the server is away, and goes on when it is back, with all that was claimed', async () => {
    await using store = await opened();
    const until = unixMillis(Date.now() + HOUR);
    expect(await store.claim('c', until)).toBe(true);
    await server.kill();
    const failure = await store.claim('d', until).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'CONNECTION_LOST', remedy: expect.stringContaining('runs') as unknown });
    await server.start();
    await expect.poll(() => store.get('c').catch(() => 'away')).toBe('');
    expect([await store.claim('c', until), await store.claim('e', until)]).toEqual([false, true]);
  });

  it('shows no password, whatever fails', async () => {
    const said: unknown[] = [];
    const note = (...words: unknown[]): void => void said.push(words);
    const log: Log = { debug: note, info: note, warn: note, error: note };
    const wrong = new URL(server.url);
    wrong.password = `${PASSWORD}-wrong`;
    const refused = await open(wrong, { issuer, connect: connectDirectly, clock: systemClock, log }).catch(
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ code: 'INVALID_CONFIG' });
    const nowhere = new URL(server.url);
    nowhere.port = '1';
    const absent = await open(nowhere, { issuer, connect: connectDirectly, clock: systemClock, log }).catch(
      (error: unknown) => error,
    );
    expect(absent).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(told([refused, absent, ...said])).not.toContain(PASSWORD);
  });

  it('is not shared by issuers with other secrets', async () => {
    await using store = await opened();
    const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    await assertSameSecrets(store, first, systemClock);
    await assertSameSecrets(store, first, systemClock);
    await expect(assertSameSecrets(store, second, systemClock)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    // Who was refused left nothing.
    await assertSameSecrets(store, first, systemClock);
  });
});

/** All that an error or a line of a log could show, causes and hidden fields included. */
function told(things: readonly unknown[]): string {
  const seen = new Set<unknown>();
  const walk = (thing: unknown): string => {
    if (typeof thing !== 'object' || thing === null) return String(thing);
    if (seen.has(thing)) return '';
    seen.add(thing);
    return Object.getOwnPropertyNames(thing)
      .map((key) => walk((thing as Record<string, unknown>)[key]))
      .join('\n');
  };
  return walk(things);
}

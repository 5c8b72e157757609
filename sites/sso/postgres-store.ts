/**
 * An issuer's records in PostgreSQL, for any number of processes. One table for all issuers, made when it is missing:
 *   relaymint_sign_in (issuer, key) -> value, until
 */
import { Pool, type PoolConfig } from 'pg';
import { RelaymintError } from '../../core/errors.ts';
import type { Clock } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';
import type { UnixMillis } from '../../core/units.ts';
import type { IssuerStore } from './contract.ts';
import { LateSocket } from './late-socket.ts';
import {
  AFTER_ALL,
  SERVER_MILLIS,
  SWEEP_MILLIS,
  away,
  hostOf,
  idOf,
  lifeOf,
  open,
  placeOf,
  type ServerStoreOptions,
} from './server-store.ts';

const PORT = 5432;
/** At most, of one process. */
const CONNECTIONS = 4;
const SWEPT = 1_000;
/** Held while the table is made: two that make it at once fail otherwise, IF NOT EXISTS or not. */
const LOCK = 7_265_101;

const EXISTS = `SELECT to_regclass('relaymint_sign_in') IS NOT NULL AS is_there`;
const CREATE = `
BEGIN;
SELECT pg_advisory_xact_lock(${LOCK});
CREATE TABLE IF NOT EXISTS relaymint_sign_in (
  issuer text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value text NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (issuer, key)
);
CREATE INDEX IF NOT EXISTS relaymint_sign_in_until ON relaymint_sign_in (issuer, until);
COMMIT`;
const GET = 'SELECT value FROM relaymint_sign_in WHERE issuer = $1 AND key = $2 AND until > clock_timestamp()';
const PUT = `
INSERT INTO relaymint_sign_in (issuer, key, value, until)
VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')
ON CONFLICT (issuer, key) DO UPDATE SET value = EXCLUDED.value, until = EXCLUDED.until`;
/** A row whose time is over is taken over. Who waits for the other's row looks again at what it became: one gets it. */
const CLAIM = `${PUT} WHERE relaymint_sign_in.until <= clock_timestamp()`;
const DELETE = 'DELETE FROM relaymint_sign_in WHERE issuer = $1 AND key = $2';
const KEYS = `
SELECT key FROM relaymint_sign_in WHERE issuer = $1 AND key >= $2 AND key < $3 AND until > clock_timestamp()
ORDER BY key LIMIT $4`;
const SWEEP = `
DELETE FROM relaymint_sign_in WHERE (issuer, key) IN (
  SELECT issuer, key FROM relaymint_sign_in WHERE issuer = $1 AND until <= clock_timestamp()
  LIMIT ${SWEPT} FOR UPDATE SKIP LOCKED
)`;

/**
 * `url`: postgres://USER:PASSWORD@HOST:PORT/DATABASE. By TLS with a certificate that is checked, unless it is on this machine or the URL ends
 * with ?sslmode=disable.
 * @throws RelaymintError CONNECTION_LOST, INVALID_CONFIG (password, database, rights), POLICY_REFUSED.
 */
export async function openPostgresStore(url: URL, options: ServerStoreOptions): Promise<IssuerStore> {
  const store = new PostgresIssuerStore(url, options);
  try {
    await store.begin();
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

class PostgresIssuerStore implements IssuerStore {
  readonly #url: URL;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #issuer: string;
  readonly #sweeping: AsyncDisposable;
  readonly #closing = new AbortController();

  constructor(url: URL, { issuer, connect, clock, log }: ServerStoreOptions) {
    this.#url = url;
    this.#clock = clock;
    this.#issuer = idOf(issuer);
    this.#pool = new Pool({
      ...settingsOf(url),
      max: CONNECTIONS,
      connectionTimeoutMillis: SERVER_MILLIS,
      query_timeout: SERVER_MILLIS,
      stream: () => new LateSocket(() => open(url, PORT, connect, this.#closing.signal)),
    });
    this.#pool.on('error', (error) => log.warn({ err: this.#failed(error) }, 'the sign-in records went out of reach'));
    this.#sweeping = repeat({
      everyMillis: SWEEP_MILLIS,
      work: (ended) => this.#sweep(ended),
      what: 'Deleting old sign-in records',
      log,
    });
  }

  async begin(): Promise<void> {
    // One that may not make it is served all the same when somebody else did.
    const [found] = await this.#rows<{ is_there: boolean }>(EXISTS, []);
    if (found?.is_there !== true) await this.#query(CREATE);
  }

  async get(key: string): Promise<string | undefined> {
    const [row] = await this.#rows<{ value: string }>(GET, [this.#issuer, key]);
    return row?.value;
  }

  async put(key: string, value: string, until: UnixMillis): Promise<void> {
    await this.#query(PUT, [this.#issuer, key, value, lifeOf(until, this.#clock)]);
  }

  async claim(key: string, until: UnixMillis): Promise<boolean> {
    const { rowCount } = await this.#query(CLAIM, [this.#issuer, key, '', lifeOf(until, this.#clock)]);
    return rowCount === 1;
  }

  async delete(key: string): Promise<void> {
    await this.#query(DELETE, [this.#issuer, key]);
  }

  async keys(prefix: string, most: number): Promise<readonly string[]> {
    const rows = await this.#rows<{ key: string }>(KEYS, [this.#issuer, prefix, prefix + AFTER_ALL, most]);
    return rows.map(({ key }) => key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeping[Symbol.asyncDispose]();
    this.#closing.abort(new RelaymintError('CLOSED', 'The issuer is shutting down.'));
    await this.#pool.end();
  }

  async #sweep(ended: AbortSignal): Promise<void> {
    for (let gone = SWEPT; gone === SWEPT && !ended.aborted;) {
      gone = (await this.#query(SWEEP, [this.#issuer])).rowCount ?? 0;
    }
  }

  async #rows<T extends object>(text: string, values: readonly unknown[]): Promise<readonly T[]> {
    return (await this.#query(text, values)).rows as T[];
  }

  async #query(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rowCount: number | null; readonly rows: readonly unknown[] }> {
    try {
      return await this.#pool.query(text, values === undefined ? undefined : [...values]);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** https://www.postgresql.org/docs/current/errcodes-appendix.html */
  #failed(error: unknown): RelaymintError {
    const state = error instanceof Error && 'code' in error && 'severity' in error ? String(error.code) : '';
    const place = placeOf(this.#url);
    if (/^28|^3D000$|^42501$/.test(state)) {
      const words = error instanceof Error ? error.message : '';
      return new RelaymintError('INVALID_CONFIG', `The server at ${place} does not let us in: ${words}.`, {
        remedy: 'Check the user, the password and the database in --store, and what the user may do.',
      });
    }
    if (state.startsWith('53') && state !== '53300') {
      return new RelaymintError('STORAGE_FULL', `The server at ${place} is full (${state}).`, {
        remedy: 'Give it more room.',
      });
    }
    if (state === '' || /^08|^57P|^53300$/.test(state)) return away(this.#url, error);
    return new RelaymintError('STORAGE_FAILED', `The server at ${place} refuses a sign-in record (${state}).`, {
      remedy: 'See its log.',
    });
  }
}

function settingsOf(url: URL): PoolConfig {
  const database = decodeURIComponent(url.pathname.slice(1));
  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  const host = hostOf(url);
  const isHere = host === 'localhost' || host === '127.0.0.1' || host === '::1';
  const isPlain = url.searchParams.get('sslmode') === 'disable' || (isHere && !url.searchParams.has('sslmode'));
  return {
    host,
    ...(user !== '' && { user }),
    ...(password !== '' && { password }),
    ...(database !== '' && { database }),
    ssl: !isPlain,
  };
}

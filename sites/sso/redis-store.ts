/**
 * An issuer's records on a Redis server, for any number of processes. With ID for the issuer's:
 *   relaymint:{ID}:r:KEY -> text, with its time
 *   relaymint:{ID}:keys  -> sorted set of KEY, all with score 0: in the order of their bytes
 *   relaymint:{ID}:ends  -> sorted set of KEY by when it ends, for the sweep
 * Sorted sets, because SCAN walks through all records of all issuers for each question, and in no order. The braces keep an issuer's records
 * on one node of a cluster, and a script writes all three at once.
 */
import { connect as startTls } from 'node:tls';
import { isIP } from 'node:net';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { AbstractConnector, Redis } from 'ioredis';
import { orAborted } from '../../core/abort.ts';
import { backoff, type Backoff } from '../../core/backoff.ts';
import { RelaymintError, isRelaymintError, messageOf } from '../../core/errors.ts';
import type { Clock, Log } from '../../core/ports.ts';
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

const PORT = 6379;
const PAGE = 500;
const RETRY: Backoff = { first: 100, last: 2_000 };

/** KEYS: the record, keys, ends. ARGV: KEY, text, milliseconds, "NX" to leave what is there. 1: written. */
const WRITE = `
local put
if ARGV[4] == 'NX' then
  put = redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3], 'NX')
else
  put = redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
if not put then return 0 end
local now = redis.call('TIME')
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3], ARGV[1])
return 1`;

/** KEYS as above. ARGV: KEY. */
const DELETE = `
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1`;

/** KEYS: keys, ends. ARGV: what stands before KEY, how many to look at. How many went. */
const SWEEP = `
local now = redis.call('TIME')
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now[1] * 1000 + math.floor(now[2] / 1000), 'LIMIT', 0, ARGV[2])
local gone = 0
for _, key in ipairs(over) do
  if redis.call('EXISTS', ARGV[1] .. key) == 0 then
    redis.call('ZREM', KEYS[1], key)
    redis.call('ZREM', KEYS[2], key)
    gone = gone + 1
  end
end
return gone`;

/**
 * `url`: redis://USER:PASSWORD@HOST:PORT/NUMBER, rediss: by TLS.
 * @throws RelaymintError CONNECTION_LOST, INVALID_CONFIG (password, number, or a server that drops records when it is full), POLICY_REFUSED.
 */
export async function openRedisStore(url: URL, options: ServerStoreOptions): Promise<IssuerStore> {
  const store = new RedisIssuerStore(url, options);
  try {
    await store.begin();
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

class RedisIssuerStore implements IssuerStore {
  readonly #url: URL;
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #prefix: string;
  readonly #sweeping: AsyncDisposable;
  readonly #closing = new AbortController();
  /** Of the last connection that failed: what the library says of it later is less. */
  #failure: unknown;

  constructor(url: URL, { issuer, connect, clock, log }: ServerStoreOptions) {
    this.#url = url;
    this.#clock = clock;
    this.#log = log;
    this.#prefix = `relaymint:{${idOf(issuer)}}:`;
    const { signal } = this.#closing;
    const socket = async (): Promise<Duplex> => {
      const plain = await open(url, PORT, connect, signal);
      return url.protocol === 'rediss:' ? await secured(plain, url, signal) : plain;
    };
    this.#redis = new Redis({
      Connector: class extends AbstractConnector {
        constructor() {
          super(SERVER_MILLIS);
        }

        connect(): Promise<typeof this.stream> {
          // The library uses no more of a socket than this has.
          this.stream = new LateSocket(socket) as unknown as typeof this.stream;
          return Promise.resolve(this.stream);
        }
      },
      ...credentials(url),
      protocol: 2,
      disableClientInfo: true,
      lazyConnect: true,
      // A claim whose answer was lost is sent again, and then refused: at most one gets it, perhaps none.
      maxRetriesPerRequest: 1,
      commandTimeout: SERVER_MILLIS,
      retryStrategy: (failures) => backoff(failures, RETRY),
    });
    this.#redis.on('error', (error: unknown) => {
      // Said once, not each time it tries.
      if (this.#failure === undefined) log.warn({ err: this.#failed(error) }, 'the sign-in records are out of reach');
      this.#failure = error;
    });
    this.#redis.on('ready', () => {
      if (this.#failure !== undefined) log.info({ store: placeOf(url) }, 'the sign-in records are back');
      this.#failure = undefined;
    });
    this.#sweeping = repeat({
      everyMillis: SWEEP_MILLIS,
      work: (ended) => this.#sweep(ended),
      what: 'Deleting old sign-in records',
      log,
    });
  }

  async begin(): Promise<void> {
    await this.#asked(this.#redis.connect());
    const info = fieldsOf(await this.#asked(this.#redis.info()));
    if (info.get('maxmemory') !== '0' && info.get('maxmemory_policy') !== 'noeviction') {
      throw new RelaymintError('INVALID_CONFIG', `The server at ${placeOf(this.#url)} drops records when it is full.`, {
        remedy: 'A code could then be used twice: set maxmemory-policy noeviction.',
      });
    }
    if (info.get('aof_enabled') !== '1') {
      this.#log.warn(
        { store: placeOf(this.#url) },
        'the server may forget what was used when it is restarted: set appendonly yes and appendfsync always',
      );
    }
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.#asked(this.#redis.get(this.#record(key)))) ?? undefined;
  }

  async put(key: string, value: string, until: UnixMillis): Promise<void> {
    const life = lifeOf(until, this.#clock);
    if (life > 0) await this.#write(key, value, life, '');
    else await this.delete(key);
  }

  async claim(key: string, until: UnixMillis): Promise<boolean> {
    return await this.#write(key, '', Math.max(1, lifeOf(until, this.#clock)), 'NX');
  }

  async delete(key: string): Promise<void> {
    await this.#asked(this.#redis.eval(DELETE, 3, ...this.#keysFor(key), key));
  }

  async keys(prefix: string, most: number): Promise<readonly string[]> {
    const found: string[] = [];
    const [, all] = this.#keysFor('');
    let from = `[${prefix}`;
    for (;;) {
      const page = await this.#asked(this.#redis.zrangebylex(all, from, `(${prefix}${AFTER_ALL}`, 'LIMIT', 0, PAGE));
      for (const key of await this.#living(page)) {
        if (found.length === most) return found;
        found.push(key);
      }
      if (page.length < PAGE) return found;
      from = `(${page.at(-1) ?? ''}`;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweeping[Symbol.asyncDispose]();
    this.#closing.abort(new RelaymintError('CLOSED', 'The issuer is shutting down.'));
    // Between two tries there is no connection to end, and nothing says that it ended.
    this.#redis.disconnect();
  }

  async #write(key: string, value: string, life: number, how: 'NX' | ''): Promise<boolean> {
    return (await this.#asked(this.#redis.eval(WRITE, 3, ...this.#keysFor(key), key, value, life, how))) === 1;
  }

  /** Those whose time is not over: what the sweep has yet to take away stands among the keys. */
  async #living(page: readonly string[]): Promise<readonly string[]> {
    const living = await Promise.all(page.map((key) => this.#asked(this.#redis.exists(this.#record(key)))));
    return page.filter((_, at) => living[at] === 1);
  }

  async #sweep(ended: AbortSignal): Promise<void> {
    const [, keys, ends] = this.#keysFor('');
    for (let gone = PAGE; gone === PAGE && !ended.aborted;) {
      gone = Number(await this.#asked(this.#redis.eval(SWEEP, 2, keys, ends, this.#record(''), PAGE)));
    }
  }

  #record(key: string): string {
    return `${this.#prefix}r:${key}`;
  }

  #keysFor(key: string): [record: string, keys: string, ends: string] {
    return [this.#record(key), `${this.#prefix}keys`, `${this.#prefix}ends`];
  }

  async #asked<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw this.#failed(this.#failure ?? error);
    }
  }

  /** The library's errors carry the command and its arguments, the password among them: none is handed on. */
  #failed(error: unknown): RelaymintError {
    const words = messageOf(error);
    const [code = ''] = words.split(' ', 1);
    if (['WRONGPASS', 'NOAUTH', 'NOPERM'].includes(code) || words.startsWith('ERR AUTH')) {
      return new RelaymintError('INVALID_CONFIG', `The server at ${placeOf(this.#url)} does not let us in (${code}).`, {
        remedy: 'Check the user and the password in --store, and what the user may do.',
      });
    }
    if (words.startsWith('ERR DB index')) {
      return new RelaymintError('INVALID_CONFIG', `There is no such database at ${placeOf(this.#url)}.`, {
        remedy: 'Check the number at the end of --store.',
      });
    }
    if (code === 'OOM') {
      return new RelaymintError('STORAGE_FULL', `The server at ${placeOf(this.#url)} is full.`, {
        remedy: 'Give it more memory.',
      });
    }
    if (/^[A-Z]{3,}$/.test(code) && !isRelaymintError(error) && code !== 'LOADING') {
      return new RelaymintError('STORAGE_FAILED', `The server at ${placeOf(this.#url)} refuses: ${words}.`, {
        remedy: 'See its log.',
      });
    }
    return away(this.#url, error);
  }
}

function credentials(url: URL): { username?: string; password?: string; db: number } {
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  return {
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    db: Number(url.pathname.slice(1)),
  };
}

async function secured(socket: Duplex, url: URL, signal: AbortSignal): Promise<Duplex> {
  const host = hostOf(url);
  const secure = startTls({ socket, host, ...(isIP(host) === 0 && { servername: host }) });
  try {
    await orAborted(once(secure, 'secureConnect'), signal, `TLS with ${placeOf(url)}`);
    return secure;
  } catch (error) {
    secure.on('error', () => undefined);
    secure.destroy();
    throw error;
  }
}

/** What INFO says. */
function fieldsOf(info: string): ReadonlyMap<string, string> {
  return new Map(info.split('\r\n').map((line) => line.split(':', 2) as [string, string]));
}

/** Logins and refreshes at an issuer and at the library, in turns, by the same unchanged client; and the issuer's memory with many grants. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import * as oidc from 'openid-client';
import { assertNotAborted } from '../../core/abort.ts';
import { RelaymintError } from '../../core/errors.ts';
import { unusedPort } from '../../platform/listen.ts';
import { Browser, ask, redeem, register, signIn, wallet } from '../../test/sites/sso/kit.ts';
import { profileArgs } from '../profile.ts';
import type { Kind, Question, Start, Told } from './protocol.ts';

const ENTRY = fileURLToPath(new URL('./server.js', import.meta.url));
/** Logins of one turn. */
const TURN = 20;
/** People at once. */
const AT_ONCE = 4;

export interface Timed {
  readonly millis: readonly number[];
  /** Of all of them, with `AT_ONCE` at a time. */
  readonly seconds: number;
}

export interface Measured {
  readonly logins: Readonly<Record<Kind, Timed>>;
  readonly refreshes: Readonly<Record<Kind, Timed>>;
  /** Bytes: of the issuer after the logins, with the grants just written, and after each of them was read. */
  readonly memory: { readonly before: number; readonly written: number; readonly read: number };
}

export interface MeasureOptions {
  readonly logins: number;
  readonly grants: number;
  readonly signal: AbortSignal;
  readonly onProgress: (what: string) => void;
}

interface Server extends AsyncDisposable {
  readonly client: oidc.Configuration;
  ask(question: Question): Promise<number>;
}

interface Turns {
  millis: number[];
  seconds: number;
}

export async function measure({ logins, grants, signal, onProgress }: MeasureOptions): Promise<Measured> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const servers = {
    issuer: stack.use(await startServer('issuer', folder)),
    library: stack.use(await startServer('library', folder)),
  };
  const timed = { logins: noneYet(), refreshes: noneYet() };
  const round = async (into: typeof timed, count: number): Promise<void> => {
    for (const kind of ['issuer', 'library'] as const) {
      assertNotAborted(signal, 'Measuring');
      const tokens: string[] = [];
      const { client } = servers[kind];
      await timing(into.logins[kind], count, async () => void tokens.push(await login(kind, client)));
      await timing(into.refreshes[kind], count, async () => {
        await oidc.refreshTokenGrant(client, tokens.pop() ?? '');
      });
    }
  };
  onProgress('warming up');
  await round({ logins: noneYet(), refreshes: noneYet() }, TURN);
  for (let done = 0; done < logins; done += TURN) {
    onProgress(`login ${done} of ${logins}`);
    await round(timed, Math.min(TURN, logins - done));
  }
  onProgress(`writing ${grants} grants`);
  const before = await servers.issuer.ask('memory');
  const written = await servers.issuer.ask({ fill: grants });
  assertNotAborted(signal, 'Measuring');
  return { ...timed, memory: { before, written, read: await servers.issuer.ask({ read: grants }) } };
}

function noneYet(): Record<Kind, Turns> {
  return { issuer: { millis: [], seconds: 0 }, library: { millis: [], seconds: 0 } };
}

async function timing(turns: Turns, count: number, work: () => Promise<void>): Promise<void> {
  let left = count;
  const began = performance.now();
  const person = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const from = performance.now();
      await work();
      turns.millis.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => person()));
  turns.seconds += (performance.now() - began) / 1000;
}

/** From the site to the issuer and back, with tokens in the end. @returns the refresh token. */
async function login(kind: Kind, client: oidc.Configuration): Promise<string> {
  const asked = await ask(client, { scope: 'openid offline_access' });
  const browser = new Browser();
  const back =
    kind === 'issuer' ? await signIn(browser, asked, wallet()) : new URL((await browser.follow(asked.url)).url);
  const { refresh_token: token } = await redeem(client, back, asked);
  if (token === undefined) throw new RelaymintError('INTERNAL', `The ${kind} gave no refresh token.`);
  return token;
}

async function startServer(kind: Kind, parent: string): Promise<Server> {
  const port = await unusedPort('127.0.0.1', `the ${kind}`);
  const start: Start = { kind, port, folder: path.join(parent, kind) };
  const child: ChildProcess = fork(ENTRY, [JSON.stringify(start)], {
    execArgv: ['--expose-gc', ...profileArgs(`sso-${kind}`)],
    // The library says at length that it is not set up for the public.
    stdio: ['ignore', 'ignore', kind === 'library' ? 'ignore' : 2, 'ipc'],
  });
  const ended = once(child, 'exit');
  const told = async (): Promise<number> => {
    const [answer] = (await Promise.race([
      once(child, 'message'),
      ended.then(() => {
        throw new RelaymintError('INTERNAL', `The process of the ${kind} ended.`);
      }),
    ])) as [Told];
    return answer.rss;
  };
  await told();
  return {
    client: await register(
      { url: new URL(`http://localhost:${port}`) },
      kind === 'library' ? { scope: 'openid offline_access' } : {},
    ),
    ask: async (question) => {
      child.send(question);
      return await told();
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

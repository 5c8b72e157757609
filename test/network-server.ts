/**
 * The private networks of a run of tests: one Tor, one I2P. They belong to vitest's main process, which starts each when the first
 * file asks for it, and ends it with the run. Files ask through `test/network.ts`, over a port that is told to them.
 */
import { createServer } from 'node:http';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { TestProject } from 'vitest/node';
import { isRelaymintError, messageOf, RelaymintError } from '../core/errors.ts';
import { silentLog } from '../core/ports.ts';
import { startI2pRouters } from '../testbed/i2p.ts';
import { startTorServers } from '../testbed/tor.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** URL of the run's private networks. */
    readonly networks: string;
  }
}

/** Starts a network; what it says to each who asks is plain data. */
export type StartNetwork = (signal: AbortSignal) => Promise<AsyncDisposable & { invite(): object }>;

export interface NetworkServer extends AsyncDisposable {
  /** `GET url/name`: 200 with an invitation in JSON, or 500 with the `Refusal` that the start ended with. */
  readonly url: string;
}

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** A network is started once, for the first who asks; where that fails, everybody who asks is told why. Disposing it ends them all. */
export async function serveNetworks(networks: Readonly<Record<string, StartNetwork>>): Promise<NetworkServer> {
  await using stack = new AsyncDisposableStack();
  const started = new Map<string, ReturnType<StartNetwork>>();
  const over = new AbortController();
  const get = (name: string): ReturnType<StartNetwork> => {
    const start = networks[name];
    if (start === undefined) throw new TypeError(`no network is called ${name}`);
    const network = started.get(name) ?? start(over.signal);
    started.set(name, network);
    return network;
  };
  stack.defer(async () => {
    for (const network of started.values()) await (await network.catch(() => undefined))?.[Symbol.asyncDispose]();
  });
  const server = createServer((request, response) => {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const invited = async (): Promise<object> => (await get(request.url?.slice(1) ?? '')).invite();
    invited().then(
      (invitation) => answer(200, invitation),
      (error: unknown) => answer(500, refusal(error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    over.abort(new RelaymintError('ABORTED', 'The run of tests ended.'));
    server.close();
    server.closeAllConnections();
  });
  const owned = stack.move();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function refusal(error: unknown): Refusal {
  return { code: isRelaymintError(error) ? error.code : 'INTERNAL', message: messageOf(error) };
}

/** What vitest calls before the first slow file; it calls what this returns after the last. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(path.join(tmpdir(), 'rm-networks-'));
  stack.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const options = (name: string, signal: AbortSignal) => ({
    directory: path.join(directory, name),
    log: silentLog,
    signal,
  });
  const server = stack.use(
    await serveNetworks({
      tor: (signal) => startTorServers(options('tor', signal)),
      i2p: (signal) => startI2pRouters(options('i2p', signal)),
    }),
  );
  project.provide('networks', server.url);
  const owned = stack.move();
  return () => owned.disposeAsync();
}

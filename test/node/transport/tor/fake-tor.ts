/** A control port that answers as tor does to what onion services need, and otherwise as a test says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Endpoint } from '../../../../node/transport/endpoint.ts';
import type { OnionKey } from '../../../../node/transport/tor/key.ts';

/** An answer with its line ends; `null` is none at all, `undefined` the usual one. */
export type Answer = (command: string, socket: Socket) => string | null | undefined;

export interface FakeTor extends AsyncDisposable {
  readonly control: Endpoint;
  /** Everything that was asked over any connection, in its order. */
  readonly asked: string[];
  /** Of `asked`, what begins with this word. */
  count(command: string): number;
  /** Replaces the usual answers. */
  answer: Answer;
  /** Services whose descriptors no directory takes, by onion. */
  readonly unpublished: Set<string>;
  /** Ends every control connection, as a tor does that dies. */
  drop(): void;
}

const OK = '250 OK\r\n';

/** @param keys of the services that it will be asked to put up. */
export async function startFakeTor(keys: readonly OnionKey[]): Promise<FakeTor> {
  const directory = await mkdtemp(path.join(tmpdir(), 'rm-fake-'));
  const sockets = new Set<Socket>();
  const onions = new Map(keys.map((key) => [Buffer.from(key.expanded).toString('base64'), key.onion]));
  const usual = (command: string): string => {
    if (command.startsWith('PROTOCOLINFO')) {
      return '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.1"\r\n250 OK\r\n';
    }
    const added = /^ADD_ONION ED25519-V3:(\S+)/.exec(command)?.[1];
    const onion = added === undefined ? undefined : onions.get(added);
    if (onion === undefined) return OK;
    const steps = fake.unpublished.has(onion) ? ['UPLOAD'] : ['UPLOAD', 'UPLOADED'];
    const events = ['one', 'other'].flatMap((name) =>
      steps.map((step) => `650 HS_DESC ${step} ${onion} UNKNOWN $${name} ${step === 'UPLOAD' ? name : ''}\r\n`),
    );
    return `250-ServiceID=${onion}\r\n${OK}${events.join('')}`;
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
        const command = text.slice(0, end);
        text = text.slice(end + 2);
        fake.asked.push(command);
        const said = fake.answer(command, socket);
        if (said !== null) socket.write(said ?? usual(command));
      }
    });
  });
  const control = { kind: 'unix', path: path.join(directory, 'control') } as const;
  await new Promise<void>((resolve) => {
    server.listen(control.path, resolve);
  });
  const fake: FakeTor = {
    control,
    asked: [],
    count: (command) => fake.asked.filter((line) => line.startsWith(command)).length,
    answer: () => undefined,
    unpublished: new Set(),
    drop: () => {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      fake.drop();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return fake;
}

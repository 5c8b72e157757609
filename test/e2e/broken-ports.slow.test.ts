/**
 * Control ports, SOCKS ports and SAM bridges that are broken or malicious, against the real program: it ends by itself with
 * an error or at once with Ctrl-C, and takes no memory for what they send.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { PROGRAM, temporaryFolder, type Finished } from './marketplace.ts';
import { startCommand } from './node.ts';

/** From Ctrl-C, or from the last byte that tells it is no tor, to the end of the process on a busy machine. */
const PROMPT_MILLIS = 8_000;
/** The program itself takes about 150 MB. */
const MOST_MEMORY_KB = 300 * 1024;
const STOPPED = 130;

/** Writes down how much memory the process took at most, however it ends by itself. */
const REPORT = `process.on('exit', () => require('fs').writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS)));`;

const HELLO = (cookie: string): string =>
  `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="${cookie}"\r\n250-VERSION Tor="0.4.9"\r\n250 OK\r\n`;
const says = (text: string) => (socket: Socket) => void socket.write(text);
/** As fast as it is read. */
const pours = (piece: Buffer) => (socket: Socket) => {
  const go = (): void => {
    while (socket.writable && socket.write(piece));
  };
  socket.on('drain', go);
  go();
};
const isSilent = (): void => {};

interface Port extends AsyncDisposable {
  readonly place: string;
  /** Resolves when somebody has asked something. */
  readonly asked: Promise<void>;
}

describe('a port on which something else answers', () => {
  const stack = new AsyncDisposableStack();
  let directory: string;
  let node: readonly string[];
  let sequence = 0;

  beforeAll(async () => {
    const folder = stack.use(await temporaryFolder());
    directory = folder.path;
    await writeFile(path.join(directory, 'report.cjs'), REPORT);
    execFileSync('mkfifo', [path.join(directory, 'fifo')]);
    const ledger = stack.use(
      await startCommand('ledger', 'start', '--json', '--log-level', 'warn', '--memory', '--port', '0'),
    );
    const where = ['--ledger', String(ledger.ready['url']), '--program', String(ledger.ready['programId'])];
    node = ['--json', '--log-level', 'warn', '--airdrop', '20', ...where];
  });
  afterAll(() => stack.disposeAsync());

  const file = (name: string): string => path.join(directory, name);

  /** @param answer once, to whatever is asked first. */
  const open = async (answer: (socket: Socket) => void, greet: (socket: Socket) => void = isSilent): Promise<Port> => {
    const sockets = new Set<Socket>();
    sequence += 1;
    const place = file(`port-${sequence}`);
    let wasAsked = (): void => {};
    const asked = new Promise<void>((resolve) => {
      wasAsked = resolve;
    });
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      greet(socket);
      socket.once('data', () => {
        wasAsked();
        answer(socket);
      });
    }).listen(place);
    await once(server, 'listening');
    return {
      place: `unix:${place}`,
      asked,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  };

  interface Ended extends Finished {
    readonly millis: number;
    readonly peakKb: number;
  }

  /** Runs a command to its end; `interrupt`: with Ctrl-C once that has come. One that has not ended long after is ended by force. */
  const run = async (args: readonly string[], interrupt?: Promise<void>): Promise<Ended> => {
    sequence += 1;
    const peakFile = file(`peak-${sequence}`);
    const child = spawn(process.execPath, ['--require', file('report.cjs'), PROGRAM, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PEAK_FILE: peakFile, HOME: directory },
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    const over = once(child, 'close') as Promise<[number | null]>;
    if (interrupt !== undefined) {
      await Promise.race([interrupt, over]);
      child.kill('SIGINT');
    }
    const began = performance.now();
    const force = setTimeout(() => child.kill('SIGKILL'), 4 * PROMPT_MILLIS);
    const [code] = await over;
    clearTimeout(force);
    const peakKb = Number(await readFile(peakFile, 'utf8').catch(() => 'Infinity'));
    return { code, ...output, millis: performance.now() - began, peakKb };
  };

  const expectPrompt = ({ millis, peakKb }: Ended): void => {
    expect(millis).toBeLessThan(PROMPT_MILLIS);
    expect(peakKb).toBeLessThan(MOST_MEMORY_KB);
  };
  const long = Buffer.alloc(1 << 20, 'A');
  const status = (port: Port): string[] => ['tor', 'status', '--json', '--tor-control', port.place];

  it.each<[string, (socket: Socket) => void, string]>([
    ['a cookie that is a FIFO', (socket) => says(HELLO(file('fifo')))(socket), 'no regular file'],
    ['a cookie that is a device', says(HELLO('/dev/zero')), 'no regular file'],
    ['a line without end', pours(long), 'longer than'],
    ['a reply without end', pours(Buffer.from(`250-${'A'.repeat(1000)}\r\n`.repeat(100))), 'more than'],
    ['lines of no code', pours(Buffer.from('x\r\n'.repeat(100_000))), 'no control port'],
    ['nothing more to say', (socket) => socket.end(), 'closed its control connection'],
  ])('of tor with %s ends the command with an error', async (_what, answer, words) => {
    await using port = await open(answer);
    const ended = await run(status(port));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(words);
    expectPrompt(ended);
  });

  it('of tor that closes its half at once ends the command with an error', async () => {
    await using port = await open(isSilent, (socket) => socket.end());
    const ended = await run(status(port));
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code: 'TOR_NOT_RUNNING' } });
    expectPrompt(ended);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['says nothing', isSilent],
    ['names a FIFO as its cookie', (socket) => says(HELLO(file('fifo')))(socket)],
    ['never ends', pours(Buffer.from('650 CIRC 1 BUILT\r\n'))],
  ])('of tor that %s: Ctrl-C ends a command and a relay', async (_what, answer) => {
    await using port = await open(answer);
    const ended = await run(status(port), port.asked);
    expect([STOPPED, 1]).toContain(ended.code);
    expectPrompt(ended);
    await using other = await open(answer);
    const control = ['--tor-socks', port.place, '--tor-control', other.place, '--location', 'onion:80'];
    const relay = await run(['relay', ...node, '--data', file(`relay-${sequence}`), ...control], other.asked);
    expect([STOPPED, 1]).toContain(relay.code);
    expectPrompt(relay);
  });

  it('of SOCKS that says nothing: Ctrl-C ends a relay that looks for its ledger through it', async () => {
    await using port = await open(isSilent);
    const way = ['--anonymize', '--tor-socks', port.place, '--ledger', 'https://rpc.example.com'];
    const ended = await run(['relay', ...node, '--data', file('hidden'), ...way], port.asked);
    expect(ended.code).toBe(STOPPED);
    expectPrompt(ended);
  });

  it('of SOCKS that says nothing: Ctrl-C ends a relay that looks for a bootstrap node through it', async () => {
    await using port = await open(isSilent);
    const peer = `${'1'.repeat(32)}@/onion3/pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd:80`;
    const way = ['--tor-socks', port.place, '--bootstrap', peer];
    const ended = await run(['relay', ...node, '--data', file('lonely'), ...way], port.asked);
    expect([ended.code, ended.stderr]).toEqual([STOPPED, '']);
    expectPrompt(ended);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['says nothing', isSilent],
    ['never ends its line', pours(long)],
  ])('of an I2P router that %s: Ctrl-C ends a relay', async (_what, answer) => {
    await using port = await open(answer);
    const way = ['--i2p-sam', port.place, '--location', 'i2p'];
    const ended = await run(['relay', ...node, '--data', file(`garlic-${sequence}`), ...way], port.asked);
    expect([STOPPED, 1]).toContain(ended.code);
    expectPrompt(ended);
  });
});

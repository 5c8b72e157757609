/** The control port's framing, against a scripted peer; what real tor says to it is in the tests beside this one. */
import { execFileSync } from 'node:child_process';
import { chown, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRelaymintError } from '../../../../core/errors.ts';
import type { Endpoint } from '../../../../node/transport/endpoint.ts';
import { connectControl, type TorAuth, type TorControl } from '../../../../node/transport/tor/control.ts';

const signal = new AbortController().signal;
const HELLO = '250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor="0.4.9.1"\r\n250 OK\r\n';

describe('the control port', () => {
  let directory: string;
  let endpoint: Endpoint & { readonly kind: 'unix' };
  let server: Server;
  let asked: string[];
  /** What the peer says to each command, in the order in which they come. */
  let answers: ((socket: Socket) => void)[];
  const opened: TorControl[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-control-'));
    endpoint = { kind: 'unix', path: path.join(directory, 'control') };
    asked = [];
    answers = [says(HELLO), says('250 OK\r\n')];
    server = createServer((socket) => {
      socket.on('error', () => {});
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
          asked.push(text.slice(0, end));
          text = text.slice(end + 2);
          answers.shift()?.(socket);
        }
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(endpoint.path, resolve);
    });
  });
  afterEach(async () => {
    for (const control of opened.splice(0)) await control.close();
    server.close();
    await rm(directory, { recursive: true, force: true });
  });

  const says = (text: string) => (socket: Socket) => void socket.write(text);
  const open = async (auth?: TorAuth): Promise<TorControl> => {
    const control = await connectControl({ endpoint, signal, ...(auth === undefined ? {} : { auth }) });
    opened.push(control);
    return control;
  };

  it('reads replies of one line, of many and with data, however they are cut', async () => {
    const reply = '250-version=1\r\n250+circuits=\r\n1 BUILT\r\n..dot\r\n250 no end\r\n.\r\n250 OK\r\n';
    for (let cut = 1; cut < reply.length; cut += 1) {
      answers = [says(HELLO), says('250 OK\r\n')];
      const control = await open();
      answers = [
        (socket) => {
          socket.write(reply.slice(0, cut), () => socket.write(reply.slice(cut)));
        },
      ];
      expect((await control.command('GETINFO version circuits')).lines).toEqual([
        'version=1',
        'circuits=',
        '1 BUILT',
        '.dot',
        '250 no end',
        'OK',
      ]);
      await control.close();
    }
    expect(asked.slice(0, 2)).toEqual(['PROTOCOLINFO 1', 'AUTHENTICATE']);
  });

  it('keeps answers in order and events apart, also in the middle of an answer', async () => {
    const control = await open();
    expect(control.version).toBe('0.4.9.1');
    const events: string[] = [];
    answers = [says('250 OK\r\n')];
    const off = await control.onEvent('CIRC', (line) => events.push(line));
    expect(asked.at(-1)).toBe('SETEVENTS CIRC');
    answers = [
      says('650 CIRC 1 BUILT\r\n250-a=1\r\n250 OK\r\n650 OTHER x\r\n'),
      says('250-b=2\r\n250 OK\r\n650 CIRC 2 CLOSED\r\n'),
    ];
    expect(await Promise.all([control.getInfo('a'), control.getInfo('b')])).toEqual(['1', '2']);
    await expect.poll(() => events).toEqual(['CIRC 1 BUILT', 'CIRC 2 CLOSED']);
    off();
  });

  it('says what tor says when it refuses', async () => {
    const control = await open();
    answers = [says('552 Unrecognized key "x"\r\n')];
    await expect(control.getInfo('x')).rejects.toMatchObject({
      code: 'TOR_CONTROL_FAILED',
      message: expect.stringContaining('552 Unrecognized key') as string,
    });
  });

  it('quotes a password, and shows it to nobody', async () => {
    answers = [
      says(HELLO.replace('NULL', 'HASHEDPASSWORD')),
      says('515 Authentication failed: Password did not match\r\n'),
    ];
    const failure = await open({ kind: 'password', password: 'my "secret" \\' }).catch((error: unknown) => error);
    expect(asked).toContain('AUTHENTICATE "my \\"secret\\" \\\\"');
    expect(failure).toMatchObject({ code: 'TOR_CONTROL_FAILED' });
    expect(JSON.stringify([String(failure), failure])).not.toContain('secret');
  });

  it('does not trust a peer that cannot prove the cookie', async () => {
    const file = path.join(directory, 'cookie');
    await writeFile(file, Buffer.alloc(32, 1), { mode: 0o600 });
    const zeros = '0'.repeat(64);
    answers = [
      says(`250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="${file}"\r\n250 OK\r\n`),
      says(`250 AUTHCHALLENGE SERVERHASH=${zeros} SERVERNONCE=${zeros}\r\n`),
    ];
    await expect(open()).rejects.toMatchObject({ code: 'TOR_CONTROL_FAILED' });
    expect(asked.some((line) => line.startsWith('AUTHENTICATE'))).toBe(false);
  });

  it('reads the cookie behind a name that tor has escaped, and no file that is not a cookie', async () => {
    const file = path.join(directory, 'caf\u00e9 "\\cookie');
    await writeFile(file, Buffer.alloc(32, 1), { mode: 0o600 });
    const name = path.join(directory, String.raw`caf\303\251 \"\\cookie`);
    const hello = `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="${name}"\r\n250 OK\r\n`;
    answers = [says(hello), says('250 AUTHCHALLENGE\r\n')];
    await expect(open()).rejects.toMatchObject({ message: expect.stringContaining('does not know') as string });
    await writeFile(file, Buffer.alloc(33, 1));
    asked = [];
    answers = [says(hello)];
    await expect(open()).rejects.toMatchObject({ message: expect.stringContaining('33 bytes') as string });
    expect(asked).toEqual(['PROTOCOLINFO 1']);
  });

  describe('opens no cookie', () => {
    const hello = (file: string): string =>
      `250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="${file}"\r\n250 OK\r\n`;
    /** What is said of a cookie file; undefined when something of it was used. */
    const wrongWith = async (file: string): Promise<string | undefined> => {
      answers = [says(hello(file)), says('250 AUTHCHALLENGE\r\n')];
      asked = [];
      const error: unknown = await open().catch((cause: unknown) => cause);
      return isRelaymintError(error, 'TOR_CONTROL_FAILED') && asked.length === 1 ? error.message : undefined;
    };
    const cookie = async (name: string, mode = 0o600): Promise<string> => {
      const file = path.join(directory, name);
      await writeFile(file, Buffer.alloc(32, 1), { mode });
      return file;
    };

    it('that is a FIFO, a device, a folder, a socket or a link', async () => {
      const fifo = path.join(directory, 'fifo');
      execFileSync('mkfifo', [fifo]);
      const link = path.join(directory, 'link');
      await symlink(await cookie('real'), link);
      for (const file of [fifo, '/dev/zero', '/dev/tty', directory, endpoint.path, link]) {
        expect(await wrongWith(file)).toContain('is no regular file');
      }
    });

    it('that everybody may read, because knowing it proves nothing', async () => {
      expect(await wrongWith(await cookie('open', 0o644))).toContain('may be read by everybody');
    });

    it.skipIf(process.getuid?.() !== 0)('of a user who is neither root nor us nor tor', async () => {
      const file = await cookie('foreign');
      await chown(file, 65_534, 65_534);
      expect(await wrongWith(file)).toContain('belongs to user 65534');
    });

    it('that does not exist, or whose name has control characters', async () => {
      expect(await wrongWith(path.join(directory, 'none'))).toContain('ENOENT');
      expect(await wrongWith(String.raw`/\033[2J\000`)).toContain(String.raw`"/\u001b[2J\u0000"`);
    });
  });

  it('fails everything that waits when tor goes away, and everything after', async () => {
    const control = await open();
    answers = [(socket) => socket.end('250-half=')];
    await expect(control.getInfo('half')).rejects.toMatchObject({ code: 'TOR_NOT_RUNNING' });
    expect(await control.closed).toMatchObject({ code: 'TOR_NOT_RUNNING' });
    await expect(control.command('SIGNAL NEWNYM')).rejects.toMatchObject({ code: 'TOR_NOT_RUNNING' });
  });

  it('ends with a peer that never ends its line', async () => {
    const control = await open();
    answers = [says('250 '.padEnd(2 * 1024 * 1024, 'x'))];
    await expect(control.command('GETINFO x')).rejects.toMatchObject({
      code: 'TOR_CONTROL_FAILED',
      message: expect.stringContaining('longer than 65536 bytes') as string,
    });
  });

  it.each([
    ['in lines', '250-', '\r\n'],
    ['in a block of data', '250+x=\r\n', '\r\n'],
    ['in an event', '650-CIRC ', '\r\n'],
    ['in empty lines of data', '250+x=\r\n', ''],
  ])('ends with a peer whose reply has no end, %s', async (_where, start, end) => {
    const control = await open();
    const piece = end === '' ? '\r\n'.repeat(20_000) : `${start.slice(0, 4)}${'x'.repeat(20_000)}${end}`;
    answers = [
      (socket) => {
        const go = (): void => {
          while (socket.writable && socket.write(piece));
        };
        socket.write(start);
        socket.on('drain', go);
        go();
      },
    ];
    await expect(control.command('GETINFO x')).rejects.toMatchObject({
      code: 'TOR_CONTROL_FAILED',
      message: expect.stringContaining('more than 4194304 bytes') as string,
    });
  });

  it('takes a reply just below the limits', async () => {
    const control = await open();
    const line = `250-${'x'.repeat(60_000)}\r\n`;
    answers = [says(`${line.repeat(69)}250 OK\r\n`)];
    expect((await control.command('GETINFO x')).lines).toHaveLength(70);
  });

  it('strips control characters from a refusal', async () => {
    const control = await open();
    answers = [says(`552 \u001b[2J${'x'.repeat(5000)}\r\n`)];
    const error = (await control.getInfo('x').catch((cause: unknown) => cause)) as Error;
    expect(error.message).toContain('552 ?[2Jxxx');
    expect(error.message.length).toBeLessThan(700);
  });

  it('takes one line as a command and no second one with it', async () => {
    const control = await open();
    await expect(control.command('GETINFO version\r\nSIGNAL HALT')).rejects.toThrow(TypeError);
  });
});

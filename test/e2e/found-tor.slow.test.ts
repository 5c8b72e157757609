/**
 * What a local user gains who listens where tor usually does, on a machine (a network namespace) with no tor: against the real
 * program, with everything that it said to the false ports.
 */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { openNamespace, type InnerProcess, type NetworkNamespace } from '../../testbed/namespace.ts';
import { requirePrograms } from '../network.ts';
import { PROGRAM, temporaryFolder, type Finished } from './marketplace.ts';

/** SOCKS on 9050 that refuses every place, a control port on 9051 that asks for nothing; both write down what they are told. */
const FALSE_TOR = `
  const net = require('node:net');
  const { appendFileSync } = require('node:fs');
  const note = (chunk) => appendFileSync(process.argv[2], chunk);
  const steps = [[5, 2], [1, 0], [5, 1, 0, 1, 0, 0, 0, 0, 0, 0]];
  const serve = (port, onSocket) => new Promise((done) => net.createServer(onSocket).listen(port, '127.0.0.1', done));
  Promise.all([
    serve(9050, (socket) => {
      let step = 0;
      socket.on('error', () => {}).on('data', (chunk) => {
        note(chunk);
        socket.write(Buffer.from(steps[step++] ?? []));
      });
    }),
    serve(9051, (socket) => {
      socket.on('error', () => {}).on('data', (chunk) => {
        note(chunk);
        socket.write(String(chunk).startsWith('PROTOCOLINFO')
          ? '250-AUTH METHODS=NULL\\r\\n250-VERSION Tor="0.4.9"\\r\\n250 OK\\r\\n' : '250 OK\\r\\n');
      });
    }),
  ]).then(() => console.log('{"event":"ready"}'));
`;

requirePrograms()('a false tor at the usual ports', () => {
  const stack = new AsyncDisposableStack();
  let directory: string;
  let namespace: NetworkNamespace;
  let relay: readonly string[];
  let ledgerUrl: string;

  beforeAll(async () => {
    directory = stack.use(await temporaryFolder()).path;
    await writeFile(path.join(directory, 'false.cjs'), FALSE_TOR);
    await writeFile(path.join(directory, 'password'), 'my secret\n');
    await writeFile(path.join(directory, 'told'), '');
    namespace = stack.use(await openNamespace({ signal: new AbortController().signal }));
    await readyOf(namespace.start([process.execPath, path.join(directory, 'false.cjs'), path.join(directory, 'told')]));
    const ledger = ['ledger', 'start', '--json', '--log-level', 'warn', '--memory', '--port', '0'];
    const ready = await readyOf(namespace.start([process.execPath, PROGRAM, ...ledger]));
    ledgerUrl = String(ready['url']);
    const money = ['--program', String(ready['programId']), '--airdrop', '20'];
    relay = ['relay', '--json', '--log-level', 'warn', ...money];
  });
  afterAll(() => stack.disposeAsync());

  const run = async (...args: readonly string[]): Promise<Finished & { readonly told: string }> => {
    const told = path.join(directory, 'told');
    await writeFile(told, '');
    const child = namespace.start(['env', `HOME=${directory}`, process.execPath, PROGRAM, ...args]);
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    await once(child, 'close');
    return { code: child.exitCode, ...output, told: await readFile(told, 'latin1') };
  };
  const data = (name: string): readonly string[] => ['--data', path.join(directory, name)];
  const hidden = ['--ledger', 'https://rpc.example.com', '--anonymize'];

  it('is told nothing by an anonymous node, and the error says how to name it', async () => {
    const ended = await run(...relay, ...data('hidden'), ...hidden);
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toMatchObject({ ok: false, error: { code: 'TOR_NOT_TRUSTED' } });
    expect(ended.stderr).toContain('--tor-socks 127.0.0.1:9050');
    expect(ended.told).toBe('\u0005\u0001\u0002');
    const connect = await run('tor', 'connect', '--json', `${'a'.repeat(55)}d.onion`);
    expect(connect.told).not.toContain('.onion');
  });

  it('that was named is used', async () => {
    const ended = await run(...relay, ...data('named'), ...hidden, '--tor-socks', '9050');
    expect(ended.told).toContain('rpc.example.com');
  });

  it.each([[[]], [['--tor-password-file', 'password']]])(
    'is given no key and no password by a relay %s',
    async (more) => {
      const secrets = more.map((word) => (word === 'password' ? path.join(directory, word) : word));
      const place = ['--ledger', ledgerUrl, '--location', 'onion:80'];
      const ended = await run(...relay, ...data('open'), ...place, ...secrets);
      expect(ended.code).toBe(1);
      expect(JSON.parse(ended.stdout)).toMatchObject({ ok: false, error: { code: 'INVALID_CONFIG' } });
      expect(ended.stderr).toContain('Name it: --tor-control 9051');
      expect(ended.told).not.toMatch(/ADD_ONION|AUTHENTICATE|secret/);
    },
  );

  it('is not asked for its state on its word alone', async () => {
    const ended = await run('tor', 'status', '--json');
    expect(JSON.parse(ended.stdout)).toMatchObject({ ok: false, error: { code: 'TOR_NOT_TRUSTED' } });
    expect(ended.told).not.toContain('AUTHENTICATE');
    expect((await run('tor', 'status', '--json', '--tor-control', '9051')).told).toContain('AUTHENTICATE');
  });
});

async function readyOf(child: InnerProcess): Promise<Readonly<Record<string, unknown>>> {
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return JSON.parse(line) as Record<string, unknown>;
}

/** A new role is one file: declared here, it has a command with its settings, reaches whom it wants, is found, paid, settled, and says what it did. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { grammar, optional, standard, valuesOf, price } from '../../app/config/index.ts';
import { callControl, readControlFile } from '../../app/control/index.ts';
import { openNode } from '../../app/node/index.ts';
import { baseSection, settingsOf, type Role } from '../../app/roles/index.ts';
import { roleCommand } from '../../cli/commands/role.ts';
import { silentLog } from '../../core/ports.ts';
import type { PricePerMiB } from '../../core/units.ts';
import { EMBEDDED_PROGRAM_ID } from '../../ledger/solana/index.ts';
import { declarePurpose } from '../../node/transport/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { startLedger } from '../ledger/settlement/world.ts';

interface ParrotValues {
  readonly price: PricePerMiB;
  readonly suffix: string;
  readonly songs: string | undefined;
}

const SONGS = declarePurpose('songs');

/** Says again what it is told, for pay. */
const parrot: Role<ParrotValues> = {
  name: 'parrot',
  summary: 'say again what is told, for pay',
  description: 'Says again what it is told.',
  example: 'relaymint parrot --suffix !',
  earns: true,
  purposes: [SONGS],
  settings: {
    price: standard('--price <credits>', price, 'credits for each MiB said and heard', '0.01'),
    suffix: standard('--suffix <text>', grammar(String), 'what it adds', '!'),
    songs: optional('--songs <url>', grammar(String), 'where it learns what it sings'),
  },
  terms: (own) => ({ windowPrice: own.price }),
  start: async (node, own) => {
    let said = 0;
    const song = own.songs === undefined ? '' : await (await node.policy.fetch(SONGS)(own.songs)).text();
    node.serve('parrot', own.price, (stream) => {
      stream.once('data', (chunk: Buffer) => {
        said += 1;
        stream.end(`${chunk.toString()}${own.suffix}${song}`);
      });
    });
    return {
      describe: (addresses) => `The parrot is up at ${addresses.join(', ')}.`,
      figures: () => ({ said }),
      async [Symbol.asyncDispose]() {},
    };
  },
};

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

it('the smallest role is run by its command, serves those who pay, and counts', async () => {
  const { path: folder } = stack.use(await temporaryFolder());
  const ledger = await startLedger();
  stack.defer(() => ledger.close());
  const program = new Command().exitOverride();
  roleCommand(program, parrot);
  const dataDir = path.join(folder, 'parrot');
  const songs = createServer((_request, response) => response.end(' la la')).listen(0, '127.0.0.1');
  stack.defer(() => void songs.close());
  await once(songs, 'listening');
  const songsUrl = `http://127.0.0.1:${(songs.address() as AddressInfo).port}/`;
  const base = ['--ledger', ledger.url, '--airdrop', '2', '--loopback-only', '--log-level', 'silent', '--json'];
  const own = ['--suffix', '?', '--songs', songsUrl];
  const ended = program.parseAsync(['parrot', '--data', dataDir, ...own, ...base], { from: 'user' });
  await expect.poll(() => readControlFile(dataDir).then(() => 'up', String)).toBe('up');
  const control = await readControlFile(dataDir);
  const stats = await callControl(fetch, control, 'stats');
  expect(stats).toMatchObject({ role: 'parrot', figures: { said: 0 }, prices: { parrot: '10000' } });

  const client = { name: 'visitor', earns: false, terms: () => ({}) };
  const values = valuesOf(baseSection(client), {
    data: path.join(folder, 'visitor'),
    ledger: ledger.url,
    program: EMBEDDED_PROGRAM_ID,
    bootstrap: `${stats.nodeId}@${stats.addresses[0]}`,
    airdrop: '2',
    loopbackOnly: true,
  });
  const visitor = stack.use(await openNode(settingsOf(client, values, () => silentLog)));
  await visitor.announce();
  const [offer] = visitor.discovery.book.find('parrot');
  expect(offer?.nodeId).toBe(stats.nodeId);
  const circuit = await visitor.circuits.createCircuit(offer === undefined ? [] : [offer], { service: 'parrot' });
  const stream = await circuit.openStream('parrot', new Uint8Array());
  stream.end('polly');
  const [heard] = (await once(stream, 'data')) as [Buffer];
  expect(heard.toString()).toBe('polly? la la');
  expect(await callControl(fetch, control, 'stats')).toMatchObject({ figures: { said: 1 } });

  visitor.metering.flush();
  await Promise.all(visitor.links.links().map((link) => link.ping()));
  expect(await callControl(fetch, control, 'settle')).toMatchObject({ receipts: 1 });
  await callControl(fetch, control, 'stop');
  await ended;
});

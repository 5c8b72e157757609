/** A profile by the commands, over TCP: made by one wallet, bound to a second, shown by a third. */
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { run } from '../cli/program.ts';
import { temporaryFolder } from './marketplace.ts';
import { startCommand } from './node.ts';

const MINUTES = 60_000;
const stack = new AsyncDisposableStack();
let root: string;
let ledgerArgs: readonly string[];
let joinArgs: readonly string[];

function nodeArgs(label: string): readonly string[] {
  return ['--label', label, '--data', path.join(root, label), '--airdrop', '20', '--loopback-only', ...joinArgs];
}

/** The one line that it prints. */
async function said(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await run([...args, '--json', '--log-level', 'error']);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Record<string, unknown>;
}

beforeAll(async () => {
  root = stack.use(await temporaryFolder()).path;
  const quiet = ['--json', '--log-level', 'error'];
  const ledger = stack.use(await startCommand('ledger', 'start', ...quiet, '--memory', '--port', '0'));
  ledgerArgs = ['--ledger', String(ledger.ready['url']), '--program', String(ledger.ready['programId'])];
  joinArgs = ledgerArgs;
  const host = stack.use(await startCommand('host', ...quiet, ...nodeArgs('host'), '--listen', '/ip4/127.0.0.1/tcp/0'));
  const [address] = host.ready['addresses'] as readonly string[];
  joinArgs = [...ledgerArgs, '--bootstrap', `${String(host.ready['nodeId'])}@${address}`];
}, 2 * MINUTES);
afterAll(() => stack.disposeAsync(), MINUTES);

it(
  'is made, bound, changed and shown',
  async () => {
    const ann = nodeArgs('ann');
    const created = await said(
      'profile',
      'create',
      'ann.sso',
      '--display-name',
      'Ann',
      '--link',
      'Wall=forum.web3',
      ...ann,
    );
    expect(created).toMatchObject({ event: 'published', record: 'registered', profile: { displayName: 'Ann' } });
    // Any wallet file will do, as long as it is another one.
    const host = ['--data', path.join(root, 'host'), ...ledgerArgs];
    const { consent, wallet, owner } = await said('profile', 'consent', 'ann.sso', ...host);
    await said('profile', 'bind', 'ann.sso', String(consent), ...ann);
    const edited = await said('profile', 'edit', 'ann.sso', '--about', 'At sea.', '--clear', 'links', ...ann);
    const shown = await said('profile', 'show', 'ann.sso', ...nodeArgs('reader'));
    expect(shown).toEqual(edited['profile']);
    expect(shown).toMatchObject({ displayName: 'Ann', about: 'At sea.', links: [], owner, wallets: [owner, wallet] });
    const refused = await run(['profile', 'edit', 'ann.sso', ...nodeArgs('reader'), '--log-level', 'error']);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('[NAME_TAKEN]') as string]);
    const nobody = await run(['profile', 'show', 'bob.sso', ...nodeArgs('reader'), '--log-level', 'error']);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('[NAME_UNKNOWN]') as string]);
    const people = await run(['profile', 'show', 'ann.sso', ...nodeArgs('reader'), '--log-level', 'error']);
    expect(people.stdout).toContain('ann.sso: Ann\n\n  At sea.\n');
  },
  3 * MINUTES,
);

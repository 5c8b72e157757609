/** What the commands of profiles take and print. */
import { describe, expect, it } from 'vitest';
import { Command } from 'commander';
import { ledgerAddress } from '../../core/ids.ts';
import { amount, unixMillis, unixSeconds } from '../../core/units.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import { NO_CARRY } from '../../ledger/royalty.ts';
import { parseLink, parseMessagingKey, profileLines } from '../../cli/commands/profile-text.ts';
import type { Profile } from '../../sites/profile/index.ts';
import { profileCommand, showProfile, type Showing } from '../../cli/commands/profile.ts';

const OWNER = 'AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9';
const OTHER = '9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu';
const plain = {
  name: 'ann.sso',
  displayName: 'Ann Lee',
  links: [],
  owner: OWNER,
  payout: OWNER,
  wallets: [OWNER],
  tenure: 1_790_000_000,
  sequence: 1_790_000_000_000,
};

/** What the command line says, before anything is opened or registered. */
async function told(...args: readonly string[]): Promise<string> {
  const program = new Command('relaymint').exitOverride();
  profileCommand(program);
  let said = '';
  for (const command of program.commands.flatMap((one) => [one, ...one.commands]))
    command.exitOverride().configureOutput({ writeErr: (text) => (said += text) });
  await program.parseAsync(['profile', ...args], { from: 'user' }).catch((error: unknown) => (said += String(error)));
  return said;
}

describe('a profile in a terminal', () => {
  it('says what there is', () => {
    expect(profileLines(plain)).toBe(`ann.sso: Ann Lee\n\n  owner  ${OWNER}`);
    const rich = {
      ...plain,
      about: 'One.\nTwo.',
      avatar: 'ann.image',
      links: [{ label: 'Wall', to: 'forum.web3' }],
      payout: OTHER,
      wallets: [OWNER, OTHER],
      messagingKey: 'ab'.repeat(32),
    };
    expect(profileLines(rich).split('\n')).toEqual([
      'ann.sso: Ann Lee',
      '',
      '  One.',
      '  Two.',
      '',
      `  owner          ${OWNER}`,
      `  wallet         ${OTHER}`,
      `  pay to         ${OTHER}`,
      `  messaging key  ${'ab'.repeat(32)}`,
      '  picture        ann.image',
      '  Wall           forum.web3',
    ]);
  });

  it('moves nothing, whoever wrote it', () => {
    const odd = '\u001b[2J\u202e';
    const lines = profileLines({ ...plain, displayName: odd, about: odd, links: [{ label: odd, to: odd }] });
    expect(Array.from(odd).filter((letter) => /\p{C}/u.test(letter) && lines.includes(letter))).toEqual([]);
  });
});

describe('a profile that somebody is taking by its recovery key', () => {
  const record: NameRecord = {
    name: 'ann.sso',
    address: ledgerAddress(OTHER),
    owner: ledgerAddress(OWNER),
    manager: ledgerAddress(OWNER),
    registeredAt: unixSeconds(1_790_000_000n),
    expiresAt: unixSeconds(1_830_000_000n),
    status: 'held',
    seq: 3n,
    root: new Uint8Array(),
    manifest: new Uint8Array(),
    royaltyBps: 0,
    referrerBps: 0,
    splits: [],
    accrued: amount(0n),
    lifetime: amount(0n),
    carry: NO_CARRY,
    transfers: 0,
    recovery: { key: ledgerAddress(OTHER), delay: 86_400, pending: undefined },
  };
  const pending = { to: ledgerAddress(OTHER), at: unixSeconds(1_800_000_001n) };
  const taken = { ...record, recovery: { key: ledgerAddress(OTHER), delay: 86_400, pending } };
  const profile: Profile = {
    version: 1,
    name: record.name,
    owner: record.owner,
    tenure: record.registeredAt,
    sequence: unixMillis(plain.sequence),
    displayName: plain.displayName,
    links: [],
    wallets: [],
  };

  async function shown(held: NameRecord | undefined, read: Showing['read']): Promise<readonly string[]> {
    const said: string[] = [];
    const ledger = { name: () => Promise.resolve(held), now: () => Promise.resolve(unixSeconds(9n)) };
    const output = {
      json: true,
      line: () => {},
      value: (value: unknown) => void said.push(JSON.stringify(value)),
    };
    await showProfile('ann.sso', { ledger, read, output, warn: (text) => void said.push(text) }).catch(
      (error: unknown) => said.push(String(error)),
    );
    return said;
  }

  it('is said to its owner, though nobody has the profile', async () => {
    const gone = (): Promise<never> => Promise.reject(new Error('no host has it'));
    expect(await shown(taken, gone)).toEqual([
      expect.stringContaining('!! ann.sso is being recovered'),
      'Error: no host has it',
    ]);
    expect(await shown(undefined, gone)).toEqual(['Error: no host has it']);
  });

  it('is said to programs, and so is who may', async () => {
    const read = (): ReturnType<Showing['read']> => Promise.resolve(profile);
    expect((await shown(taken, read))[1]).toContain(
      `"recovery":{"key":"${OTHER}","delaySeconds":86400,"pending":{"to":"${OTHER}","at":"1800000001"}}`,
    );
    expect(await shown(record, read)).toEqual([
      expect.stringContaining(`"recovery":{"key":"${OTHER}","delaySeconds":86400}`),
    ]);
    expect((await shown({ ...record, recovery: undefined }, read)).join('')).not.toContain('recovery');
  });
});

describe('the command line of profiles', () => {
  it('takes links and keys as people write them', () => {
    expect(parseLink('Papers=https://example.org/?a=b')).toEqual({ label: 'Papers', to: 'https://example.org/?a=b' });
    expect(parseMessagingKey('AB'.repeat(32))).toEqual(new Uint8Array(32).fill(0xab));
    for (const text of ['', '=', 'Papers', '=x', 'Papers='])
      expect(() => parseLink(text)).toThrow('Write what it is called');
    for (const text of ['', 'ab', 'xy'.repeat(32), 'ab'.repeat(33)])
      expect(() => parseMessagingKey(text)).toThrow('64 hexadecimal digits');
  });

  it('says what is wrong before anything is paid', async () => {
    const named = ['--display-name', 'Ann'];
    expect(await told('create', 'ann.web3', ...named)).toContain('ends in .sso');
    expect(await told('create', 'ann.sso')).toContain('--display-name');
    expect(await told('create', 'ann.sso', ...named, '--avatar', 'ann.sso')).toContain('ends in .image');
    expect(await told('create', 'ann.sso', ...named, '--page', '.', '--replace')).toContain('cannot be used with');
    expect(await told('create', 'ann.sso', ...named, '--page', '/nothing-here')).toContain('nothing-here');
    expect(await told('edit', 'ann.sso', '--clear', 'name')).toContain('Write one of about, avatar');
    for (const [field, option, text] of [
      ['about', '--about', 'x'],
      ['links', '--link', 'a=b.web3'],
      ['messaging-key', '--messaging-key', 'ab'.repeat(32)],
    ] as const)
      expect(await told('edit', 'ann.sso', '--clear', field, option, text)).toContain('are both given');
    expect(await told('bind', 'ann.sso', 'x')).toContain('not the consent of a wallet');
    expect(await told('consent', 'ann.sso', '--wallet', '/nothing-here.json')).toContain('nothing-here.json');
  });
});

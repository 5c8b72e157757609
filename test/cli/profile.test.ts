/** What the commands of profiles take and print. */
import { describe, expect, it } from 'vitest';
import { Command } from 'commander';
import { parseLink, parseMessagingKey, profileLines } from '../../cli/commands/profile-text.ts';
import { profileCommand } from '../../cli/commands/profile.ts';

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

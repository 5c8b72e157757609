/** What the commands of posts print. */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { threadText } from '../../cli/commands/post.ts';
import { run } from './program.ts';

const post = {
  author: { name: 'alice.sso' },
  sequence: 17,
  created: 1_790_000_000_000,
  edited: undefined,
  revision: 17,
  answers: undefined,
  state: 'shown' as const,
  mediaType: 'text/plain',
};

describe('a thread in a terminal', () => {
  it('is told in order, with what was answered, edited and taken back', () => {
    const posts = [
      { ...post, text: 'one\ntwo' },
      { ...post, sequence: 18, answers: { author: 'bob.sso', sequence: 3 }, edited: 1_790_000_060_000, text: 'three' },
      { ...post, sequence: 19, state: 'removed' as const },
    ];
    expect(threadText({ name: 'forum.web3', path: '/talk', open: true, posts })).toBe(
      [
        'forum.web3 /talk: 3 posts',
        'alice.sso/17  2026-09-21 14:13:20 UTC\n  one\n  two',
        'alice.sso/18  2026-09-21 14:13:20 UTC, answers bob.sso/3, edited 2026-09-21 14:14:20 UTC\n  three',
        'alice.sso/19  2026-09-21 14:13:20 UTC, removed',
      ].join('\n\n'),
    );
  });

  it('says what authors are called, where that is known', () => {
    const profile = { displayName: 'Alice\u202e', payout: 'AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9' };
    const posts = [{ ...post, author: { ...post.author, profile }, text: 'one' }];
    expect(threadText({ name: 'forum.web3', path: '/talk', open: true, posts })).toContain(
      '\n\nalice.sso/17 (Alice?)  2026-09-21 14:13:20 UTC\n  one',
    );
  });

  it('moves no cursor, colours nothing, turns no text around, and looks like no other post', () => {
    const text =
      '\u001b[2J\u001b]0;title\u0007\u009b31m\u202Eevil\u2066\r\nbob.sso/1  2026-09-21 14:13:20 UTC\u2028mallory\b\b';
    const [, shown = ''] = threadText({
      name: 'forum.web3',
      path: '/talk',
      open: true,
      posts: [{ ...post, text }],
    }).split('\n\n');
    expect(shown.split('\n').slice(1)).toEqual([
      '  ?[2J?]0;title??31m?evil?',
      '  bob.sso/1  2026-09-21 14:13:20 UTC',
      '  mallory??',
    ]);
  });
});

it('a post is not read whole to find that it is too long', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-post-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'words');
  await writeFile(file, '');
  await truncate(file, 3 * 2 ** 30);
  const write = ['post', 'write', 'forum.web3', '/talk', '--as', 'alice.sso', '--data', path.join(folder, 'data')];
  const [ofFile, ofInput] = [
    await run([...write, '--file', file]),
    await run([...write, '-'], { input: 'a'.repeat(20_000) }),
  ];
  const refused = [1, expect.stringContaining('A post says at most 12288 bytes. Say less')];
  expect([
    [ofFile.code, ofFile.stderr],
    [ofInput.code, ofInput.stderr],
  ]).toEqual([refused, refused]);
});

/** Files that a publish leaves out are one line, however many they are. */
import { describe, expect, it } from 'vitest';
import { leftOutText } from '../../cli/left-out.ts';

describe('what was left out', () => {
  it('is one line for hundreds of files, by reason', () => {
    const links = Array.from({ length: 300 }, (_, i) => ({ path: `docs/${i}.html`, reason: 'a link to nothing' }));
    expect(leftOutText([...links, { path: '.git', reason: 'hidden' }])).toBe(
      'Left out: a link to nothing: docs/0.html, docs/1.html, docs/2.html and 297 more; hidden: .git',
    );
  });

  it('stays one line whatever the files are called', () => {
    expect(leftOutText([{ path: 'a\nb\u001b[31mc\u202e', reason: 'hidden' }])).toBe('Left out: hidden: a?b?[31mc?');
  });
});

/** Somebody of another machine registers, so that an issuer posts to programs of its own. */
import { describe, expect, it } from 'vitest';
import { outsideAt } from '../../app/sso/outside.ts';
import type { Outside } from '../../sites/sso/index.ts';

const strangers: Outside['strangers'] = () => Promise.reject(new Error('nobody is asked'));
const thisMachine: Outside['strangers'] = () => Promise.reject(new Error('nothing is told'));

describe('an issuer', () => {
  it.each(['0.0.0.0', '::', '192.168.1.7', 'fe80::1'])('tells programs of its machine nothing at %s', (address) => {
    expect(outsideAt(address, { strangers, thisMachine })).toStrictEqual({ strangers });
  });

  it.each(['127.0.0.1', '127.0.0.9', '::1', 'localhost'])('tells them at %s, where only they come from', (address) => {
    expect(outsideAt(address, { strangers, thisMachine })).toStrictEqual({ strangers, thisMachine });
  });

  it('asks nothing that is not allowed', () => {
    expect(outsideAt('127.0.0.1', undefined)).toBeUndefined();
  });
});

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  OWN_TLDS,
  TLDS,
  inlineName,
  isName,
  nameOfFullHost,
  nameOfHost,
  opensInBrowsers,
  parseName,
  parseNewName,
  siteUrl,
  uninlineName,
} from '../../core/name.ts';
import { Chain, keypair } from '../ledger/program/svm.ts';

describe('names', () => {
  it.each(['news.web3', 'a.sso', '0.map', 'my-long-site.video', 'a-b-c.route', `${'x'.repeat(53)}.web3`])(
    'takes %s',
    (name) => expect(parseName(name).name).toBe(name),
  );

  it.each([
    ['', 'must end in'],
    ['news', 'must end in'],
    ['news.com', 'must end in'],
    ['a.b.web3', 'must end in'],
    ['.web3', 'nothing before'],
    ['-a.web3', 'begin or end'],
    ['a-.web3', 'begin or end'],
    ['ab--c.web3', 'third and fourth'],
    ['xn--a.web3', 'third and fourth'],
    ['a_b.web3', 'only the letters'],
    ['п.web3', 'only the letters'],
    ['a b.web3', 'only the letters'],
    [`${'x'.repeat(54)}.web3`, 'longer than 58'],
    [`${'a-'.repeat(24)}aaaaa.web3`, 'too many "-"'],
  ])('refuses %j: %s', (name, why) => {
    expect(() => parseName(name)).toThrow(why);
    expect(isName(name)).toBe(false);
  });

  it('converts letters to lower case', () => expect(parseName('News.WEB3').name).toBe('news.web3'));

  it('inlines like IPFS gateways do', () => {
    expect(inlineName('my-site.web3')).toBe('my--site-web3');
    expect(uninlineName('my--site-web3')).toBe('my-site.web3');
    expect(siteUrl('demo.web3', 8402)).toBe('http://demo-web3.localhost:8402/');
    expect(nameOfHost('DEMO-web3.localhost')).toBe('demo.web3');
    expect(nameOfHost('demo.web3.localhost')).toBeUndefined();
    expect(nameOfHost('demo-com.localhost')).toBeUndefined();
  });

  it('are hosts by themselves where the ending is nobody else’s', () => {
    // Delegated in public DNS: there are sites of others below them.
    expect(TLDS.filter((tld) => !OWN_TLDS.includes(tld))).toEqual(['video', 'map']);
    expect(nameOfFullHost('News.WEB3')).toBe('news.web3');
    for (const host of ['film.video', 'harbour.map', 'a.news.web3', 'news.web3.', 'web3', '', 'localhost', 'news.com'])
      expect([host, nameOfFullHost(host)]).toEqual([host, undefined]);
  });

  it('knows the names that no URL parser takes', () => {
    expect(opensInBrowsers('xn-foo.web3')).toBe(false);
    expect(() => new URL(siteUrl('xn-foo.web3', 1))).toThrow('Invalid URL');
    expect(opensInBrowsers('news.web3')).toBe(true);
    // Who begins with x, n or a hyphen later is no such name.
    for (const name of ['xn.web3', 'xna.web3', 'x-n.web3', 'axn-foo.web3']) {
      expect(new URL(siteUrl(name, 1)).hostname).toBe(`${inlineName(name)}.localhost`);
      expect(parseNewName(name).name).toBe(name);
    }
    expect(() => parseNewName('XN-foo.web3')).toThrow(
      'No browser would open xn-foo.web3: its address begins with "xn--". Choose a name that does not begin with "xn-".',
    );
    expect(() => parseNewName('xn--foo.web3')).toThrow('third and fourth');
  });

  it('are the ones that the program registers, and no others', () => {
    const chain = Chain.start();
    const owner = keypair('owner');
    chain.fund(owner.publicKey);
    const hyphens = (count: number, length: number): string =>
      `a${'-b'.repeat(count)}`.padEnd(length - 5, 'c') + '.web3';
    const edges = [1, 4, 5, 6, 7, 10, 17].flatMap((count) =>
      [62, 63, 64].map((inlined) => hyphens(count, inlined - count)).filter((name) => name.length <= 58),
    );
    const drawn = fc.sample(
      fc
        .tuple(
          fc.oneof(
            fc.stringMatching(/^[a-c0-]{1,6}$/),
            fc.stringMatching(/^[a-z0-9-]{30,53}$/),
            fc.stringMatching(/^[aA_.é-]{1,4}$/),
          ),
          fc.constantFrom('web3', 'sso', 'image', 'video', 'map', 'route', 'com', ''),
        )
        .map((parts) => parts.join('.'))
        .filter((name) => new TextEncoder().encode(name).length <= 58),
      { numRuns: 400, seed: 1 },
    );
    const names = [...new Set([...edges, ...drawn])];
    const accepted = names.filter((name) => {
      // Whether anybody committed to it is only asked of a name that can be one.
      const reason = chain.refusal([chain.reveal(owner, { name })], owner);
      expect(['InvalidName', 'NoCommitment']).toContain(reason);
      return reason === 'NoCommitment';
    });
    // parseName lowers letters; the program takes no others.
    expect(accepted).toEqual(names.filter((name) => name === name.toLowerCase() && isName(name)));
    expect(accepted.length).toBeGreaterThan(50);
    expect(edges.filter((name) => accepted.includes(name)).length).toBeGreaterThan(5);
    expect(edges.every((name) => accepted.includes(name))).toBe(false);
  });

  it('inlining is reversible, fits a host label, and no two names share one', () => {
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
    const name = fc.tuple(label, fc.constantFrom('web3', 'sso', 'map')).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(name.filter(isName), name.filter(isName), (a, b) => {
        const inlined = inlineName(a);
        expect(inlined.length).toBeLessThanOrEqual(63);
        expect(uninlineName(inlined)).toBe(a);
        expect(nameOfHost(`${inlined}.localhost`)).toBe(a);
        expect(inlineName(b) === inlined).toBe(a === b);
      }),
    );
  });

  it('never throws anything else on any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(typeof isName(text)).toBe('boolean');
        expect(['string', 'undefined']).toContain(typeof nameOfHost(text));
      }),
    );
  });
});

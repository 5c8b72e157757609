import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inlineName, isName, nameOfHost, opensInBrowsers, parseName, siteUrl, uninlineName } from '../../sdk/index.ts';

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
    ['.web3', 'nothing stands before'],
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

  it('lowers letters', () => expect(parseName('News.WEB3').name).toBe('news.web3'));

  it('inlines like IPFS gateways do', () => {
    expect(inlineName('my-site.web3')).toBe('my--site-web3');
    expect(uninlineName('my--site-web3')).toBe('my-site.web3');
    expect(siteUrl('demo.web3', 8402)).toBe('http://demo-web3.localhost:8402/');
    expect(nameOfHost('DEMO-web3.localhost')).toBe('demo.web3');
    expect(nameOfHost('demo.web3.localhost')).toBeUndefined();
    expect(nameOfHost('demo-com.localhost')).toBeUndefined();
  });

  it('knows the names that no URL parser takes', () => {
    expect(opensInBrowsers('xn-foo.web3')).toBe(false);
    expect(() => new URL(siteUrl('xn-foo.web3', 1))).toThrow('Invalid URL');
    expect(opensInBrowsers('news.web3')).toBe(true);
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

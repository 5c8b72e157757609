/** Which addresses are found in the text of pages and style sheets. */
import { describe, expect, it } from 'vitest';
import { addressesOfCss } from '../../../sites/check/css.ts';
import { referencesOf } from '../../../sites/check/html.ts';

function found(html: string): string[] {
  return referencesOf(html).references.map(({ address, use }) => `${use} ${address}`);
}

describe('a page', () => {
  it.each([
    ['<img src=a.png>', ['load a.png']],
    ['<IMG\n SRC = \'a b.png\' alt=">">', ['load a b.png']],
    ['<a href="a.html?x=1&amp;y=2">', ['go a.html?x=1&y=2']],
    ['<a href="&#x61;&#98;.html" href="second">', ['go ab.html']],
    ['<img/src="a.png"/>', ['load a.png']],
    [
      '<img srcset="a.png, b.png 2x,c.png 100w, data:x,y 3x">',
      ['load a.png', 'load b.png', 'load c.png', 'load data:x,y'],
    ],
    ['<video poster=p.jpg src=v.mp4><track src=t.vtt></video>', ['load p.jpg', 'load v.mp4', 'load t.vtt']],
    ['<object data=a.svg></object><div data=b>', ['load a.svg']],
    ['<form action=find.html></form><form method=post action=no></form>', ['go find.html']],
    ['<meta http-equiv=refresh content="3; url=next.html"><meta name=a content="0;url=no">', ['go next.html']],
    ['<link rel="dns-prefetch preconnect" href=x><link rel=icon href=i.ico>', ['load i.ico']],
    ['<svg><use xlink:href="a.svg#b"/></svg>', ['load a.svg#b']],
    ['<p style="background:url(&quot;a.png&quot;)">', ['load a.png']],
    ['<style>a{background:url(a.png)}</style>', ['load a.png']],
  ])('%s', (html, expected) => expect(found(html)).toEqual(expected));

  it.each([
    '<!-- <img src=a.png> -->',
    '<!--><!-- <img src=a> --!>',
    '<script>const a = "<img src=a.png>"; // </scripture></script>',
    '<textarea><img src=a.png></textarea><title><img src=b></title>',
    '<template><img src="${a}"><template></template><img src=b></template>',
    '<!doctype html <img src=a>',
    '<style>/* url(a.png) */ a::after { content: "url(b.png)" }</style>',
    'a < b and <3 and </img src=a>',
  ])('names nothing: %s', (html) => expect(found(html)).toEqual([]));

  it('goes on after what is never closed', () => {
    for (const html of ['<img src="a', '<img src=a', '<style>', '<!--', '<script>', '<', '</', '<a href']) {
      expect(() => referencesOf(html)).not.toThrow();
    }
    expect(found('<img src=a.png')).toEqual(['load a.png']);
    expect(found('<!--> <img src=a.png>')).toEqual(['load a.png']);
    expect(found('<!-- --!><img src=a.png>')).toEqual(['load a.png']);
  });

  it('is read in time that grows with its length only', () => {
    const started = performance.now();
    for (const piece of [
      '<style>',
      '<!--',
      '<a href="',
      "<img src='x' ",
      '<script></scrip',
      '<!',
      '&#',
      '<img srcset="a,',
    ]) {
      referencesOf(piece.repeat(100_000));
    }
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('with one long value is read in such a time too', () => {
    const started = performance.now();
    expect(found(`<img srcset="a${','.repeat(60_000)}b 2x">`)).toHaveLength(1);
    expect(found(`<meta http-equiv=refresh content="0${' '.repeat(60_000)}x">`)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  it('has the base that comes first', () => {
    expect(referencesOf('<base target=a><base href="/x/"><base href="/y/">').base).toBe('/x/');
  });
});

describe('a style sheet', () => {
  it.each([
    ['a{b:url(x.png)}', ['x.png']],
    ['a{b:URL( "x y.png" )}', ['x y.png']],
    ["@import 'a.css' screen; @import url(b.css);", ['a.css', 'b.css']],
    ['a{b:url(x\\)y.png)}', ['x)y.png']],
    ['a{b:url("\\66 oo.png")}', ['foo.png']],
    ['a{content:"it\\"s url(no)"} b{c:url(yes)}', ['yes']],
    ['a{b:image-url(no)} /* url(no) */ c{d:url(yes)} /* url(no)', ['yes']],
  ])('%s', (css, expected) => expect(addressesOfCss(css).map(({ address }) => address)).toEqual(expected));

  it('is read in time that grows with its length only', () => {
    const started = performance.now();
    for (const css of [`"${'\\"'.repeat(60_000)}`, `url(${' '.repeat(60_000)}x y)`, `"${'\\'.repeat(59_999)}`]) {
      expect(addressesOfCss(css)).toEqual([]);
    }
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  it('goes on after a string that nothing closes', () => {
    expect(addressesOfCss(`a{content:"it's}\nb{c:url(yes)}`).map(({ address }) => address)).toEqual(['yes']);
  });
});

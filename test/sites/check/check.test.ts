/** What a check finds in a folder, and what it leaves alone. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkSite, MAX_FINDINGS } from '../../../sites/check/index.ts';
import { importPath } from '../../../sites/unixfs/index.ts';
import { Cleanup, temporaryFolder } from '../kit.ts';
import { brief, checked, folderWith } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const PNG = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

describe('addresses', () => {
  it('that lead nowhere are said with their line', async () => {
    const report = await checked(cleanup, {
      'index.html':
        '<!doctype html>\n<title>a</title>\n<img src="no.png">\n<a href="gone/">x</a>\n<a href="b.html">b</a>',
      'b.html': '<!doctype html><p style="background: url(no.jpg)">b',
      'style.css': '@import "no.css";\nbody { background: url("b.png") }\n/* url(c.png) */',
    });
    expect(brief(report)).toEqual([
      'error missing b.html:1',
      'error missing index.html:3',
      'error missing index.html:4',
      'error missing style.css:1',
      'error missing style.css:2',
    ]);
    expect(report.errors).toBe(5);
    expect(report.findings[1]?.message).toBe('"no.png" is not there.');
  });

  it('are resolved from where they stand, as a browser does', async () => {
    const report = await checked(cleanup, {
      'index.html': '<!doctype html><link rel=stylesheet href=/css/a.css?v=2><a href="a%20b.html#part">x</a>',
      'a b.html':
        '<!doctype html><a href="./index.html">x</a><a href="../../index.html">above the root is the root</a>',
      'css/a.css': 'a { background: url(../img/a.png) }',
      'img/a.png': PNG,
      'deep/page.html': '<!doctype html><base href="/img/"><img src="a.png"><img srcset="a.png 1x, ../img/a.png 2x">',
    });
    expect(brief(report)).toEqual([]);
  });

  it('of clean pages, folders and redirects lead somewhere', async () => {
    const report = await checked(cleanup, {
      'index.html':
        '<!doctype html><a href="about">1</a><a href="/docs">2</a><a href="old/x">3</a><a href="/app/any/thing">4</a><a href="/out">5</a>',
      'about.html': '<!doctype html>',
      'docs/index.html': '<!doctype html>',
      'new/x.html': '<!doctype html>',
      _redirects: '/old/* /new/:splat\n/app/* /index.html 200\n/out https://example.com/\n',
    });
    expect(brief(report)).toEqual([]);
  });

  it('that a redirect leads to nothing, round in circles or to an error are missing', async () => {
    const report = await checked(cleanup, {
      'index.html': '<!doctype html>\n<a href="/a">\n<a href="/round">\n<a href="/gone">',
      _redirects: '/a /nothing\n/round /round\n/gone /index.html 410\n',
    });
    expect(brief(report)).toEqual([
      'error missing index.html:2',
      'error missing index.html:3',
      'error missing index.html:4',
    ]);
  });

  it('of the own machine are said; a name of this network and a place elsewhere are not', async () => {
    const report = await checked(cleanup, {
      'index.html': [
        '<!doctype html>',
        '<img src="http://127.0.0.1:8080/a.png">',
        '<a href="http://localhost:3000/">',
        '<img src="file:///home/me/a.png">',
        '<a href="C:\\site\\a.html">',
        '<script src="//[::1]/a.js"></script>',
        '<a href="http://demo-web3.localhost:8402/">',
        '<img src="https://example.com/a.png"><a href="mailto:a@example.com"><img src="data:,">',
      ].join('\n'),
    });
    expect(brief(report)).toEqual([
      'error own-machine index.html:2',
      'warning own-machine index.html:3',
      'error own-machine index.html:4',
      'error own-machine index.html:5',
      'error own-machine index.html:6',
    ]);
  });

  it('say which file was probably meant', async () => {
    const report = await checked(cleanup, {
      'index.html': '<!doctype html><img src="Photo.PNG"><a href="cafe\u0301.html">',
      'photo.png': PNG,
      'caf\u00e9.html': '<!doctype html>',
      '.hidden.css': '',
      'x.html': '<!doctype html><link rel=stylesheet href=".hidden.css">',
    });
    const remedies = report.findings.filter(({ code }) => code === 'missing').map(({ remedy }) => remedy);
    expect(remedies).toEqual([
      'There is photo.png: case and the form of letters with marks count.',
      'There is caf\u00e9.html: case and the form of letters with marks count.',
      '.hidden.css is not published: hidden.',
    ]);
  });

  it('in the page for what is missing have to begin with a slash', async () => {
    const report = await checked(cleanup, {
      '404.html': '<!doctype html>\n<link rel=stylesheet href=a.css>\n<img src=a.png>',
      'a.css': '',
      'a.png': PNG,
      'sub/404.html': '<!doctype html><link rel=stylesheet href=../a.css>',
    });
    expect(brief(report)).toEqual(['warning not-found-relative 404.html:2']);
  });
});

describe('names', () => {
  it('that are not UTF-8 or not NFC, and names that are alike', async () => {
    const folder = await folderWith(cleanup, {
      'cafe\u0301.txt': '',
      'caf\u00e9.txt': '',
      'sub/A.txt': '',
      'sub/a.txt': '',
    });
    await writeFile(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9])]), 'latin');
    expect(brief(await checkSite(folder)).toSorted()).toEqual([
      'error left-out caf\ufffd',
      'warning name-not-nfc cafe\u0301.txt',
      'warning names-alike caf\u00e9.txt',
      'warning names-alike sub/a.txt',
    ]);
  });

  it('of sites that look like others', async () => {
    for (const [name, seen] of [
      ['modern.web3', 'modem.web3'],
      ['go0gle.web3', 'google.web3'],
      ['paypa1.web3', 'paypal.web3'],
      ['clog.web3', 'dog.web3'],
      ['vviki.web3', 'wiki.web3'],
    ] as const) {
      const { findings, warnings } = await checked(cleanup, {}, { name });
      expect(findings[0]?.message).toBe(`${name} looks like ${seen}.`);
      expect(warnings).toBe(1);
    }
    expect((await checked(cleanup, {}, { name: 'demo.web3' })).findings).toEqual([]);
  });
});

describe('what is left out', () => {
  it('is said, and keeps nothing else from being checked and published', async () => {
    const folder = await folderWith(cleanup, {
      '.env': 'KEY=1',
      '.well-known/a.txt': 'a',
      'z.html': '<!doctype html><img src=no.png>',
    });
    const outside = await temporaryFolder(cleanup);
    await symlink(outside, path.join(folder, 'out'));
    await symlink('nowhere', path.join(folder, 'dangling'));
    await symlink('loop', path.join(folder, 'loop'));
    await mkdir(path.join(folder, 'sub'));
    await symlink('..', path.join(folder, 'sub', 'up'));
    expect(brief(await checkSite(folder))).toEqual([
      'note left-out .env',
      'warning left-out dangling',
      'warning left-out loop',
      'warning left-out out',
      'warning left-out sub/up',
      'error missing z.html:1',
    ]);
    expect((await importPath(folder, { put: async () => {} })).files).toBe(3);
  });

  it('is a folder too deep, and the rest is published', async () => {
    const deep = Array.from({ length: 70 }, () => 'd').join('/');
    const folder = await folderWith(cleanup, { [`${deep}/a.txt`]: 'a' });
    const report = await checkSite(folder);
    expect(report.findings.map(({ message }) => message)).toEqual(['It is not published: too many folders deep.']);
    expect(report.errors).toBe(1);
    expect((await importPath(folder, { put: async () => {} })).files).toBe(1);
  });
});

describe('files', () => {
  it('that are not what their names say', async () => {
    const report = await checked(cleanup, {
      'a.png': '<!DOCTYPE html><title>404</title>',
      'app.js': '\n<html lang=en>',
      'b.jpg': PNG,
      'c.png': PNG,
      'd.woff2': 'garbage',
      'e.gif': '',
      'f.psd': 'version https://git-lfs.github.com/spec/v1\noid sha256:aa\n',
      'g.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'h.txt': '<!doctype html> as text',
    });
    expect(brief(report)).toEqual([
      'error type a.png',
      'error type app.js',
      'warning type b.jpg',
      'error type d.woff2',
      'warning type e.gif',
      'error type f.psd',
    ]);
  });

  it('are told from pages whatever comments they begin with', async () => {
    const started = performance.now();
    const report = await checked(cleanup, {
      'a.svg': `${'<!---->'.repeat(27)}<svg xmlns="http://www.w3.org/2000/svg"/>`,
      'b.js': `\ufeff <!-- a --><!-- b --><html>`,
    });
    expect(brief(report)).toEqual(['error type b.js']);
    expect(performance.now() - started).toBeLessThan(400);
  });

  it('of one line with many addresses are looked through at once', async () => {
    const started = performance.now();
    const report = await checked(cleanup, { 'index.html': '<a href=/></a>'.repeat(200_000) });
    expect(brief(report)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(6_000);
  });

  it('_redirects that breaks its rules, with the line', async () => {
    const report = await checked(cleanup, { _redirects: '# fine\n/a /b\n/c /d 999\n' });
    expect(brief(report)).toEqual(['error redirects _redirects:3']);
    expect(report.findings[0]?.message).toMatch(/^The status "999" is none of /);
    const large = await checked(cleanup, { _redirects: '#'.repeat(70_000) });
    expect(brief(large)).toEqual(['error redirects _redirects']);
  });

  it('without an index, and more than a list shows', async () => {
    const folder = await temporaryFolder(cleanup);
    for (let number = 0; number <= 2_000; number += 1) await writeFile(path.join(folder, `${number}.txt`), '');
    expect(brief(await checkSite(folder))).toEqual(['warning no-index ', 'warning limit ']);
  });
});

it('a folder without a file fails, since it is not published', async () => {
  const folder = await temporaryFolder(cleanup);
  await mkdir(path.join(folder, 'empty'));
  expect(brief(await checkSite(folder))).toEqual(['error no-index ']);
});

it('20,000 wrong links are counted, and a bounded number is kept', async () => {
  const report = await checked(cleanup, { 'index.html': '<a href="no">\n'.repeat(20_000) });
  expect(report.errors).toBe(20_000);
  expect(report.findings).toHaveLength(MAX_FINDINGS);
  expect(report.findings.at(-1)?.line).toBe(MAX_FINDINGS);
});

it('a check that is stopped says so', async () => {
  const stop = new AbortController();
  const folder = await folderWith(cleanup, { 'a.txt': 'a', 'b.txt': 'b' });
  const checking = checkSite(folder, { signal: stop.signal, onProgress: () => stop.abort() });
  await expect(checking).rejects.toMatchObject({ code: 'ABORTED' });
});

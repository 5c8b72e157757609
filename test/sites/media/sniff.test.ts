/** What files are by their first bytes, and whether that is what they are said to be. */
import { describe, expect, it } from 'vitest';
import { contradictionIn, describeBytes, fitsType, sniffType } from '../../../sites/media/index.ts';
import { typeByName } from '../../../sites/gateway/index.ts';
import { REAL, headOf, mpegFrames } from './heads.ts';

const text = (what: string): Uint8Array => Buffer.from(what);

describe('the first bytes', () => {
  it('of real files tell what they are', () => {
    const told = Array.from(REAL, ([name, head]) => [name, sniffType(head)]);
    expect(Object.fromEntries(told)).toEqual({
      'a.aiff': 'audio/aiff',
      'a.avi': 'video/avi',
      'a.avif': 'image/avif',
      'b.avif': 'image/avif',
      'a.bmp': 'image/bmp',
      'a.flac': 'audio/flac',
      'a.gif': 'image/gif',
      'a.heic': 'image/heic',
      'a.ico': 'image/x-icon',
      'a.jpg': 'image/jpeg',
      'a.m4a': 'audio/mp4',
      'a.m4v': 'video/mp4',
      'a.mkv': 'video/x-matroska',
      'a.mov': 'video/quicktime',
      'a.mp3': 'audio/mpeg',
      'a.mp4': 'video/mp4',
      'a.ogg': 'application/ogg',
      'a.ogv': 'application/ogg',
      'a.opus': 'application/ogg',
      'a.pdf': 'application/pdf',
      'a.pmtiles': 'application/vnd.pmtiles',
      'a.png': 'image/png',
      'a.tiff': 'image/tiff',
      'a.wasm': 'application/wasm',
      'a.wav': 'audio/wav',
      'a.webm': 'video/webm',
      'a.webp': 'image/webp',
      'a.woff2': 'font/woff2',
      'a.zip': 'application/zip',
    });
  });

  it('of sound without a tag are two frames, and one alone is none', () => {
    const frames = mpegFrames();
    expect(sniffType(frames)).toBe('audio/mpeg');
    expect(sniffType(frames.subarray(0, 208))).toBeUndefined();
    expect(sniffType(Buffer.from('fffb50c4ffff', 'hex'))).toBeUndefined();
  });

  it.each([
    ['<!DOCTYPE HTML>', 'text/html'],
    ['\ufeff\n\t <script>alert(1)</script>', 'text/html'],
    ['<!-- a --><!-- b --><body onload=x>', 'text/html'],
    ['<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', 'text/html'],
    ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'],
    ['<?xml version="1.0"?>\n<!-- made by hand --><!DOCTYPE svg PUBLIC "a" "b"><svg:svg>', 'image/svg+xml'],
    ['<?xml version="1.0"?><rss>', 'text/xml'],
    ['<?xml version="1.0"?><!-- no end', 'text/xml'],
    ['<svgfoo>', undefined],
    ['<bodysnatchers>', undefined],
    ['#!/bin/sh', undefined],
    ['alert(1)', undefined],
    ['', undefined],
  ])('of markup: %j', (what, type) => {
    expect(sniffType(text(what))).toBe(type);
  });

  it('are read in a moment, whatever they are', () => {
    const started = performance.now();
    for (const piece of ['<!--', '<!---->', '<?xml ?>', '<', ' ', '<!DOCTYPE svg>']) {
      sniffType(text(piece.repeat(2_000_000 / piece.length)));
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe('a name', () => {
  it('fits what real files of that name begin with', () => {
    for (const [name, head] of REAL) expect([name, contradictionIn(name, head)]).toEqual([name, undefined]);
    expect(contradictionIn('b.mp3', mpegFrames())).toBeUndefined();
  });

  it.each([
    ['a.jpg', 'a.webp', 'It is named .jpg, but is a WebP image.'],
    ['photo.avif', 'a.heic', 'It is named .avif, but is a HEIC image.'],
    ['film.webm', 'a.mp4', 'It is named .webm, but is an MP4 film.'],
    ['song.mp3', 'a.wav', 'It is named .mp3, but is WAV sound.'],
    ['song.flac', 'a.ogg', 'It is named .flac, but is an Ogg file.'],
    ['town.pmtiles', 'a.zip', 'It is named .pmtiles, but is a ZIP file.'],
  ])('%s is not what %s is', (name, real, message) => {
    expect(contradictionIn(name, headOf(real))).toMatchObject({ severity: 'warning', message });
  });
});

describe('a declared type', () => {
  it('is fit by every real file that has it by its name', () => {
    for (const [name, head] of REAL) expect([name, fitsType(typeByName(name)?.type ?? '', head)]).toEqual([name, true]);
  });

  it('is not fit by pages, scripts, or files of another kind', () => {
    const others = [text('<html>'), text('alert(1)'), text('#!/bin/sh\n'), headOf('a.pdf'), new Uint8Array(0)];
    for (const type of ['image/png', 'image/jpeg', 'image/avif', 'video/mp4', 'video/webm']) {
      expect([type, others.filter((head) => fitsType(type, head))]).toEqual([type, []]);
    }
    expect(fitsType('image/png', headOf('a.jpg'))).toBe(false);
    expect(fitsType('image/svg+xml', text('<!doctype html><svg>'))).toBe(false);
    expect(fitsType('image/svg+xml', text(`<!-- ${'long '.repeat(1_000)} --><svg>`))).toBe(true);
  });

  it('that is not known here is believed of what is no text', () => {
    expect(fitsType('image/x-new', Buffer.from([1, 2, 3, 0xff]))).toBe(true);
    for (const what of ['<html>\0', 'alert(1)', ''])
      expect([what, fitsType('image/x-new', text(what))]).toEqual([what, false]);
  });

  it('is told from what a file is in words', () => {
    expect(['<html>', 'alert(1)', ''].map((what) => describeBytes(text(what)))).toEqual([
      'a page of HTML',
      'text',
      'empty',
    ]);
    expect([headOf('a.webp'), Buffer.from([1, 2])].map(describeBytes)).toEqual(['a WebP image', 'something else']);
  });
});

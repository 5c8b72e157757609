/**
 * Packages that sites are made of, in a browser, from the preview: each does what it is for, and nothing is missing or refused. What a wrong
 * media type breaks shows here: a module that is no script, WebAssembly that cannot be compiled as it comes.
 */
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { openPreview, type Preview } from '../../app/site/index.ts';
import { silentLog } from '../../core/ports.ts';
import { describeUnless, missingPrograms } from '../programs.ts';
import { Cleanup, temporaryFolder, writeTree } from '../sites/kit.ts';

const CHROMIUM = '/usr/bin/chromium';
/** It connects to nobody by itself. */
const ARGUMENTS: string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
];

/** A folder with the package at `lib` for each, and the page that uses it. */
const SITES = {
  wasm: {
    package: '@jsquash/png',
    page: `<script type="module">
      import init from './lib/codec/pkg/squoosh_png.js';
      import { decode } from './lib/decode.js';
      import encode from './lib/encode.js';
      const compiled = await WebAssembly.compileStreaming(fetch('lib/codec/pkg/squoosh_png_bg.wasm'));
      await init();
      const image = new ImageData(new Uint8ClampedArray([255, 0, 0, 255, 0, 255, 0, 255]), 2, 1);
      const again = await decode(await encode(image));
      window.result = [WebAssembly.Module.exports(compiled).length > 0, again.width, again.height, ...again.data];
    </script>`,
  },
  pdf: {
    package: 'pdfjs-dist',
    page: `<link rel="stylesheet" href="lib/web/pdf_viewer.css">
    <div id="container" style="position:absolute;width:600px;height:600px;overflow:auto"><div class="pdfViewer"></div></div>
    <script type="module">
      import * as pdfjsLib from './lib/build/pdf.mjs';
      globalThis.pdfjsLib = pdfjsLib;
      pdfjsLib.GlobalWorkerOptions.workerSrc = 'lib/build/pdf.worker.mjs';
      const { EventBus, PDFLinkService, PDFViewer } = await import('./lib/web/pdf_viewer.mjs');
      const eventBus = new EventBus();
      const linkService = new PDFLinkService({ eventBus });
      const viewer = new PDFViewer({ container: document.querySelector('#container'), eventBus, linkService });
      linkService.setViewer(viewer);
      eventBus.on('pagerendered', ({ error }) => {
        const canvas = document.querySelector('canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const dark = data.filter((value, index) => index % 4 === 0 && value < 128).length;
        window.result = [error ?? undefined, dark > 100];
      });
      const at = (folder) => new URL('lib/' + folder + '/', location.href).href;
      const pdf = await pdfjsLib.getDocument({ url: 'page.pdf', standardFontDataUrl: at('standard_fonts'), cMapUrl: at('cmaps'), wasmUrl: at('wasm'),
        useSystemFonts: false, disableFontFace: true }).promise;
      viewer.setDocument(pdf);
      linkService.setDocument(pdf);
    </script>`,
  },
  editor: {
    package: 'codemirror',
    page: `<link rel="stylesheet" href="lib/lib/codemirror.css"><link rel="stylesheet" href="lib/theme/monokai.css">
    <script src="lib/lib/codemirror.js"></script><script src="lib/mode/javascript/javascript.js"></script>
    <body><script>
      const editor = CodeMirror(document.body, { mode: 'javascript', theme: 'monokai', lineNumbers: true });
      editor.focus();
    </script>`,
  },
  map: {
    package: 'leaflet',
    page: `<link rel="stylesheet" href="lib/dist/leaflet.css"><div id="map" style="width:400px;height:300px"></div>
    <script type="module">
      import * as L from './lib/dist/leaflet-src.esm.js';
      const map = L.map('map', { attributionControl: false }).setView([51.5, -0.1], 5);
      L.Icon.Default.imagePath = 'lib/dist/images/';
      L.marker([51.5, -0.1]).addTo(map);
      L.geoJSON({ type: 'Polygon', coordinates: [[[-5, 50], [5, 50], [5, 53], [-5, 50]]] }).addTo(map);
      map.zoomIn(1, { animate: false });
      const icon = document.querySelector('.leaflet-marker-icon');
      await icon.decode();
      window.result = [map.getZoom(), icon.naturalWidth, document.querySelectorAll('path.leaflet-interactive').length];
    </script>`,
  },
  slides: {
    package: 'reveal.js',
    page: `<link rel="stylesheet" href="lib/dist/reveal.css"><link rel="stylesheet" href="lib/dist/theme/white.css">
    <div class="reveal"><div class="slides"><section>one</section><section>two</section><section>three</section></div></div>
    <script type="module">
      import Reveal from './lib/dist/reveal.mjs';
      import Notes from './lib/dist/plugin/notes.mjs';
      window.deck = new Reveal({ plugins: [Notes] });
      await deck.initialize();
      window.result = [deck.getTotalSlides()];
    </script>`,
  },
} as const;
type SiteName = keyof typeof SITES;

describeUnless(missingPrograms(['chromium']), 'Tests of packages in a browser')(
  'in a browser, from the preview,',
  () => {
    const cleanup = new Cleanup();
    const pages = new Cleanup();
    let browser: Browser;
    let preview: Preview;
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
      cleanup.add(() => browser.close());
      const scratch = await temporaryFolder(cleanup);
      const paths: string[] = [];
      for (const [name, { package: from, page }] of Object.entries(SITES)) {
        const folder = path.join(scratch, name);
        paths.push(folder);
        await mkdir(folder);
        await cp(packageFolder(from), path.join(folder, 'lib'), { recursive: true });
        await writeTree(folder, {
          'index.html': `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>${name}</title>${page}`,
        });
      }
      await writeTree(path.join(scratch, 'pdf'), { 'page.pdf': smallPdf() });
      const { signal } = new AbortController();
      preview = await openPreview({ paths, port: 0, signal, log: silentLog });
      cleanup.add(() => preview[Symbol.asyncDispose]());
    });
    afterAll(() => cleanup.run());
    afterEach(() => pages.run());

    /** `trouble`: what the page or the browser complained of, and what did not come. */
    async function open(name: SiteName): Promise<{ readonly page: Page; readonly trouble: readonly string[] }> {
      const page = await browser.newPage();
      pages.add(() => page.close());
      const trouble: string[] = [];
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) trouble.push(message.text());
      });
      page.on('pageerror', (error) => trouble.push(error.message));
      page.on('requestfailed', (request) => trouble.push(`${request.url()}: ${request.failure()?.errorText}`));
      page.on('response', (response) => {
        if (response.status() >= 400) trouble.push(`${response.url()}: ${response.status()}`);
      });
      await page.goto(preview.sites.find((site) => path.basename(site.path) === name)?.url ?? '');
      return { page, trouble };
    }

    const resultOf = (page: Page): Promise<unknown> => page.evaluate('window.result');

    it('WebAssembly is compiled as it comes, and packs and unpacks an image', async () => {
      const { page, trouble } = await open('wasm');
      await expect.poll(() => resultOf(page)).toEqual([true, 2, 1, 255, 0, 0, 255, 0, 255, 0, 255]);
      expect(trouble).toEqual([]);
    });

    it('a viewer of PDF draws a page, with a font that it fetches', async () => {
      const { page, trouble } = await open('pdf');
      await expect.poll(() => resultOf(page)).toEqual([undefined, true]);
      expect(await page.locator('.textLayer').textContent()).toContain('Words on a page');
      expect(trouble).toEqual([]);
    });

    it('an editor takes what is typed, and colours it', async () => {
      const { page, trouble } = await open('editor');
      await page.locator('.CodeMirror').click();
      await page.keyboard.type('let answer = 42;');
      expect(await page.evaluate('editor.getValue()')).toBe('let answer = 42;');
      await page.locator('.cm-keyword', { hasText: 'let' }).waitFor();
      expect(trouble).toEqual([]);
    });

    it('a map shows a marker and a shape', async () => {
      const { page, trouble } = await open('map');
      await expect.poll(() => resultOf(page)).toEqual([6, 25, 1]);
      expect(trouble).toEqual([]);
    });

    it('slides go forward', async () => {
      const { page, trouble } = await open('slides');
      await expect.poll(() => resultOf(page)).toEqual([3]);
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      expect(await page.evaluate('deck.getIndices().h')).toBe(2);
      await page.locator('section.present', { hasText: 'three' }).waitFor();
      expect(trouble).toEqual([]);
    });
  },
);

function packageFolder(name: string): string {
  return fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url));
}

/** One page with a line of text in a font that every reader has to bring. */
function smallPdf(): string {
  const content = 'BT /F 36 Tf 20 80 Td (Words on a page) Tj ET';
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 200]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>',
    `<</Length ${content.length}>>stream\n${content}\nendstream`,
    '<</Type/Font/Subtype/Type1/BaseFont/Times-Roman>>',
  ];
  let text = '%PDF-1.4\n';
  const offsets = objects.map((object, index) => {
    const at = text.length;
    text += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(at).padStart(10, '0')} 00000 n \n`;
  });
  const count = objects.length + 1;
  return `${text}xref\n0 ${count}\n0000000000 65535 f \n${offsets.join('')}trailer\n<</Size ${count}/Root 1 0 R>>\nstartxref\n${text.length}\n%%EOF\n`;
}

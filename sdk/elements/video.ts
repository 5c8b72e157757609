/** `<relaymint-video name="ferry.video" path="/ferry.webm" poster="/ferry.webp" captions="/ferry.vtt" alt="...">` */
import type { Drawing } from './drawing.ts';
import { drawFigure, FIGURE_ATTRIBUTES } from './figure.ts';
import { make } from './make.ts';

export const video: Drawing = {
  tag: 'relaymint-video',
  attributes: [...FIGURE_ATTRIBUTES, 'poster', 'captions', 'srclang'],
  async draw(stage) {
    const { place } = stage;
    const film = make('video');
    film.controls = true;
    film.playsInline = true;
    const alt = place.getAttribute('alt');
    if (alt !== null) film.setAttribute('aria-label', alt);
    const manifest = await drawFigure(stage, film, (addressAt) => {
      const poster = addressAt('poster');
      // What nobody plays costs nobody anything.
      film.preload = poster === undefined ? 'metadata' : 'none';
      if (poster !== undefined) film.poster = poster;
      const captions = addressAt('captions');
      if (captions !== undefined) {
        // A browser takes captions of another origin only with a film that was asked for as they are.
        if (new URL(captions).origin !== location.origin) film.crossOrigin = 'anonymous';
        const track = make('track');
        track.kind = 'captions';
        track.label = 'Captions';
        track.srclang = place.getAttribute('srclang') ?? (document.documentElement.lang || 'en');
        track.src = captions;
        film.append(track);
      }
      film.src = addressAt('path') ?? '';
    });
    if (alt === null && manifest?.title !== undefined) film.setAttribute('aria-label', manifest.title);
  },
};

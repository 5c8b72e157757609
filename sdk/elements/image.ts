/** `<relaymint-image name="dawn.image" path="/dawn.webp" alt="...">` */
import type { Drawing } from './drawing.ts';
import { drawFigure, FIGURE_ATTRIBUTES } from './figure.ts';
import { make } from './make.ts';

export const image: Drawing = {
  tag: 'relaymint-image',
  attributes: FIGURE_ATTRIBUTES,
  async draw(stage) {
    const picture = make('img');
    const alt = stage.place.getAttribute('alt');
    picture.alt = alt ?? '';
    picture.loading = 'lazy';
    picture.decoding = 'async';
    const manifest = await drawFigure(stage, picture, (addressAt) => {
      picture.src = addressAt('path') ?? '';
    });
    // Better than nothing, for who does not see it.
    picture.alt = alt ?? manifest?.title ?? '';
  },
};

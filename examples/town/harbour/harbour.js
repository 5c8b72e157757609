// Draws the map of Pellan Harbour, of pellan.map, in a page of any name: MapLibre asks for tiles, and pmtiles fetches them as ranges of one file.
import { AttributionControl, Map, NavigationControl, addProtocol } from './maplibre/maplibre-gl.mjs';
import { addressOf } from './town.js';

const { PMTiles, Protocol } = globalThis.pmtiles;
const TILES = 'pmtiles';
const FONTS = ['Iowan Old Style', 'Palatino Linotype', 'Palatino', 'Georgia', 'serif'];
const NOTHING = { type: 'FeatureCollection', features: [] };
const SHEET = [
  [-14.3345, 46.1085],
  [-14.2855, 46.1315],
];

const protocol = new Protocol();
addProtocol(TILES, protocol.tile);

/**
 * Draws in `place`, an element with the name (data-map-of) and the path (data-map) of the archive; data-state says what became of it.
 * Resolves with what else may be shown there; undefined: this browser cannot draw it.
 */
export async function drawHarbour(place) {
  const address = addressOf(place.dataset.mapOf, place.dataset.map);
  if (document.createElement('canvas').getContext('webgl2') === null) {
    tell(place, 'failed', 'Your browser cannot draw maps: it has no WebGL 2.');
    return undefined;
  }
  let boats = NOTHING;
  const first = archiveAt(address, rebuilt);
  const map = new Map({
    container: place,
    style: styleOf(first, boats),
    center: [-14.305, 46.1205],
    zoom: 13.4,
    minZoom: 11.5,
    maxZoom: 18,
    maxBounds: SHEET,
    // It says whose map it is, on narrow pages too.
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    // Two fingers move the map, one the page.
    cooperativeGestures: true,
    locale: { 'Map.Title': 'Map of Pellan Harbour: arrow keys move it, plus and minus zoom' },
  });
  map.touchZoomRotate.disableRotation();
  map.addControl(new NavigationControl({ showCompass: false }), 'top-right');
  map.addControl(new AttributionControl({ compact: false }));
  map.on('error', ({ error }) => tell(place, 'failed', `The map did not arrive: ${error.message}`));
  map.on('idle', () => {
    if (place.dataset.state !== 'failed') place.dataset.state = 'drawn';
  });

  /** Somebody published another map meanwhile: all of it is drawn anew, since pieces of two maps do not fit together. */
  function rebuilt() {
    delete place.dataset.state;
    map.setStyle(styleOf(archiveAt(address, rebuilt), boats), { diff: false });
  }

  return {
    map,
    /** Points that move: a GeoJSON collection, each with a `name` of its own. In place of those that were shown. */
    showBoats(collection) {
      boats = collection;
      map.getSource('boats')?.setData(collection);
    },
  };
}

let archives = 0;

/** One state of the archive, under a key of its own. */
function archiveAt(address, onRebuilt) {
  archives += 1;
  const archive = new PMTiles(new OneState(`${address}#${archives}`, address, onRebuilt));
  protocol.add(archive);
  return archive;
}

/**
 * Fetches from one state of a file: the tag of the first answer names its content, and later ones are wanted only of that. A gateway sends
 * nothing of another one (412), and nothing is paid for it.
 */
class OneState {
  #tag;
  #isOver = false;

  constructor(key, address, onRebuilt) {
    this.key = key;
    this.address = address;
    this.onRebuilt = onRebuilt;
  }

  getKey() {
    return this.key;
  }

  async getBytes(offset, length, signal) {
    const headers = { Range: `bytes=${offset}-${offset + length - 1}` };
    if (this.#tag !== undefined) headers['If-Match'] = this.#tag;
    const answer = await fetch(this.address, { headers, signal });
    const tag = answer.headers.get('ETag');
    if (answer.status === 412 || (this.#tag !== undefined && answer.ok && tag !== this.#tag)) {
      if (!this.#isOver) this.onRebuilt();
      this.#isOver = true;
      throw new DOMException('This map was replaced.', 'AbortError');
    }
    if (answer.status !== 206) throw new Error(`${new URL(this.address).host} answered ${answer.status}.`);
    const data = await answer.arrayBuffer();
    this.#tag ??= tag;
    return { data };
  }
}

function tell(place, state, text) {
  place.dataset.state = state;
  const words = place.querySelector('.instead') ?? place.appendChild(document.createElement('p'));
  words.className = 'instead';
  words.setAttribute('role', 'alert');
  words.textContent = text;
}

// --- how it looks -------------------------------------------------------------------------------------------------------

function styleOf(archive, boats) {
  return {
    version: 8,
    sources: {
      pellan: {
        type: 'vector',
        url: `${TILES}://${archive.source.getKey()}`,
        attribution: 'Map: Wen Marlow, after the chart of Class Seven',
      },
      // For what moves: see showBoats.
      boats: { type: 'geojson', data: boats },
    },
    layers: [
      { id: 'sea', type: 'background', paint: { 'background-color': '#b4d8da' } },
      line('shallows', 'land', { 'line-color': '#d0e5e2', 'line-width': 13, 'line-blur': 5 }),
      fill('land', { 'fill-color': '#efd9a7' }),
      line('coast', 'land', { 'line-color': '#6a4d2e', 'line-width': 1.6 }),
      fill('wood', { 'fill-color': '#b9bf7f', 'fill-opacity': 0.75 }),
      line('river', 'river', { 'line-color': '#7db4bd', 'line-width': growing(1, 9) }),
      line('road-edge', 'road', { 'line-color': '#b99c63', 'line-width': growing(1.6, 20) }, NO_PATH),
      line('road', 'road', { 'line-color': '#fbf3dc', 'line-width': growing(1, 16) }, NO_PATH),
      line(
        'path',
        'road',
        { 'line-color': '#8a6a3d', 'line-width': growing(0.8, 4), 'line-dasharray': [2, 1.5] },
        PATH,
      ),
      line('pier', 'pier', { 'line-color': '#6a4d2e', 'line-width': growing(1.2, 16) }),
      fill('house', { 'fill-color': '#a8322c', 'fill-outline-color': '#6d1f1b' }, 12.5),
      line('ferry', 'ferry', { 'line-color': '#a8322c', 'line-width': growing(1.2, 4), 'line-dasharray': [3, 2] }),
      label('river-name', 'river', 'line', 13, '#2f6a75', 13.5),
      label('road-name', 'road', 'line', 12, '#5a3b1c', 14.5),
      label('ferry-name', 'ferry', 'line', 13, '#a8322c', 13),
      ...POINTS.map(([kind, color, radius]) => dot(kind, color, radius)),
      place('water', '#173f50', 17, 12, 0),
      place('island', '#5a3b1c', 15, 12, 0),
      place('town', '#5a3b1c', 20, 11, 0),
      ...POINTS.map(([kind, color]) => place(kind, color, 13, 13, 0.9)),
      {
        id: 'boats',
        type: 'circle',
        source: 'boats',
        paint: {
          'circle-radius': 7,
          'circle-color': '#1b2435',
          'circle-stroke-color': '#fff',
          'circle-stroke-width': 2,
        },
      },
      {
        id: 'boat-names',
        type: 'symbol',
        source: 'boats',
        layout: { ...lettering(13), 'text-field': ['get', 'name'], 'text-offset': [0, 1.1], 'text-anchor': 'top' },
        paint: halo('#1b2435'),
      },
    ],
  };
}

const PATH = ['==', ['get', 'kind'], 'path'];
const NO_PATH = ['!', PATH];
const POINTS = [
  ['light', '#8c2460', 6],
  ['rock', '#1b2435', 4],
  ['pier', '#a8322c', 4],
  ['square', '#6a4d2e', 3],
];

/** Widths at zoom 12 and 18. */
function growing(far, near) {
  return ['interpolate', ['exponential', 1.6], ['zoom'], 12, far, 18, near];
}

function fill(layer, paint, minzoom = 0) {
  return { id: layer, type: 'fill', source: 'pellan', 'source-layer': layer, minzoom, paint };
}

function line(id, layer, paint, filter) {
  const drawn = { id, type: 'line', source: 'pellan', 'source-layer': layer, paint };
  return { ...drawn, layout: { 'line-join': 'round', 'line-cap': 'round' }, ...(filter && { filter }) };
}

function dot(kind, color, radius) {
  return {
    id: `${kind}-dot`,
    type: 'circle',
    source: 'pellan',
    'source-layer': 'place',
    minzoom: kind === 'square' ? 15 : 0,
    filter: ['==', ['get', 'kind'], kind],
    paint: {
      'circle-radius': radius,
      'circle-color': color,
      'circle-stroke-color': '#fbf3dc',
      'circle-stroke-width': 1.5,
    },
  };
}

/** Fonts are those of the visitor: none is fetched. */
function lettering(size) {
  return { 'text-font': FONTS, 'text-size': size };
}

function halo(color) {
  return { 'text-color': color, 'text-halo-color': '#fff6e0', 'text-halo-width': 1.4 };
}

function label(id, layer, placement, size, color, minzoom) {
  return {
    id,
    type: 'symbol',
    source: 'pellan',
    'source-layer': layer,
    minzoom,
    layout: { ...lettering(size), 'text-field': ['get', 'name'], 'symbol-placement': placement },
    paint: halo(color),
  };
}

function place(kind, color, size, minzoom, away) {
  return {
    id: `${kind}-name`,
    type: 'symbol',
    source: 'pellan',
    'source-layer': 'place',
    minzoom: kind === 'square' ? 15 : minzoom,
    filter: ['==', ['get', 'kind'], kind],
    layout: {
      ...lettering(size),
      'text-field': ['get', 'name'],
      'text-letter-spacing': away === 0 ? 0.12 : 0,
      ...(away !== 0 && { 'text-anchor': 'top', 'text-offset': [0, away * 0.7] }),
    },
    paint: halo(color),
  };
}

/**
 * Draws the map of Pellan as vector tiles, out of Class Seven's chart (news/chart.svg) and what stands below:
 *
 *   node examples/town/draw-map.js ./tiles
 *   relaymint map pack ./tiles examples/town/map/pellan.pmtiles --force
 *
 * The same sources give the same tiles, and the same tiles the same archive.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

const ZOOMS = [11, 12, 13, 14, 15];
const EXTENT = 4096;
/** Of what is beside a tile, so that lines have no ends at its edges. */
const MARGIN = 64;
/** The chart: 1600 by 1000 units of two metres. It lies where there is nothing but sea. */
const MIDDLE = { x: 800, y: 500, longitude: -14.31, latitude: 46.12 };
const METRES = 2;
const DEGREE_METRES = 111_320;
/** What the map covers, in units of the chart. */
const SHEET = { left: -160, top: -140, right: 1760, bottom: 1140 };
/** What ends at the edge of the chart goes on, as far as nobody sees. */
const BEYOND = 4000;

const ROADS = [
  ['Quay Street', 'street', '1274 452 1305 500 1314 530 1310 562 1304 592 1286 622 1262 650'],
  ['Net Lane', 'street', '1314 530 1350 528 1392 520 1440 500'],
  ['Market Street', 'street', '1310 562 1352 566 1398 572 1450 566'],
  ['School Lane', 'street', '1304 592 1345 606 1400 616 1440 640'],
  ['Hill Street', 'street', '1350 470 1352 528 1352 566 1345 606 1330 660'],
  ['Upper Street', 'street', '1398 480 1392 520 1398 572 1400 616 1392 660'],
  ['Light Road', 'road', '1262 650 1200 690 1120 715 1040 720 960 710 880 690 800 640 755 590 722 545 712 518'],
  ['North Road', 'road', '1274 452 1350 470 1352 400 1310 330 1290 240 1325 140 1335 0 1335 -400'],
  ['East Road', 'road', '1450 566 1520 540 1610 520 2000 500'],
  ['South Road', 'road', '1392 660 1400 740 1370 840 1340 1000 1330 1400'],
  ['Goat Track', 'path', '421 286 380 280 330 260 280 250 235 262'],
  ['Shore Path', 'path', '712 518 690 590 672 650 620 720 540 770 440 800 330 815 200 850'],
].map(([name, kind, points]) => ({ name, kind, points: pointsIn(points) }));

const RIVERS = [
  ['The Pell', '2000 800 1680 770 1600 760 1540 735 1480 722 1420 712 1350 705 1290 690 1245 662 1231 647'],
  ['Sprat Brook', '900 1300 930 1000 900 880 860 790 846 700 841 643'],
].map(([name, points]) => ({ name, points: pointsIn(points) }));

const PIERS = ['1294 521 1238 521', '1296 545 1262 552', '418 284 431 294'].map(pointsIn);
const WOODS = [
  { x: 420, y: 885, width: 92, height: 58 },
  { x: 905, y: 870, width: 84, height: 64 },
  { x: 1490, y: 300, width: 78, height: 60 },
  { x: 1500, y: 850, width: 110, height: 52 },
  { x: 300, y: 225, width: 62, height: 34 },
];

const PLACES = [
  ['Pellan', 'town', 1420, 430],
  ['Sorrel', 'island', 300, 310],
  ['Gull Rock', 'island', 580, 141],
  ['The Sound', 'water', 640, 240],
  ['The Pool', 'water', 1030, 590],
  ['Pellan Light', 'light', 708, 500],
  ['The Bishop', 'rock', 842, 392],
  ['Ferry pier', 'pier', 1238, 521],
  ['Market', 'square', 1376, 545],
  ['Harbour school', 'square', 1376, 592],
];

async function draw(folder) {
  if (folder === undefined) throw new Error('Say into which folder: node examples/town/draw-map.js ./tiles');
  const chart = await readFile(new URL('news/chart.svg', import.meta.url), 'utf8');
  const layers = layersOf(chart);
  for (const z of ZOOMS) {
    const [left, top] = tileAt(worldOf([SHEET.left, SHEET.top]), z);
    const [right, bottom] = tileAt(worldOf([SHEET.right, SHEET.bottom]), z);
    for (let x = left; x <= right; x += 1) {
      for (let y = top; y <= bottom; y += 1) {
        const tile = tileOf(layers, z, x, y);
        // Nothing but sea.
        if (tile.length === 0) continue;
        await mkdir(path.join(folder, `${z}/${x}`), { recursive: true });
        await writeFile(path.join(folder, `${z}/${x}/${y}.mvt`), tile);
      }
    }
  }
  const [west, north] = degreesOf([0, 0]);
  const [east, south] = degreesOf([1600, 1000]);
  const told = {
    name: 'Pellan Harbour',
    description: 'The harbour town of Pellan, the island of Sorrel and what lies between them.',
    attribution: 'Map: Wen Marlow, after the chart of Class Seven',
    version: '1',
    type: 'baselayer',
    bounds: [west, south, east, north],
    center: [MIDDLE.longitude, MIDDLE.latitude, 13],
  };
  await writeFile(path.join(folder, 'metadata.json'), `${JSON.stringify(told, undefined, 2)}\n`);
}

/** What the tiles show, in units of the chart. */
function layersOf(chart) {
  const coast = /<g id="c">(.*?)<\/g>/s.exec(chart)[1];
  const land = [...coast.matchAll(/ d="([^"]*)"/g)].map(([, d]) => pointsIn(d).map(beyondTheEdge));
  const ferry = pointsIn(/<path d="([^"]*)"[^>]*stroke-dasharray="13 9"/.exec(chart)[1]);
  return [
    layer('land', 'polygon', land, () => ({})),
    layer('wood', 'polygon', WOODS.map(woodOf), () => ({})),
    layer('river', 'line', RIVERS),
    layer('house', 'polygon', housesIn(land), () => ({})),
    layer('road', 'line', ROADS),
    layer('pier', 'line', PIERS, () => ({})),
    layer('ferry', 'line', [{ name: 'The Patience, Sorrel to Pellan', points: ferry }]),
    layer(
      'place',
      'point',
      PLACES.map(([name, kind, x, y]) => ({ name, kind, points: [[x, y]] })),
    ),
  ];
}

function layer(name, form, things, told = ({ points: _points, ...rest }) => rest) {
  const features = things.map((thing) => ({ tags: told(thing), points: (thing.points ?? thing).map(worldOf) }));
  return { name, form, features };
}

function pointsIn(text) {
  const numbers = text.match(/-?\d+(?:\.\d+)?/g).map(Number);
  return Array.from({ length: numbers.length / 2 }, (_none, index) => [numbers[index * 2], numbers[index * 2 + 1]]);
}

function beyondTheEdge([x, y]) {
  // The coast goes on to the south-west.
  if (x <= -57 && y < 1060) return [-BEYOND, y + BEYOND / 3];
  return [x <= -57 ? -BEYOND : x >= 1660 ? BEYOND : x, y <= -59 ? -BEYOND : y >= 1060 ? BEYOND : y];
}

function woodOf({ x, y, width, height }) {
  return Array.from({ length: 28 }, (_none, index) => {
    const turn = (index / 28) * 2 * Math.PI;
    const wave = 1 + 0.1 * Math.sin(turn * 5 + x) + 0.06 * Math.cos(turn * 9 + y);
    return [x + width * wave * Math.cos(turn), y + height * wave * Math.sin(turn)];
  });
}

/** On both sides of the streets, where there is ground, and no other street. */
function housesIn(land) {
  const houses = [];
  let chance = 7;
  for (const { kind, points } of ROADS) {
    if (kind !== 'street') continue;
    for (const [index, [x, y]] of points.slice(0, -1).entries()) {
      const [endX, endY] = points[index + 1];
      const length = Math.hypot(endX - x, endY - y);
      const [alongX, alongY] = [(endX - x) / length, (endY - y) / length];
      for (let at = 8; at < length - 6; at += 13) {
        for (const side of [-1, 1]) {
          chance = (chance * 1103 + 12_345) % 65_536;
          const deep = 4 + (chance % 3);
          const away = side * (5.5 + deep);
          const middle = [x + alongX * at - alongY * away, y + alongY * at + alongX * away];
          const corners = [
            [-5, -deep],
            [5, -deep],
            [5, deep],
            [-5, deep],
          ].map(([u, v]) => [middle[0] + alongX * u - alongY * v, middle[1] + alongY * u + alongX * v]);
          const isFree =
            chance % 7 > 0 &&
            corners.every((corner) => land.some((ring) => isInside(ring, corner))) &&
            ROADS.every((road) => distanceTo(road.points, middle) > 4 + deep) &&
            houses.every((house) => Math.hypot(house[0][0] - corners[0][0], house[0][1] - corners[0][1]) > 12);
          if (isFree) houses.push(corners);
        }
      }
    }
  }
  return houses;
}

function isInside(ring, [x, y]) {
  let inside = false;
  for (const [index, [ax, ay]] of ring.entries()) {
    const [bx, by] = ring.at(index - 1);
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

function distanceTo(points, [x, y]) {
  return Math.min(
    ...points.slice(1).map(([bx, by], index) => {
      const [ax, ay] = points[index];
      const [dx, dy] = [bx - ax, by - ay];
      const at = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
      return Math.hypot(x - ax - at * dx, y - ay - at * dy);
    }),
  );
}

// --- where things are -----------------------------------------------------------------------------------------------

function degreesOf([x, y]) {
  const east = ((x - MIDDLE.x) * METRES) / (DEGREE_METRES * Math.cos((MIDDLE.latitude * Math.PI) / 180));
  const north = ((MIDDLE.y - y) * METRES) / DEGREE_METRES;
  return [MIDDLE.longitude + east, MIDDLE.latitude + north].map((value) => Math.round(value * 1e7) / 1e7);
}

/** Web Mercator, 0 to 1. */
function worldOf(point) {
  const [longitude, latitude] = degreesOf(point);
  return [(longitude + 180) / 360, (1 - Math.asinh(Math.tan((latitude * Math.PI) / 180)) / Math.PI) / 2];
}

function tileAt(world, z) {
  return world.map((value) => Math.floor(value * 2 ** z));
}

// --- tiles (Mapbox Vector Tile 2) ---------------------------------------------------------------------------------------

function tileOf(layers, z, x, y) {
  const parts = [];
  for (const { name, form, features } of layers) {
    const [keys, values] = [[], []];
    const indexIn = (list, value) => (list.includes(value) ? list.indexOf(value) : list.push(value) - 1);
    const drawn = [];
    for (const { tags, points } of features) {
      const local = points.map(([u, v]) => [(u * 2 ** z - x) * EXTENT, (v * 2 ** z - y) * EXTENT]);
      const shapes = shapesOf(local, form);
      if (shapes.length === 0) continue;
      const told = Object.entries(tags).flatMap(([key, value]) => [indexIn(keys, key), indexIn(values, value)]);
      drawn.push(
        field(2, [...field(2, told.flatMap(varint)), ...number(3, FORMS[form]), ...field(4, commandsOf(shapes, form))]),
      );
    }
    if (drawn.length === 0) continue;
    parts.push(
      ...field(3, [
        ...number(15, 2),
        ...field(1, [...Buffer.from(name)]),
        ...drawn.flat(),
        ...keys.flatMap((key) => field(3, [...Buffer.from(key)])),
        ...values.flatMap((value) => field(4, field(1, [...Buffer.from(value)]))),
        ...number(5, EXTENT),
      ]),
    );
  }
  return Buffer.from(parts);
}

const FORMS = { point: 1, line: 2, polygon: 3 };

/** What of it lies in the tile, in whole units. */
function shapesOf(points, form) {
  if (form === 'point') {
    const [[x, y]] = points;
    return x < 0 || y < 0 || x >= EXTENT || y >= EXTENT ? [] : [whole(points)];
  }
  const cut = form === 'line' ? cutLine(points) : [cutRing(points)];
  return cut
    .map(whole)
    .filter((shape) => (form === 'line' ? shape.length > 1 : shape.length > 2 && areaOf(shape) !== 0))
    .map((shape) => (form === 'polygon' && areaOf(shape) < 0 ? shape.toReversed() : shape));
}

function whole(points) {
  const rounded = points.map(([x, y]) => [Math.round(x), Math.round(y)]);
  const once = rounded.filter(
    ([x, y], index) => index === 0 || x !== rounded[index - 1][0] || y !== rounded[index - 1][1],
  );
  const isClosed = once.length > 1 && once[0][0] === once.at(-1)[0] && once[0][1] === once.at(-1)[1];
  return isClosed ? once.slice(0, -1) : once;
}

function areaOf(ring) {
  return ring.reduce((sum, [x, y], index) => sum + ring.at(index - 1)[0] * y - x * ring.at(index - 1)[1], 0);
}

/** Cut at each of the four edges (Sutherland and Hodgman). */
function cutRing(points) {
  let ring = points;
  for (const axis of [0, 1]) {
    for (const [edge, sign] of [
      [-MARGIN, 1],
      [EXTENT + MARGIN, -1],
    ]) {
      const cut = [];
      for (const [index, point] of ring.entries()) {
        const before = ring.at(index - 1);
        const isIn = (point[axis] - edge) * sign >= 0;
        const wasIn = (before[axis] - edge) * sign >= 0;
        if (isIn !== wasIn) cut.push(between(before, point, (edge - before[axis]) / (point[axis] - before[axis])));
        if (isIn) cut.push(point);
      }
      ring = cut;
    }
  }
  return ring;
}

/** The parts of a line that lie in the tile (Liang and Barsky). */
function cutLine(points) {
  const parts = [];
  for (const [index, end] of points.slice(1).entries()) {
    const start = points[index];
    let [from, to] = [0, 1];
    for (const axis of [0, 1]) {
      const step = end[axis] - start[axis];
      const [least, most] = [-MARGIN - start[axis], EXTENT + MARGIN - start[axis]];
      if (step === 0) {
        if (least > 0 || most < 0) to = -1;
        continue;
      }
      from = Math.max(from, Math.min(least / step, most / step));
      to = Math.min(to, Math.max(least / step, most / step));
    }
    if (from >= to) continue;
    const part = from === 0 ? parts.at(-1) : undefined;
    if (part !== undefined && part.at(-1) === start) part.push(to === 1 ? end : between(start, end, to));
    else parts.push([from === 0 ? start : between(start, end, from), to === 1 ? end : between(start, end, to)]);
  }
  return parts;
}

function between([ax, ay], [bx, by], at) {
  return [ax + (bx - ax) * at, ay + (by - ay) * at];
}

/** MoveTo, LineTo and ClosePath, each step from where the pen is. */
function commandsOf(shapes, form) {
  const out = [];
  let [penX, penY] = [0, 0];
  const step = ([x, y]) => {
    out.push(...[x - penX, y - penY].flatMap((value) => varint(value < 0 ? -2 * value - 1 : 2 * value)));
    [penX, penY] = [x, y];
  };
  for (const [first, ...rest] of shapes) {
    out.push(...varint(1 | (1 << 3)));
    step(first);
    if (rest.length > 0) out.push(...varint(2 | (rest.length << 3)));
    rest.forEach(step);
    if (form === 'polygon') out.push(...varint(7 | (1 << 3)));
  }
  return out;
}

function varint(value) {
  const bytes = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

function number(tag, value) {
  return [...varint(tag * 8), ...varint(value)];
}

function field(tag, bytes) {
  return [...varint(tag * 8 + 2), ...varint(bytes.length), ...bytes];
}

await draw(process.argv[2]);

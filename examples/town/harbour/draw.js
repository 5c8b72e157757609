import { drawHarbour } from './harbour.js';

/** Whose word the boats' places are. */
const OFFICE = 'ferry.route';
const UPDATES = '/.well-known/relaymint/updates';
const NOTHING = { type: 'FeatureCollection', features: [] };

const place = document.querySelector('.harbour');
const drawn = await drawHarbour(place);
if (drawn !== undefined) follow(new EventSource(addressOf(OFFICE, UPDATES)), (boats) => drawn.showBoats(boats));

/** What counts no more is taken off the map: a boat that nobody vouches for is nowhere. */
function follow(events, showBoats) {
  const show = (boats) => {
    showBoats(boats);
    place.dataset.boats = String(boats.features.length);
  };
  events.addEventListener('update', ({ data }) => show(JSON.parse(JSON.parse(data).text)));
  events.addEventListener('stale', () => show(NOTHING));
}

/** Each name has an origin of its own beside the page's. */
function addressOf(name, path) {
  const { protocol, host } = location;
  const dot = host.indexOf('.');
  return `${protocol}//${name.replaceAll('-', '--').replaceAll('.', '-')}.${dot < 0 ? host : host.slice(dot + 1)}${path}`;
}

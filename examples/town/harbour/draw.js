import { drawHarbour } from './harbour.js';
import { listenToUpdates } from './live.js';

/** Whose word the boats' places are. */
const OFFICE = 'ferry.route';
const NOTHING = { type: 'FeatureCollection', features: [] };

const place = document.querySelector('.harbour');
const drawn = await drawHarbour(place);
// A boat that nobody vouches for is nowhere.
if (drawn !== undefined)
  listenToUpdates(OFFICE, { update: ({ text }) => show(JSON.parse(text)), over: () => show(NOTHING) });

function show(boats) {
  drawn.showBoats(boats);
  place.dataset.boats = String(boats.features.length);
}

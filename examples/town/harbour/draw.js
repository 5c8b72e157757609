import { drawHarbour } from './harbour.js';

await drawHarbour(document.querySelector('.harbour'));

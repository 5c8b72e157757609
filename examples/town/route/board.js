// Sets the board by what the office says, and blanks it when that counts no more.
import { listenToUpdates } from './live.js';

const OFFICE = 'ferry.route';
const body = document.querySelector('tbody');
const said = document.querySelector('.said');
const status = document.querySelector('.status');

listenToUpdates(OFFICE, {
  update({ created, text }) {
    const { features } = JSON.parse(text);
    for (const [index, { properties }] of features.entries()) set(rowAt(index), properties);
    while (body.rows.length > features.length) body.rows[features.length].remove();
    said.textContent = `Said at ${new Date(created).toLocaleTimeString()}.`;
    say('');
  },
  over() {
    body.replaceChildren();
    said.textContent = '';
    say('The office says nothing, and what it said before counts no more.');
  },
  lost: () => say('The board is not told anything at the moment. It asks again.'),
});

/** Only what is new is said, for those who have it read to them. */
function say(text) {
  if (status.textContent !== text) status.textContent = text;
}

/** Rows stay where they are while what they say changes. */
function rowAt(index) {
  if (body.rows.length > index) return body.rows[index];
  const row = body.insertRow();
  const head = document.createElement('th');
  head.scope = 'row';
  row.append(head);
  for (let cell = 0; cell < 3; cell += 1) row.insertCell();
  return row;
}

function set(row, { name, state, pier, in: seconds }) {
  const isMoving = state === 'under way';
  row.className = isMoving ? 'moving' : 'lying';
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  for (const [index, text] of [name, state, `${isMoving ? 'for' : 'at'} ${pier}`, time].entries()) {
    row.cells[index].textContent = text;
  }
}

// Sets the board by what the office says, and blanks it when that counts no more.
const body = document.querySelector('tbody');
const status = document.querySelector('.status');
const events = new EventSource('/.well-known/relaymint/updates');

events.addEventListener('update', ({ data }) => {
  const { sequence, created, text } = JSON.parse(data);
  const { features } = JSON.parse(text);
  body.replaceChildren(...features.map(({ properties }) => rowOf(properties)));
  status.textContent = `Word ${sequence}, of ${new Date(created).toLocaleTimeString()}.`;
});
events.addEventListener('stale', () => {
  body.replaceChildren();
  status.textContent = 'The office says nothing, and what it said before counts no more.';
});
events.addEventListener('error', () => {
  status.textContent = 'The board is not told anything at the moment. It asks again.';
});

function rowOf({ name, state, pier, in: seconds }) {
  const row = document.createElement('tr');
  row.className = state === 'under way' ? 'moving' : 'lying';
  const head = document.createElement('th');
  head.scope = 'row';
  head.textContent = name;
  const where = state === 'under way' ? `for ${pier}` : `at ${pier}`;
  row.append(
    head,
    ...[state, where, `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`].map(cellOf),
  );
  return row;
}

function cellOf(text) {
  const cell = document.createElement('td');
  cell.textContent = text;
  return cell;
}

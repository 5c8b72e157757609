/** Shows /api/spending, keeps it fresh while somebody looks, and sends what is asked for a site's budget. */
import { at, credits, make, siteUrl, size } from './figures.js';

const POLL_MILLIS = 2000;
const SVG = 'http://www.w3.org/2000/svg';
/** Who is paid, in the order of the bar: the word in the view, and the words for people. */
const PARTIES = [
  ['relays', 'Relays'],
  ['host', 'Host'],
  ['owner', 'Its owner'],
  ['embedded', 'Owners of what it embeds'],
  ['page', 'Its owner, for embedding'],
  ['fee', 'The bank'],
];
/** What tells the parts of a bar apart without colour: rectangles in a tile of 8 by 8. */
const MARKS = {
  relays: [],
  host: [[0, 0, 2, 8]],
  owner: [[0, 0, 8, 2]],
  embedded: [
    [0, 0, 3, 3],
    [4, 4, 3, 3],
  ],
  page: [
    [0, 0, 1, 8],
    [0, 0, 8, 1],
  ],
  fee: [
    [0, 0, 4, 8],
    [4, 0, 4, 4],
  ],
};

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Text that is the same stays: what somebody reads or has marked is not replaced every two seconds. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function putPatterns() {
  const patterns = PARTIES.map(([party]) =>
    draw(
      'pattern',
      { id: `p-${party}`, width: 8, height: 8, patternUnits: 'userSpaceOnUse' },
      draw('rect', { width: 8, height: 8, class: `f-${party}` }),
      ...MARKS[party].map(([x, y, width, height]) => draw('rect', { x, y, width, height, class: 'mark' })),
    ),
  );
  document.body.append(draw('svg', { class: 'patterns', 'aria-hidden': 'true' }, draw('defs', {}, ...patterns)));
}

const clock = (millis) => new Date(millis).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

function sinceWhen(millis) {
  const then = new Date(millis);
  const day = then.toDateString() === new Date().toDateString() ? 'today' : `on ${then.toLocaleDateString()}`;
  return `${clock(millis)} ${day}`;
}

const counted = (count, one) => `${count} ${one}${count === 1 ? '' : 's'}`;

/** Hundredths of a percent of a sum, as a number for pictures. */
function share(part, whole) {
  return BigInt(whole) === 0n ? 0 : Number((BigInt(part) * 10_000n) / BigInt(whole)) / 100;
}

function percent(part, whole) {
  const value = share(part, whole);
  return value > 0 && value < 0.1 ? 'under 0.1 %' : `${value.toFixed(1)} %`;
}

/** Those that are paid something. */
const paidOf = ({ parties }) => PARTIES.filter(([party]) => parties[party] !== '0');

function bar(site) {
  let x = 0;
  const parts = paidOf(site).map(([party]) => {
    const width = share(site.parties[party], site.cost);
    const part = draw('rect', { x: `${x}%`, y: 0, width: `${width}%`, height: '100%', fill: `url(#p-${party})` });
    x += width;
    return part;
  });
  const said = paidOf(site).map(([party, words]) => `${words} ${percent(site.parties[party], site.cost)}`);
  return draw('svg', { class: 'bar', role: 'img', 'aria-label': `Who was paid: ${said.join(', ')}` }, ...parts);
}

function legend(site) {
  const items = paidOf(site).map(([party, words]) =>
    make(
      'li',
      {},
      draw(
        'svg',
        { class: 'swatch', 'aria-hidden': 'true' },
        draw('rect', { width: '100%', height: '100%', fill: `url(#p-${party})` }),
      ),
      make(
        'span',
        {},
        `${words} `,
        make('b', {}, credits(site.parties[party])),
        ` (${percent(site.parties[party], site.cost)})`,
      ),
    ),
  );
  return make('ul', { class: 'legend' }, ...items);
}

function others({ name, contents }) {
  const items = contents
    .filter((content) => content.name !== name)
    .map(({ name: whose, cost, bytes, terms }) => {
      const royalty = terms === null ? '' : `; its owner gets ${terms.royaltyBps / 100} % of what hosts earn`;
      return make('li', {}, `${whose}: ${credits(cost)} credits for ${size(bytes)}${royalty}`);
    });
  return items.length === 0
    ? []
    : [make('p', { class: 'soft' }, 'Of others, in its pages:'), make('ul', { class: 'others' }, ...items)];
}

function usedBar({ budget }) {
  const used = Math.min(100, share(budget.spent, budget.limit));
  return draw(
    'svg',
    { class: 'used', 'aria-hidden': 'true' },
    draw('rect', { width: '100%', height: '100%', class: 'all' }),
    draw('rect', { width: `${used}%`, height: '100%', class: 'part' }),
  );
}

function budgetText({ budget: { limit, spent, freesAt, stopped } }) {
  const used = `${credits(spent)} of ${credits(limit)} credits spent in the last hour`;
  const free = freesAt === null ? '' : `; some of it may be spent again from ${clock(freesAt)}`;
  return `${stopped ? 'Stopped: nothing of it is fetched or shown. ' : ''}${used}${free}.`;
}

/** The cards, by name: each stays the same element, so that what is focused and typed stays. */
const cards = new Map();
let view;

function cardOf(name) {
  const known = cards.get(name);
  if (known !== undefined) return known;
  const id = `site-${name}`;
  const heading = make('h3', { id, tabindex: '-1' }, make('a', { href: siteUrl(name) }, name));
  const sum = make('p', { class: 'sum' });
  const carried = make('p', { class: 'soft' });
  const picture = make('div', {});
  const rest = make('div', {});
  const budget = make('p', { class: 'soft' });
  const used = make('div', {});
  const input = make('input', {
    id: `limit-${name}`,
    inputmode: 'decimal',
    autocomplete: 'off',
    'aria-describedby': `wrong-${name}`,
  });
  const wrong = make('span', { id: `wrong-${name}`, class: 'bad', role: 'status' });
  const toggle = make('button', { type: 'button' });
  const form = make(
    'form',
    { class: 'line', novalidate: '' },
    toggle,
    make('label', { for: `limit-${name}` }, `Most that ${name} may cost in an hour, credits`),
    input,
    make('button', { class: 'quiet' }, 'Raise or lower'),
    wrong,
  );
  const element = make(
    'li',
    { class: 'card' },
    make('div', { class: 'head' }, heading, sum),
    carried,
    picture,
    rest,
    make('div', { class: 'budget' }, budget, used, form),
  );
  const card = { element, heading, sum, carried, picture, rest, budget, used, input, wrong, toggle, drawn: '' };
  toggle.addEventListener('click', () => void toggled(name));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void limited(name, card);
  });
  input.addEventListener('input', () => {
    input.removeAttribute('aria-invalid');
    say(wrong, '');
  });
  cards.set(name, card);
  return card;
}

function showCard(site) {
  const card = cardOf(site.name);
  const { name, cost, bytes, cached, budget } = site;
  say(card.sum, `${credits(cost)} credits`);
  const again = cached === 0 ? '' : `, and ${size(cached)} shown again for nothing`;
  say(card.carried, bytes === 0 && cached === 0 ? 'Nothing since the start.' : `${size(bytes)} carried${again}`);
  say(card.budget, budgetText(site));
  say(card.toggle, budget.stopped ? `Start ${name} again` : `Stop ${name}`);
  card.toggle.className = budget.stopped ? '' : 'stop';
  // Pictures are drawn anew only when they change.
  const drawn = JSON.stringify([site.parties, site.contents, budget.spent, budget.limit]);
  if (drawn === card.drawn) return;
  card.drawn = drawn;
  card.picture.replaceChildren(...(cost === '0' ? [] : [bar(site), legend(site)]));
  card.rest.replaceChildren(...others(site));
  card.used.replaceChildren(usedBar(site));
  if (document.activeElement !== card.input && card.input.getAttribute('aria-invalid') === null)
    card.input.value = credits(budget.limit).replaceAll(',', '');
}

const ORDERS = {
  cost: () => 0,
  bytes: (a, b) => b.bytes - a.bytes,
  last: (a, b) => (b.lastAt ?? 0) - (a.lastAt ?? 0),
  name: (a, b) => (a.name < b.name ? -1 : 1),
};

function showSites({ sites }) {
  const sorted = sites.toSorted(ORDERS[at('sort').value]);
  sorted.forEach(showCard);
  for (const name of cards.keys()) if (!sites.some((site) => site.name === name)) cards.delete(name);
  const list = at('sites');
  const wanted = sorted.map(({ name }) => cardOf(name).element);
  const same = wanted.length === list.children.length && wanted.every((card, index) => list.children[index] === card);
  // Whoever is at one of them is not made to lose it: those that are new come last meanwhile.
  if (list.contains(document.activeElement)) {
    for (const card of Array.from(list.children)) if (!wanted.includes(card)) card.remove();
    for (const card of wanted) if (!list.contains(card)) list.append(card);
  } else if (!same) list.replaceChildren(...wanted);
  at('none').hidden = sites.length > 0;
  at('sorting').hidden = sites.length < 2;
  at('table').hidden = sites.length === 0;
}

function fill(id, rows, empty) {
  const table = at(id);
  const lines = rows.map((cells) =>
    make(
      'tr',
      {},
      ...cells.map(([label, text, kind], index) =>
        make(
          index === 0 ? 'th' : 'td',
          { 'data-label': label, ...(index === 0 && { scope: 'row' }), ...(kind && { class: kind }) },
          make('span', {}, text),
        ),
      ),
    ),
  );
  const nothing = make(
    'tr',
    {},
    make('td', { class: 'empty', colspan: String(table.tHead.rows[0].cells.length) }, empty),
  );
  table.tBodies[0].replaceChildren(...(lines.length > 0 ? lines : [nothing]));
}

let tabled = '';

function showTables({ sites, throughput, now }) {
  const text = JSON.stringify([sites.map(({ name, contents }) => [name, contents]), throughput.bytes]);
  if (text === tabled) return;
  tabled = text;
  const heads = Array.from(at('rows').tHead.rows[0].cells, ({ textContent }) => textContent);
  fill(
    'rows',
    sites.flatMap(({ name, contents }) =>
      contents.map((content) => [
        [heads[0], name],
        [heads[1], content.name],
        [heads[2], size(content.bytes), 'n'],
        [heads[3], size(content.cached), 'n'],
        [heads[4], credits(content.cost), 'n'],
        ...PARTIES.map(([party], index) => [heads[5 + index], credits(content.parties[party]), 'n']),
      ]),
    ),
    'Nothing has been fetched since the start.',
  );
  const { bytes, stepMillis } = throughput;
  const from = (index) => now - (now % stepMillis) - (bytes.length - 1 - index) * stepMillis;
  fill(
    'steps',
    bytes.flatMap((value, index) =>
      value === 0
        ? []
        : [
            [
              ['From', new Date(from(index)).toLocaleTimeString()],
              ['Carried', size(value), 'n'],
              ['In a second', size(Math.round((value * 1000) / stepMillis)), 'n'],
            ],
          ],
    ),
    'Nothing came in the last ten minutes.',
  );
}

function showRate({ throughput: { bytes, stepMillis }, now }) {
  const seconds = stepMillis / 1000;
  const most = Math.max(...bytes);
  const all = bytes.reduce((sum, value) => sum + value, 0);
  const [last = 0, current = 0] = bytes.slice(-2);
  const rate = (value) => `${size(Math.round(value / seconds))} a second`;
  const peakAt = now - (bytes.length - 1 - bytes.lastIndexOf(most)) * stepMillis;
  say(
    at('rate'),
    all === 0
      ? 'Nothing came in the last ten minutes.'
      : `${size(all)} came; at most ${rate(most)}, at ${clock(peakAt)}; ${rate(Math.max(last, current))} in the last seconds.`,
  );
  at('course').hidden = all === 0;
  say(at('peak'), most === 0 ? '' : `highest: ${rate(most)}`);
  const width = 600 / bytes.length;
  at('chart').replaceChildren(
    ...bytes.flatMap((value, index) => {
      if (value === 0) return [];
      const height = Math.max(2, (value / most) * 118);
      return [draw('rect', { x: index * width + 1, y: 120 - height, width: width - 2, height })];
    }),
  );
}

function show(news) {
  view = news;
  const { spent, sites, since, upkeep, feeBps, forgotten, now } = news;
  const paid = sites.filter(({ cost }) => cost !== '0').length;
  say(
    at('headline'),
    spent === '0' ? 'You have spent nothing yet' : `You spent ${credits(spent)} credits on ${counted(paid, 'site')}`,
  );
  say(at('lead'), `Since the gateway started, at ${sinceWhen(since)}.`);
  showSites(news);
  showTables(news);
  showRate(news);
  const fee =
    feeBps === null
      ? 'The ledger has not said what the bank takes: none is reckoned.'
      : `The bank takes ${feeBps / 100} % of what is settled.`;
  const gone =
    forgotten.contents === 0
      ? ''
      : ` ${counted(forgotten.contents, 'entry').replace('entrys', 'entries')} that cost ${credits(forgotten.cost)} credits together are no longer listed.`;
  say(
    at('estimate'),
    `What a site cost is exact: it is what your first relays are paid. How that is divided is an estimate, by the offers of relays and hosts and by the terms of the owners on the ledger. ${fee}${gone}`,
  );
  say(
    at('upkeep'),
    `Beside that, keeping circuits ready cost ${credits(upkeep)} credits, which are of no one site. All figures are in this gateway’s memory alone; what was spent in the last hour, stops and limits are kept in its data folder.`,
  );
  say(at('updated'), `As of ${new Date(now).toLocaleTimeString()}.`);
}

function state(name, text) {
  const element = at('state');
  if (element.dataset.state === name) return;
  element.dataset.state = name;
  element.textContent = text;
}

/** For everybody, also for who hears this page. */
function tell(text) {
  at('said').hidden = false;
  at('said').textContent = text;
}

/** @returns what to say if it was refused. */
async function order(what) {
  try {
    const answer = await fetch('/api/spending', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(what),
    });
    const said = await answer.json();
    if (!answer.ok) return said.error.message;
    show(said);
    return undefined;
  } catch {
    return 'The gateway does not answer: nothing was changed.';
  }
}

async function toggled(name) {
  const stopped = view.sites.find((site) => site.name === name)?.budget.stopped === true;
  const wrong = await order({ do: stopped ? 'start' : 'stop', name });
  tell(
    wrong ??
      (stopped
        ? `${name} may spend again, up to its limit.`
        : `${name} is stopped: its downloads end, and nothing of it is fetched or shown until you start it again.`),
  );
}

/** "12.5" -> 12500000n; undefined for what is no amount. */
function unitsOf(text) {
  // A comma is a point where many people live: read as one that parts thousands, it would allow a thousand times as much.
  const parts = /^(\d{1,13})(?:[.,](\d{1,6}))?$/.exec(text.trim());
  return parts === null ? undefined : BigInt(parts[1]) * 1_000_000n + BigInt((parts[2] ?? '').padEnd(6, '0'));
}

async function limited(name, { input, wrong }) {
  const units = unitsOf(input.value);
  const why =
    units === undefined
      ? 'Write an amount of credits, such as 2.5.'
      : await order({ do: 'limit', name, limit: units.toString() });
  if (why === undefined) {
    input.removeAttribute('aria-invalid');
    tell(`${name} may cost ${credits(units.toString())} credits in an hour from now on.`);
    return;
  }
  input.setAttribute('aria-invalid', 'true');
  say(wrong, why);
}

function opened(event) {
  event.preventDefault();
  const name = at('open-name').value.trim().toLowerCase();
  const isName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.[a-z0-9]{2,8}$/.test(name);
  if (isName) at('open-name').removeAttribute('aria-invalid');
  else at('open-name').setAttribute('aria-invalid', 'true');
  say(at('open-wrong'), isName ? '' : 'A name looks like news.web3.');
  if (isName) location.assign(siteUrl(name));
}

/** The page of a site that was refused leads here. */
let isLed = false;

function lead() {
  const card = cards.get(location.hash.slice(1));
  if (isLed || card === undefined) return;
  isLed = true;
  card.heading.focus();
  card.element.scrollIntoView();
}

let waiting;

async function refresh() {
  clearTimeout(waiting);
  try {
    const answer = await fetch('/api/spending');
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
    lead();
    state('live', 'Live');
  } catch {
    state('lost', 'The gateway does not answer');
  }
  clearTimeout(waiting);
  if (document.visibilityState === 'visible') waiting = setTimeout(() => void refresh(), POLL_MILLIS);
}

// The terminal's link to settle was to the front once.
if (location.hash.startsWith('#settle=')) location.replace(`/market${location.hash}`);
putPatterns();
at('open').addEventListener('submit', opened);
at('sort').addEventListener('change', () => view && showSites(view));
addEventListener('hashchange', () => {
  isLed = false;
  lead();
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') void refresh();
  else clearTimeout(waiting);
});
void refresh();

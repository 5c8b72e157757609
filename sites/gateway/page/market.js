/** Shows /api/market and keeps it live. Amounts stay BigInt; text goes in as text, never as HTML. */
import { at, credits, make, siteUrl, size } from './figures.js';

const POLL_MILLIS = 3000;

const sum = (values) => values.reduce((total, value) => total + BigInt(value), 0n).toString();
const short = (id) => (id.length > 12 ? `${id.slice(0, 8)}…` : id);
const idOf = (id) => make('span', { class: 'id', title: id }, short(id));
/** What the terminal calls it, where that is known, and the beginning of its id. */
const who = (id, label) => (label === undefined ? idOf(id) : make('span', { class: 'who' }, label, ' ', idOf(id)));
const exact = (text) => make('span', { title: `${BigInt(text).toLocaleString('en')} bytes` }, size(text));

/** Instead of what only the ledger knows, while it has said nothing. */
function untold(ledger) {
  return ledger.at === null ? 'The ledger has not answered yet.' : undefined;
}

/** What is of the ledger's last answer, while it gives none. */
function showLedger({ ledger }) {
  const notice = at('ledger');
  notice.hidden = ledger.answers;
  if (ledger.answers) return;
  notice.textContent =
    ledger.at === null
      ? 'The ledger does not answer. Nodes and who pays whom are as the nodes know them; names, balances and supply are not known yet.'
      : `The ledger does not answer. Names, balances and supply are as of ${new Date(ledger.at).toLocaleTimeString()}; the rest is live.`;
}

/** Fills a table body; a row is a list of [label, content, class]. */
function fill(id, rows, empty) {
  const table = at(id);
  const columns = table.querySelectorAll('th').length;
  const lines = rows.map((cells) =>
    make(
      'tr',
      {},
      ...cells.map(([label, content, kind]) =>
        make('td', { 'data-label': label, ...(kind && { class: kind }) }, make('span', {}, ...[content].flat())),
      ),
    ),
  );
  const nothing = make('tr', {}, make('td', { class: 'empty', colspan: String(columns) }, empty));
  table.tBodies[0].replaceChildren(...(lines.length > 0 ? lines : [nothing]));
}

function showTotals({ pairs }) {
  const carried = sum(pairs.flatMap(({ payerCounts, payeeCounts }) => Object.values(payeeCounts ?? payerCounts ?? {})));
  at('total-bytes').replaceChildren(size(carried));
  for (const figure of ['owed', 'paid', 'settled']) {
    const value = credits(sum(pairs.map((pair) => pair[figure])));
    at(`total-${figure}`).replaceChildren(value, ' ', make('small', {}, 'credits'));
  }
}

function showNames({ names, namesLeftOut = 0, ledger }) {
  const cards = names.map(({ name, root, royaltyBps, lifetime }) =>
    make(
      'article',
      { class: 'site' },
      make('a', { href: siteUrl(name) }, name),
      make(
        'p',
        {},
        `Its owner gets ${royaltyBps / 100} % of what its host earns: ${credits(lifetime)} credits so far.`,
      ),
      make('p', { class: 'id', title: root }, root.length > 30 ? `${root.slice(0, 30)}…` : root),
    ),
  );
  const leftOut = `Left out: ${namesLeftOut} ${namesLeftOut === 1 ? 'name that points' : 'names that point'} to no content.`;
  at('names').replaceChildren(
    ...(cards.length > 0 ? cards : [make('p', { class: 'note' }, untold(ledger) ?? 'No site is published yet.')]),
    ...(namesLeftOut > 0 ? [make('p', { class: 'note' }, leftOut)] : []),
  );
}

function showNodes({ nodes }) {
  fill(
    'nodes',
    nodes.map(({ id, label, role, addresses, price, online }) => [
      ['Node', who(id, label)],
      ['Role', online ? role : [role, make('span', { class: 'away' }, ' (away)')]],
      ['Address', make('span', { class: 'id' }, addresses.join(' ') || '–'), 'wide'],
      ['Price per MiB', price === undefined ? '–' : credits(price), 'n'],
    ]),
    'No node is known yet.',
  );
}

function agreement({ payerCounts, payeeCounts }) {
  if (payerCounts === null || payeeCounts === null) return make('span', { class: 'away' }, 'one end known');
  const equal = payerCounts.up === payeeCounts.up && payerCounts.down === payeeCounts.down;
  if (equal) return make('span', { class: 'good' }, '✓ equal');
  const away = BigInt(sum(Object.values(payerCounts))) - BigInt(sum(Object.values(payeeCounts)));
  return make('span', { class: 'away', title: `${away} bytes apart` }, 'in flight');
}

function showPairs({ pairs }) {
  fill(
    'pairs',
    pairs.map((pair) => {
      const counts = pair.payeeCounts ?? pair.payerCounts ?? { up: '0', down: '0' };
      const arrow = make('span', { class: 'arrow', 'aria-label': 'pays' }, '→');
      return [
        ['Payer to payee', [who(pair.payer, pair.payerLabel), arrow, who(pair.payee, pair.payeeLabel)]],
        ['Up', exact(counts.up), 'n'],
        ['Down', exact(counts.down), 'n'],
        ['Counts', agreement(pair), 'gap'],
        ['Owed', credits(pair.owed), 'n'],
        ['Paid', credits(pair.paid), 'n'],
        ['Settled', credits(pair.settled), 'n'],
      ];
    }),
    'Nothing has been carried yet. Open a site above.',
  );
}

/** Why what is paid is not all settled. */
function showUnsettled({ pairs, waiting }) {
  const rest = BigInt(sum(pairs.map(({ paid }) => paid))) - BigInt(sum(pairs.map(({ settled }) => settled)));
  if (rest <= 0n) {
    at('unsettled').replaceChildren();
    return;
  }
  const text = `${credits(rest.toString())} credits are paid by receipt and wait: who earned them puts them on chain once the fee is a small part of it.`;
  const more =
    waiting === undefined ? [] : [' ', make('a', { href: '#h-waiting' }, 'What is waiting, and for how long')];
  at('unsettled').replaceChildren(text, ...more);
}

function whenSettled({ value, from }) {
  if (value === '0') return 'nothing waits';
  if (from === null) return 'not known: the ledger has not said what a transaction costs';
  const missing = BigInt(from) - BigInt(value);
  return missing > 0n ? `once ${credits(missing.toString())} more are earned` : 'in a few seconds';
}

function showWaiting({ waiting }) {
  at('waiting-section').hidden = waiting === undefined;
  if (waiting === undefined) return;
  const shares = new Set(waiting.map(({ feeShareBps }) => feeShareBps));
  const share = shares.size === 1 ? `${[...shares][0] / 100} %` : 'the share that its operator allows';
  at('rule').textContent =
    `A node settles by itself once the transaction’s fee is at most ${share} of what it settles. It does so for less after a day, ` +
    'where that is worth more than the fee, when a payer closes its channel, and when it stops. A receipt loses nothing by waiting.';
  fill(
    'waiting',
    waiting.map((row) => [
      ['Node', who(row.node, row.label)],
      ['Waits', credits(row.value), 'n'],
      ['Settles by itself from', row.from === null ? '–' : credits(row.from), 'n'],
      ['When', whenSettled(row), 'gap wide'],
    ]),
    'No node here has earned anything yet.',
  );
}

function showBalances({ balances, ledger }) {
  fill(
    'balances',
    balances.map(({ owner, label, role, credits: held, earned }) => [
      ['Wallet', who(owner, label)],
      ['Role', role],
      ['Credits', credits(held), 'n'],
      ['To withdraw', earned === undefined ? '–' : credits(earned), 'n'],
    ]),
    untold(ledger) ?? 'No wallet is known yet.',
  );
}

function showSupply({ supply }) {
  if (supply === null) {
    at('supply').replaceChildren();
    return;
  }
  const left = BigInt(supply.bought) - BigInt(supply.redeemed);
  const known = ['circulating', 'openDeposits', 'unminted', 'forgone'].reduce(
    (sum, part) => sum + BigInt(supply[part]),
    0n,
  );
  // Whoever holds credits may burn them, and the bank is not told.
  const others = left > known ? left - known : 0n;
  const right = known + others;
  const line = (label, value, kind) =>
    make('div', kind ? { class: kind } : {}, make('dt', {}, label), make('dd', {}, ...[value].flat()));
  const mark = left === right ? make('span', { class: 'good' }, '✓ ') : make('span', { class: 'bad' }, '≠ ');
  at('supply').replaceChildren(
    line('Bought', credits(supply.bought)),
    line('Redeemed', `− ${credits(supply.redeemed)}`),
    line('Outstanding', credits(left.toString()), 'sum'),
    line('In wallets', credits(supply.circulating)),
    line('In open channels', credits(supply.openDeposits)),
    line('Earned, not minted', credits(supply.unminted)),
    line('Staked and lost', credits(supply.forgone)),
    ...(others > 0n ? [line('Burned by holders', credits(others.toString()))] : []),
    line('Accounted for', [mark, credits(right.toString())], 'sum'),
    line('Burned into channels so far', credits(supply.burned)),
    line('Minted to earners so far', credits(supply.minted)),
  );
}

function show(view) {
  for (const part of [
    showLedger,
    showTotals,
    showNames,
    showNodes,
    showPairs,
    showUnsettled,
    showWaiting,
    showBalances,
    showSupply,
  ])
    part(view);
  const { settlement } = view;
  at('settlement').textContent =
    settlement === undefined
      ? ''
      : `${settlement.receipts} receipts settled in ${settlement.transactions} transactions, ${settlement.computeUnits.toLocaleString('en')} compute units.`;
  at('updated').textContent = `As of ${new Date(view.updatedAt).toLocaleTimeString()}.`;
}

function state(name, text) {
  const element = at('state');
  if (element.dataset.state === name) return;
  element.dataset.state = name;
  element.textContent = text;
}

/**
 * The terminal's link brings the secret that lets its reader settle. It is kept for this tab, away from the address; no server ever
 * sends it, so no other page can know it.
 */
const TOKEN = 'settle-token';

function takeToken() {
  const token = /^#settle=([\w-]+)$/.exec(location.hash)?.[1];
  if (token !== undefined) {
    sessionStorage.setItem(TOKEN, token);
    history.replaceState(null, '', location.pathname);
  }
  showButton();
}

function showButton() {
  const may = sessionStorage.getItem(TOKEN) !== null;
  at('settle').hidden = !may;
  at('settle-how').textContent = may
    ? ''
    : 'To settle now, open the settle link in the terminal, or run: relaymint settle --data FOLDER-OF-A-NODE';
}

function settledText({ receipts, transactions, failed }) {
  const done =
    transactions === 0
      ? 'There was nothing to settle.'
      : `${receipts} ${receipts === 1 ? 'receipt' : 'receipts'} settled in ${transactions} ${transactions === 1 ? 'transaction' : 'transactions'}.`;
  return failed === 0 ? done : `${done} ${failed} ${failed === 1 ? 'node' : 'nodes'} could not: the log says why.`;
}

async function settle() {
  const say = (text) => (at('settle-state').textContent = text);
  at('settle').disabled = true;
  say('Settling …');
  try {
    const headers = { authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` };
    const answer = await fetch('/api/settle', { method: 'POST', headers });
    const said = await answer.json();
    if (answer.status === 403) sessionStorage.removeItem(TOKEN);
    say(answer.ok ? settledText(said) : said.error.message);
  } catch {
    say('The gateway does not answer.');
  }
  at('settle').disabled = false;
  showButton();
}

at('settle').addEventListener('click', () => void settle());
// Elsewhere the front is this page.
at('costs').hidden = location.pathname === '/';
addEventListener('hashchange', takeToken);
takeToken();

/** Where the events do not come through (some proxies), ask now and then. */
async function poll() {
  try {
    const answer = await fetch('/api/market');
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
    state('live', 'Live');
  } catch {
    state('lost', 'The gateway does not answer');
  }
}

let polling;
const events = new EventSource('/api/market/events');
events.addEventListener('message', (event) => {
  clearInterval(polling);
  polling = undefined;
  show(JSON.parse(event.data));
  state('live', 'Live');
});
events.addEventListener('error', () => {
  state('lost', 'The gateway does not answer');
  polling ??= setInterval(() => void poll(), POLL_MILLIS);
});

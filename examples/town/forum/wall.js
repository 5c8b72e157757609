// Puts up the notes of a thread, and goes on as others come. What people wrote is text, and never anything else.
import { listen } from './live.js';
import { addressOf } from './town.js';

const WALL = 'forum.web3';
const POSTS = '/.well-known/relaymint/posts';
/** All that is up when somebody comes is told at once: after so long, milliseconds, that was it. */
const FIRST_MILLIS = 500;

const NOTHING = 'Nobody has said anything yet.';

const list = document.querySelector('.notes');
const status = document.querySelector('.status');
/** Elements, by author and number of what was said. */
const notes = new Map();
/** Those that were told since the wall last answered. */
let told = new Set();
let first;

listen(WALL, `${POSTS}?path=${encodeURIComponent(list.dataset.thread)}`, {
  open() {
    told = new Set();
    clearTimeout(first);
    first = setTimeout(complete, FIRST_MILLIS);
  },
  post(post) {
    told.add(keyOf(post));
    put(post);
  },
  gone(post) {
    take(keyOf(post));
    if (notes.size === 0) status.textContent = NOTHING;
  },
  lost() {
    clearTimeout(first);
    status.textContent = 'The wall does not answer at the moment. What is up stays up; news comes when it does.';
  },
});

/** What was not told again is up no more. */
function complete() {
  for (const key of notes.keys()) if (!told.has(key)) take(key);
  list.setAttribute('aria-busy', 'false');
  status.textContent = notes.size === 0 ? NOTHING : '';
  if (location.hash !== '') document.querySelector(`#${CSS.escape(location.hash.slice(1))}`)?.scrollIntoView();
}

/** By when it was said. One that is there already takes its own place. */
function put(post) {
  const key = keyOf(post);
  const note = noteOf(post);
  const known = notes.get(key);
  notes.set(key, note);
  if (known !== undefined) known.replaceWith(note);
  else {
    const next = Array.from(list.children).find((other) => Number(other.dataset.created) > post.created);
    list.insertBefore(note, next ?? null);
  }
  if (list.getAttribute('aria-busy') === 'false') status.textContent = '';
}

function take(key) {
  notes.get(key)?.remove();
  notes.delete(key);
}

function keyOf({ author, sequence }) {
  return `${author.name}/${sequence}`;
}

function noteOf(post) {
  const note = element('li');
  note.id = idOf(post.author.name, post.sequence);
  note.dataset.created = post.created;
  const head = element('p');
  head.className = 'by';
  const author = element('a', shortOf(post.author.name));
  author.href = addressOf(post.author.name, '/');
  const time = element(
    'time',
    new Date(post.created).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }),
  );
  time.dateTime = new Date(post.created).toISOString();
  head.append(author, ' ', time, post.edited === undefined ? '' : ', put in other words');
  if (post.answers !== undefined) {
    const { author: name, sequence } = post.answers;
    const link = element('a', `to ${shortOf(name)}`);
    link.href = `#${idOf(name, sequence)}`;
    head.append(', ', link);
  }
  note.append(head);
  if (post.text === undefined) {
    note.className = 'bare';
    note.append(element('p', post.state === 'removed' ? 'Its author took it back.' : 'The wall covered it.'));
    return note;
  }
  for (const part of post.text.split(/\n{2,}/)) note.append(element('p', part));
  const { royaltyBps } = post.author;
  if (royaltyBps !== undefined) {
    const share = element('p', `${royaltyBps / 100} % of what it earns is its author’s`);
    share.className = 'share';
    note.append(share);
  }
  return note;
}

function idOf(name, sequence) {
  return `note-${name}-${sequence}`;
}

function shortOf(name) {
  return name.replace(/\.sso$/, '');
}

function element(tag, text = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

// Puts up the notes of a thread, and goes on as others come. What people wrote is text, and never anything else.
const POSTS = '/.well-known/relaymint/posts';

for (const list of document.querySelectorAll('[data-thread]')) follow(list);
for (const link of document.querySelectorAll('[data-count-of]')) void count(link);

/** Each note by author and number, so that an edited one takes its own place. */
function follow(list) {
  const status = document.querySelector('.status');
  const notes = new Map();
  const events = new EventSource(addressOf(list.dataset.thread));
  const keyOf = ({ author, sequence }) => `${author.name}/${sequence}`;
  const show = () => {
    const posts = [...notes.values()].sort((one, other) => one.created - other.created);
    list.replaceChildren(...posts.map((post) => noteOf(post, notes)));
    list.setAttribute('aria-busy', 'false');
    status.textContent = posts.length === 0 ? 'Nobody has said anything yet.' : '';
  };
  events.addEventListener('post', ({ data }) => {
    const post = JSON.parse(data);
    notes.set(keyOf(post), post);
    show();
  });
  events.addEventListener('gone', ({ data }) => {
    notes.delete(keyOf(JSON.parse(data)));
    show();
  });
  events.addEventListener('open', () => {
    if (notes.size === 0) status.textContent = 'Nobody has said anything yet.';
  });
  events.addEventListener('error', () => {
    status.textContent = 'The wall does not answer at the moment. What is up stays up; news comes when it does.';
  });
}

async function count(link) {
  const answer = await fetch(addressOf(link.dataset.countOf), { headers: { Accept: 'application/json' } });
  if (!answer.ok) return;
  const { posts } = await answer.json();
  const shown = posts.filter(({ state }) => state === 'shown').length;
  link.append(element('i', `${shown} ${shown === 1 ? 'note' : 'notes'}`));
}

function noteOf(post, notes) {
  const note = element('li');
  note.id = `note-${post.author.name}-${post.sequence}`;
  const head = element('p');
  head.className = 'by';
  const author = element('a', post.author.name.replace(/\.sso$/, ''));
  author.href = hrefOf(post.author.name);
  const time = element(
    'time',
    new Date(post.created).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }),
  );
  time.dateTime = new Date(post.created).toISOString();
  head.append(author, ' ', time, post.edited === undefined ? '' : ', put in other words');
  const answered = post.answers && notes.get(`${post.answers.author}/${post.answers.sequence}`);
  if (answered !== undefined) {
    const link = element('a', `to ${answered.author.name.replace(/\.sso$/, '')}`);
    link.href = `#note-${answered.author.name}-${answered.sequence}`;
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

function addressOf(topic) {
  return `${POSTS}?path=${encodeURIComponent(topic)}`;
}

/** Each name has an origin of its own beside this one. */
function hrefOf(name) {
  const { protocol, host } = location;
  const dot = host.indexOf('.');
  return `${protocol}//${name.replaceAll('-', '--').replaceAll('.', '-')}.${dot < 0 ? host : host.slice(dot + 1)}/`;
}

function element(tag, text = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

// Pins notes of visitors: their wallet allows it once, where it is (docs/sign-in.md), and this page signs what they write from then on.
import { createClient, formatCredits } from './relaymint/index.js';
import { askToPost, endPosting, finishAsking, postingAs, writePost } from './relaymint/posts.js';
import { revenue } from './relaymint/site.js';

/** Hosts settle when it is worth a fee: how often it is looked what came of it, milliseconds. */
const EARNED_MILLIS = 10_000;

const client = createClient();
const { thread } = document.querySelector('.notes').dataset;
const ask = document.querySelector('.ask');
const write = document.querySelector('.write');
const done = document.querySelector('.done');
const earned = document.querySelector('.earned');
let looking;

ask.addEventListener('submit', (event) => {
  event.preventDefault();
  const author = document.querySelector('#author').value.trim().toLowerCase();
  void trying(ask, () => askToPost(client, { author }));
});

write.addEventListener('submit', (event) => {
  event.preventDefault();
  const note = document.querySelector('#note');
  void trying(write, async () => {
    await writePost(client, thread, note.value);
    note.value = '';
    done.textContent = 'It is on the wall.';
  });
});

document.querySelector('.end').addEventListener('click', () => {
  void trying(write, async () => {
    await endPosting(client);
    done.textContent = 'This wall pins nothing for you any more.';
    show(undefined);
  });
});

/** While it is done, nothing else is; what went wrong is said with what to do about it. */
async function trying(form, work) {
  const buttons = form.querySelectorAll('button');
  done.textContent = '';
  for (const button of buttons) button.disabled = true;
  try {
    await work();
  } catch (error) {
    done.textContent = error.message;
    if (error.code === 'SIGN_IN_REFUSED') show(undefined);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

/** @param as what this page is allowed; undefined: it has to ask. */
function show(as) {
  ask.hidden = as !== undefined;
  write.hidden = as === undefined;
  earned.hidden = as === undefined;
  clearInterval(looking);
  if (as === undefined) return;
  document.querySelector('.who').textContent = as.author;
  document.querySelector('#author').value = as.author;
  void tellEarned(as.author);
  looking = setInterval(() => void tellEarned(as.author), EARNED_MILLIS);
}

async function tellEarned(author) {
  try {
    const { earned: sum } = await revenue(client, author);
    earned.textContent = `What ${author} says was paid ${formatCredits(sum)} credits so far, by those who read it. Hosts settle now and then, so what was read just now comes later.`;
  } catch (error) {
    earned.textContent = error.message;
  }
}

/** Without storage, or after a visitor said no, this page can still ask. */
async function begin() {
  const came = await finishAsking(client);
  show(came ?? (await postingAs(client)));
  if (came !== undefined) document.querySelector('#note').focus();
}

begin().catch((error) => {
  show(undefined);
  done.textContent = error.message;
});

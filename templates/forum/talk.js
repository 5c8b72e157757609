/** The thread of a page, and writing in it. Each page of a thread has the same two forms. */
import { createClient, isRelaymintError } from './relaymint/index.js';
import { defineElements } from './relaymint/elements.js';
import { askToPost, finishAsking, postingAs, writePost } from './relaymint/posts.js';

/** Whoever was asked comes back to the front page, as the manifest says (`signIn`), and goes on to the thread from there. */
const FRONT = new URL('./', import.meta.url);
const THREAD = 'thread';

const client = createClient();
const [ask, write, wrong] = ['#ask', '#write', '.wrong'].map((which) => document.querySelector(which));

defineElements({ client });
const thread = sessionStorage.getItem(THREAD);
sessionStorage.removeItem(THREAD);
try {
  const posting = (await finishAsking(client)) ?? (await postingAs(client));
  if (ask === null && posting !== undefined && thread !== null) location.replace(location.origin + thread);
  else show(posting);
} catch (error) {
  show(undefined);
  say(error);
}

ask?.addEventListener('submit', (event) => {
  void during(event, async () => {
    sessionStorage.setItem(THREAD, location.pathname);
    await askToPost(client, { author: ask.elements.author.value, back: FRONT });
  });
});

write?.addEventListener('submit', (event) => {
  void during(event, async () => {
    const { text } = write.elements;
    await writePost(client, document.querySelector('relaymint-posts').getAttribute('path'), text.value);
    text.value = '';
    text.focus();
  });
});

/** One thing at a time, and said where it fails. */
async function during(event, act) {
  event.preventDefault();
  const button = event.target.querySelector('button');
  button.disabled = true;
  wrong.textContent = '';
  try {
    await act();
  } catch (error) {
    if (isRelaymintError(error, 'SIGN_IN_REFUSED')) show(undefined);
    say(error);
  } finally {
    button.disabled = false;
  }
}

/** The form that counts: to be allowed, or to write. */
function show(posting) {
  if (ask === null) return;
  ask.hidden = posting !== undefined;
  write.hidden = posting === undefined;
  document.querySelector('#who').textContent = posting?.author ?? '';
}

function say(error) {
  wrong.textContent = error.message;
}

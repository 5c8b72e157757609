// What a name says as it comes: threads, and updates that count for a time. What is lost is asked for again.
import { addressOf } from './town.js';

const UPDATES = '/.well-known/relaymint/updates';
const AGAIN_MILLIS = 10_000;

/** @param heard what to do with each kind of event; `open`: it comes, from the beginning; `lost`: nothing comes for now. */
export function listen(name, path, { open, lost, ...heard }) {
  const events = new EventSource(addressOf(name, path));
  for (const [kind, tell] of Object.entries(heard)) events.addEventListener(kind, ({ data }) => tell(JSON.parse(data)));
  events.addEventListener('open', () => open?.());
  events.addEventListener('error', () => {
    lost?.();
    // After an answer that is an error a browser does not ask again.
    if (events.readyState !== EventSource.CLOSED) return;
    setTimeout(() => listen(name, path, { open, lost, ...heard }), AGAIN_MILLIS);
  });
}

/** @param over nobody vouches any more for what was said: its time is over, whether or not somebody could still say so. */
export function listenToUpdates(name, { update, over, lost }) {
  let end;
  listen(name, UPDATES, {
    update(said) {
      clearTimeout(end);
      end = setTimeout(() => over(), said.expires - said.created);
      update(said);
    },
    stale() {
      clearTimeout(end);
      over();
    },
    lost,
  });
}

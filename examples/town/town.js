// Pictures and pages of other names. Each name has an origin of its own beside ours: news.web3 is news-web3.localhost:8402 on your machine,
// news-web3.example.net behind a public gateway, and https://news.web3 in full mode. So what belongs to another is marked with data-of, and its
// address is made here.

/** Names that a browser opens as they are, in full mode. What public DNS has too stays below localhost, at the usual port. */
const WHOLE = /^[^.]+\.(?:web3|sso|image|route)$/;
const USUAL_PORT = 8402;

/** Where another name, or our own, has something. */
export function addressOf(name, path) {
  const { protocol, host, hostname } = location;
  const label = name.replaceAll('-', '--').replaceAll('.', '-');
  if (!WHOLE.test(hostname)) return `${protocol}//${label}.${host.slice(host.indexOf('.') + 1)}${path}`;
  return WHOLE.test(name) ? `https://${name}${path}` : `http://${label}.localhost:${USUAL_PORT}${path}`;
}

/** Its owner may refuse: then the frame says what would be there. */
function show(element, name) {
  element.addEventListener('error', () => element.closest('.frame')?.classList.add('refused'));
  const { src, poster } = element.dataset;
  const address = addressOf(name, src);
  // A browser names no page to an address that is not encrypted, but for this: and owners want to know whose page it is.
  if (new URL(address).protocol !== location.protocol) element.crossOrigin = 'anonymous';
  if (poster !== undefined) element.poster = addressOf(name, poster);
  element.src = address;
}

for (const element of document.querySelectorAll('[data-of]')) {
  const name = element.dataset.of;
  if (element.dataset.src === undefined) element.href = addressOf(name, element.dataset.path ?? '/');
  else show(element, name);
}

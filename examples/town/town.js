// Pictures and pages of other names. Each name has an origin of its own beside ours: news.web3 is news-web3.localhost:8402 on your machine,
// and news-web3.example.net behind a public gateway. So what belongs to another is marked with data-of, and its address is made here.
(() => {
  const { protocol, host } = location;
  const dot = host.indexOf('.');
  const domain = dot < 0 ? host : host.slice(dot + 1);

  function addressOf(name, path) {
    const label = name.replaceAll('-', '--').replaceAll('.', '-');
    return `${protocol}//${label}.${domain}${path}`;
  }

  /** Its owner may refuse: then the frame says what would be there. */
  function show(element, name) {
    element.addEventListener('error', () => element.closest('.frame')?.classList.add('refused'));
    const { src, poster } = element.dataset;
    if (poster !== undefined) element.poster = addressOf(name, poster);
    element.src = addressOf(name, src);
  }

  function bring() {
    for (const element of document.querySelectorAll('[data-of]')) {
      const name = element.dataset.of;
      if (element.dataset.src === undefined) element.href = addressOf(name, element.dataset.path ?? '/');
      else show(element, name);
    }
  }

  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', bring);
  else bring();
})();

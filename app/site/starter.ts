/** The files of a new site: plain, readable in any light, and usable with a keyboard and without scripts. */

const STYLE = `/* Everything that the pages look like. Change the four colours, and the site is yours. */
:root {
  color-scheme: light dark;
  --paper: light-dark(#fbfaf7, #16181d);
  --ink: light-dark(#1c1d21, #e9e7e2);
  --faint: light-dark(#5d6068, #a3a7b0);
  --accent: light-dark(#0b5cad, #8ec5ff);
}

* {
  box-sizing: border-box;
}

body {
  max-width: 42rem;
  margin: 0 auto;
  padding: 1.5rem 1.25rem 4rem;
  background: var(--paper);
  color: var(--ink);
  font: 1.0625rem/1.65 system-ui, sans-serif;
}

a {
  color: var(--accent);
  text-underline-offset: 0.2em;
}

a:focus-visible {
  outline: 3px solid var(--accent);
  outline-offset: 3px;
  border-radius: 2px;
}

h1 {
  margin: 3rem 0 1rem;
  font-size: clamp(2rem, 6vw, 3rem);
  line-height: 1.15;
  letter-spacing: -0.02em;
}

.skip:not(:focus) {
  position: absolute;
  clip-path: inset(50%);
}

nav ul {
  display: flex;
  flex-wrap: wrap;
  gap: 1.25rem;
  margin: 0;
  padding: 0;
  list-style: none;
}

nav [aria-current] {
  color: inherit;
  font-weight: 600;
  text-decoration: none;
}

footer {
  margin-top: 4rem;
  border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent);
  padding-top: 1rem;
  color: var(--faint);
  font-size: 0.9375rem;
}
`;

const REDIRECTS = `# Where an address leads that has no file of its own. A rule is a line: from, to, status.
# What begins with "#" is not read. The first rule that fits counts.
#
# A page that moved:
#   /old-page        /about          301
# A folder that moved, with all that is in it:
#   /blog/*          /articles/:splat 301
# An application of a single page, which reads the address by itself (keep it last):
#   /*               /index.html     200

/home  /  301
`;

interface Page {
  readonly title: string;
  readonly description: string;
  /** Which entry of the navigation it is. */
  readonly at?: '/' | '/about';
  readonly main: string;
}

/** Addresses begin with a slash: the page for what is missing is shown at any address. */
function pageOf({ title, description, at, main }: Page): string {
  const link = (to: string, text: string): string =>
    `<li><a href="${to}"${to === at ? ' aria-current="page"' : ''}>${text}</a></li>`;
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${title}</title>
    <meta name="description" content="${description}" />
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/style.css" />
  </head>
  <body>
    <a class="skip" href="#main">Skip to content</a>
    <header>
      <nav aria-label="Pages">
        <ul>
          ${link('/', 'Home')}
          ${link('/about', 'About')}
        </ul>
      </nav>
    </header>
    <main id="main">
${main}
    </main>
    <footer>
      <p>Plain files, published with Relaymint.</p>
    </footer>
  </body>
</html>
`;
}

/** What a new site's manifest is made from: true as it is, so that nothing false is signed by who changes nothing. */
export const STARTER_MANIFEST: string = `{
  "//": [
    "Whose the site is, and what others may do with it. This file lies beside the folder: it is no part of the site.",
    "It counts once it is published: relaymint site publish FOLDER --manifest THIS-FILE. Updates without --manifest keep what was said last.",
    "A field whose name begins with // is not read: take the slashes and the blank away to say it. docs/sites.md has all fields."
  ],
  "creator": "The owner of this name",
  "title": "A new site",
  "// description": "What it is about, in a few sentences.",
  "// copyright": "© Your Name",
  "// licence": {
    "permits": { "usage": ["search"], "user": ["personal", "education"] },
    "prohibits": { "usage": ["ai-train"] },
    "payment": "attribution",
    "url": "https://creativecommons.org/licenses/by-nc/4.0/"
  },
  "// royalty": "20%",
  "// referrer": "10%",
  "embedding": "none",
  "comments": "none"
}
`;

/** By their paths. */
export const STARTER: ReadonlyMap<string, string> = new Map([
  [
    'index.html',
    pageOf({
      title: 'A new site',
      description: 'The front page of a new site.',
      at: '/',
      main: `      <h1>A new site</h1>
      <p>This is <code>index.html</code>, the front page. Write what you like here, and look at it as you go.</p>
      <p>More is <a href="/about">about this site</a>.</p>`,
    }),
  ],
  [
    'about.html',
    pageOf({
      title: 'About this site',
      description: 'What this site is about.',
      at: '/about',
      main: `      <h1>About this site</h1>
      <p>This is <code>about.html</code>. Visitors find it at <code>/about</code> as well.</p>`,
    }),
  ],
  [
    '404.html',
    pageOf({
      title: 'Not found',
      description: 'There is no such page.',
      main: `      <h1>There is no such page</h1>
      <p>It may have moved, or the address may be misspelt. <a href="/">Begin at the front page.</a></p>`,
    }),
  ],
  ['style.css', STYLE],
  ['_redirects', REDIRECTS],
]);

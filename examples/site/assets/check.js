/**
 * Hashes this site's files in the browser and compares them with the content ids that they arrive under.
 * A file of at most 1 MiB is one raw block, so its content id is made of nothing but its SHA-256.
 */

const FILES = [
  'index.html',
  'about.html',
  '404.html',
  'journey/index.html',
  'check/index.html',
  'assets/site.css',
  'assets/check.js',
  'assets/path.svg',
  'assets/path-tall.svg',
  'assets/icon.svg',
  'assets/night.webp',
  'assets/chime.wav',
];

const ROOT = new URL('../', import.meta.url);
const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';

/** Lower-case base32 of RFC 4648 without padding. */
function base32(bytes) {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += LETTERS[(value >> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + LETTERS[(value << (5 - bits)) & 31] : text;
}

/** Content id of one raw block: version 1, codec raw, SHA2-256, 32 bytes. */
async function contentId(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `b${base32(Uint8Array.of(1, 0x55, 0x12, 0x20, ...digest))}`;
}

function cell(text, kind) {
  const element = document.createElement('td');
  element.textContent = text;
  if (kind !== undefined) element.className = kind;
  return element;
}

async function checkFile(path) {
  const answer = await fetch(new URL(path, ROOT), { cache: 'no-store' });
  const bytes = await answer.arrayBuffer();
  // The ids on the way to the file, its own last. (Its tag is another one where it was sent packed.)
  const claimed = (answer.headers.get('x-ipfs-roots') ?? '').split(',').at(-1);
  const computed = await contentId(bytes);
  const good = answer.ok && claimed === computed;
  const row = document.createElement('tr');
  row.append(
    cell(path),
    cell(bytes.byteLength.toLocaleString('en'), 'n'),
    cell(computed, 'id'),
    cell(good ? '✓ same' : '✗ different', good ? 'good' : 'bad'),
  );
  return { row, good };
}

async function checkAll() {
  const verdict = document.getElementById('verdict');
  verdict.textContent = 'Checking.';
  let good = 0;
  for (const path of FILES) {
    const result = await checkFile(path);
    document.getElementById('files').append(result.row);
    good += result.good ? 1 : 0;
  }
  verdict.textContent =
    good === FILES.length
      ? `All ${good} files are what their names in the tree say they are.`
      : `${FILES.length - good} of ${FILES.length} files are not what they should be. Do not trust this gateway.`;
}

async function checkRange() {
  const answer = await fetch(new URL('assets/chime.wav', ROOT), { headers: { range: 'bytes=90000-90099' } });
  const { byteLength } = await answer.arrayBuffer();
  document.getElementById('range').textContent =
    answer.status === 206
      ? `Asked for a hundred bytes from the middle, got ${byteLength}: ${answer.headers.get('content-range')}.`
      : `This gateway does not answer ranges (status ${answer.status}).`;
}

function lookAround() {
  const secure = globalThis.isSecureContext ? 'a secure context, so cryptography works' : 'not a secure context';
  document.getElementById('origin').textContent =
    `This site lives at ${location.origin}. It is ${secure}, and it shares no cookies or storage with any other site.`;
}

lookAround();
await checkAll();
await checkRange();

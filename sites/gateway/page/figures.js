/** What the gateway's own pages share. Amounts stay BigInt; text goes in as text, never as HTML. */

/** @param {string} id */
export const at = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Base units (10^-6) -> "1,234.5". */
export function credits(text) {
  const value = BigInt(text);
  const fraction = (value % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  const whole = (value / 1_000_000n).toLocaleString('en');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** Bytes -> "12.3 MiB", without ever becoming a float that matters. */
export function size(text) {
  const value = BigInt(text);
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let step = 0;
  let unit = 1n;
  while (value >= unit * 1024n && step < units.length - 1) {
    unit *= 1024n;
    step += 1;
  }
  if (step === 0) return `${value} B`;
  const tenths = (value * 10n) / unit;
  return `${tenths / 10n}.${tenths % 10n} ${units[step]}`;
}

/** `news.web3` -> its own origin on this gateway. */
export function siteUrl(name) {
  const label = name.replaceAll('-', '--').replace('.', '-');
  const port = location.port === '' ? '' : `:${location.port}`;
  return `http://${label}.localhost${port}/`;
}

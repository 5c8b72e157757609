/** How the pages of the town find one another, wherever they are shown. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

interface Town {
  addressOf(name: string, path: string): string;
}

beforeEach(() => {
  vi.stubGlobal('document', { querySelectorAll: () => [] });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

/** Of the script, in a page at this address. */
async function addressesAt(page: string): Promise<Town['addressOf']> {
  vi.stubGlobal('location', new URL(page));
  const script = new URL('../../examples/town/town.js', import.meta.url).href;
  const town = (await import(/* @vite-ignore */ script)) as Town;
  return (name, path) => town.addressOf(name, path);
}

describe('a page of the town finds', () => {
  it.each([
    ['http://news-web3.localhost:8402/map.html', 'pellan.map', 'http://pellan-map.localhost:8402/a'],
    ['http://news-web3.localhost:33123/', 'ada-wick.sso', 'http://ada--wick-sso.localhost:33123/a'],
    ['https://news-web3.sites.example.org/', 'ferry.route', 'https://ferry-route.sites.example.org/a'],
    ['https://news.web3/', 'ada-wick.sso', 'https://ada-wick.sso/a'],
    ['https://news.web3/', 'ferry.video', 'http://ferry-video.localhost:8402/a'],
    ['http://pellan-map.localhost:8402/', 'news.web3', 'http://news-web3.localhost:8402/a'],
  ])('from %s what %s has at %s', async (page, name, address) => {
    const addressOf = await addressesAt(page);
    expect(addressOf(name, '/a')).toBe(address);
  });
});

/** Whose something is, by its address, as a real gateway tells it; and addresses that only look like ones of it. */
import { afterEach, expect, it } from 'vitest';
import { createClient, type Client } from '../../sdk/index.ts';
import { ownership } from '../../sdk/media/index.ts';
import { fetchHere } from '../app/visitor.ts';
import { declare, startFront, type Front } from '../sites/gateway/kit.ts';
import { Cleanup } from '../sites/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

async function news(): Promise<{ front: Front; client: Client }> {
  const front = await startFront(cleanup);
  await front.publish('news.web3', { 'index.html': 'news' });
  await front.publish('dawn.image', { 'dawn.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>' });
  await declare(front, 'dawn.image', {
    kind: 'image',
    mediaType: 'image/svg+xml',
    embedding: ['news.web3'],
    creator: 'Ana Lima',
    title: 'Dawn',
  });
  return { front, client: createClient({ gateway: `http://news-web3.localhost:${front.port}/`, fetch: fetchHere }) };
}

it('is what the owner of its name says', async () => {
  const { front, client } = await news();
  const told = await ownership(client, new URL(`http://dawn-image.localhost:${front.port}/dawn.svg?x#y`));
  const { owner } = front.ledger.records.get('dawn.image') ?? {};
  expect(told).toEqual({
    name: 'dawn.image',
    owner,
    creator: 'Ana Lima',
    title: 'Dawn',
    copyright: undefined,
    licence: undefined,
    price: undefined,
    royaltyBps: 500,
    referrerBps: expect.any(Number) as number,
    splits: [{ account: owner, bps: 10_000 }],
    embedding: ['news.web3'],
  });
});

it('is nothing where the owner says nothing; a path is one of the own name', async () => {
  const { client } = await news();
  expect(await ownership(client, '/index.html')).toBeUndefined();
});

it.each([
  'https://dawn-image.localhost/dawn.svg',
  'http://dawn-image.evil.example/dawn.svg',
  'http://dawn-image.localhost:1/dawn.svg',
  'http://localhost/dawn.svg',
  'data:image/svg+xml,dawn',
  'http://',
])('is not told of %s, which is another server’s', async (url) => {
  const { client } = await news();
  await expect(ownership(client, url)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

it('is an error with its code where there is no such name', async () => {
  const { front, client } = await news();
  await expect(ownership(client, `http://nobody-image.localhost:${front.port}/a.svg`)).rejects.toMatchObject({
    code: 'NAME_UNKNOWN',
  });
});

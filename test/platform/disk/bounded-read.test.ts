/** Of what is too long, little is read. */
import { createReadStream } from 'node:fs';
import { expect, it } from 'vitest';
import { readUpTo } from '../../../platform/disk/bounded-read.ts';

it('reads all of what is not too long, and ends what is', async () => {
  let ended = 0;
  const three = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (const piece of ['one', 'two', 'six']) yield await Promise.resolve(Buffer.from(piece));
    } finally {
      ended += 1;
    }
  };
  expect([String(await readUpTo(three(), 9)), await readUpTo(three(), 8), ended]).toEqual(['onetwosix', undefined, 2]);
});

it('reads what has no end', async () => {
  const endless = createReadStream('/dev/zero');
  expect([await readUpTo(endless, 1000), endless.destroyed]).toEqual([undefined, true]);
});

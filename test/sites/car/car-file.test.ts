/** CAR files that are read in place: what they hold, and what is no CAR file. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CarBufferWriter } from '@ipld/car';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { afterEach, describe, expect, it } from 'vitest';
import { openCar, type CarFile } from '../../../sites/car/index.ts';
import { abortedBefore } from '../../compliance/traits.ts';
import { Cleanup, rawBlock, temporaryFolder } from '../kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const [first, second, other] = [rawBlock('first'), rawBlock('second'), rawBlock('other')];

function carOf(blocks: readonly { readonly cid: CID; readonly block: Uint8Array }[]): Buffer {
  const writer = CarBufferWriter.createWriter(new ArrayBuffer(10_000), { roots: [first.cid] });
  for (const { cid, block } of blocks) writer.write({ cid, bytes: block });
  return Buffer.from(writer.close({ resize: true }));
}

async function written(bytes: Uint8Array): Promise<string> {
  const file = path.join(await temporaryFolder(cleanup), 'a.car');
  await writeFile(file, bytes);
  return file;
}

async function opened(bytes: Uint8Array): Promise<CarFile> {
  const car = await openCar(await written(bytes));
  cleanup.add(() => car[Symbol.asyncDispose]());
  return car;
}

describe('a CAR file', () => {
  it('gives its blocks, once each, and knows what it lacks', async () => {
    const car = await opened(carOf([first, second, first]));
    expect(car.roots.map(String)).toEqual([first.cid.toString()]);
    expect([car.blocks, car.leftOut]).toEqual([2, 0]);
    expect(Buffer.from(await car.get(second.cid)).toString()).toBe('second');
    expect([car.has(first.cid), car.has(other.cid)]).toEqual([true, false]);
    await expect(car.get(other.cid)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
  });

  it('leaves out what is hashed otherwise, and says how much', async () => {
    const odd = CID.createV1(0x55, Digest.create(0x13, new Uint8Array(64)));
    const car = await opened(carOf([first, { cid: odd, block: second.block }]));
    expect([car.blocks, car.leftOut, car.has(odd)]).toEqual([1, 1, false]);
  });

  it('does not give a block that was changed in the file', async () => {
    const bytes = carOf([first, second]);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const car = await opened(bytes);
    expect(Buffer.from(await car.get(first.cid)).toString()).toBe('first');
    await expect(car.get(second.cid)).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', Buffer.from('<!doctype html>')],
    ['a header that promises more than there is', Buffer.from([0xff, 0xff, 0xff, 0x7f, 0xa2])],
    ['a file that was cut off', carOf([first, second]).subarray(0, -1)],
    ['a file that was cut off in a header', carOf([first, second]).subarray(0, -8)],
  ])('is not %s', async (_what, bytes) => {
    await expect(opened(bytes)).rejects.toMatchObject({ code: 'CONTENT_REFUSED' });
  });

  it('that is missing is said to be', async () => {
    await expect(openCar('/nowhere/a.car')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it('closed says that it has nothing, and can be closed again', async () => {
    const car = await opened(carOf([first]));
    await car[Symbol.asyncDispose]();
    await car[Symbol.asyncDispose]();
    await expect(car.get(first.cid)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
  });

  abortedBefore(() => undefined, {
    openCar: async (_none, signal) => await openCar(await written(carOf([first])), { signal }),
    get: async (_none, signal) => await (await opened(carOf([first]))).get(first.cid, { signal }),
  });
});

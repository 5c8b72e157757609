/** Writes CAR files (CARv1). */
import { CarBufferWriter } from '@ipld/car';
import { varint } from 'multiformats';
import type { CID } from 'multiformats/cid';

/** A header with one root needs less. */
const MAX_HEADER_BYTES = 256;

/** The chunks of a CAR file of one root, as its blocks come. */
export async function* carOf(
  root: CID,
  blocks: AsyncIterable<{ readonly cid: CID; readonly block: Uint8Array }>,
): AsyncGenerator<Uint8Array> {
  yield CarBufferWriter.createWriter(new ArrayBuffer(MAX_HEADER_BYTES), { roots: [root] }).close({ resize: true });
  for await (const { cid, block } of blocks) {
    const length = cid.bytes.length + block.length;
    const prefix = varint.encodeTo(length, new Uint8Array(varint.encodingLength(length)));
    yield Buffer.concat([prefix, cid.bytes]);
    yield block;
  }
}

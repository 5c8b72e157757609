/** How long a click takes on a circuit: a small cell there and back, alone or beside a download on the same circuit. */
import { RelaymintError } from '../../core/errors.ts';
import type { RunningNode } from '../../app/node/node.ts';
import { SOURCE_SERVICE, type Where } from '../path/protocol.ts';

const CLICKS = 21;

/** The median, milliseconds, after so much of a download has come; 0: without one. @throws RelaymintError when the path breaks. */
export async function clickMillis(
  node: RunningNode,
  host: Where,
  { bytesBefore }: { readonly bytesBefore: number },
): Promise<number> {
  const offer = node.discovery.book.get(host.nodeId);
  if (offer === undefined) throw new RelaymintError('INTERNAL', 'The host told the honest node no offer.');
  const circuit = await node.circuits.createCircuit([offer], { service: SOURCE_SERVICE });
  try {
    if (bytesBefore > 0) {
      const stream = await circuit.openStream(SOURCE_SERVICE, new Uint8Array(0));
      const request = Buffer.alloc(8);
      request.writeBigUInt64LE(BigInt(Number.MAX_SAFE_INTEGER));
      stream.write(request);
      await new Promise<void>((resolve, reject) => {
        let come = 0;
        stream.on('data', (chunk: Buffer) => {
          come += chunk.length;
          if (come >= bytesBefore) resolve();
        });
        stream.once('close', () => reject(stream.errored ?? new RelaymintError('CLOSED', 'The download ended.')));
      });
    }
    const clicks: number[] = [];
    for (let click = 0; click < CLICKS; click += 1) clicks.push(await circuit.rttMillis());
    return clicks.toSorted((a, b) => a - b)[Math.floor(CLICKS / 2)] ?? 0;
  } finally {
    circuit.destroy();
  }
}

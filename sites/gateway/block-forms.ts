/** Content as blocks, for clients that verify it by themselves: one raw block, a CAR of many, and a tar for everybody else. */
import { createHash } from 'node:crypto';
import type { Response } from 'express';
import { blockKey, type BlockReader } from '../blocks/index.ts';
import { carOf } from '../car/index.ts';
import { follow, proofOf, type ProofBlock, type Trail } from '../unixfs/index.ts';
import { writeAll } from '../wire/index.ts';
import { parseRanges } from './byte-range.ts';
import { rangeApplies, strongTag } from './conditions.ts';
import type { ContentAsked } from './contract.ts';
import { disposition } from './disposition.ts';
import { noSuchPage } from './failure.ts';
import { isAnswered, setHeads } from './heads.ts';
import { sendMessage } from './pages.ts';
import { pathBelow, splitPath, type Place } from './place.ts';
import { CAR, RAW, TAR, parameter, type Representation } from './representation.ts';
import { tarOf } from './tar.ts';

/** Where the path leads, with each block on the way; tells the visitor if it leads nowhere. */
interface Found {
  readonly trail: Trail;
  readonly onTheWay: readonly ProofBlock[];
}

export async function answerRaw(asked: ContentAsked, place: Place): Promise<void> {
  const { request, response, signal } = asked;
  const found = await find(asked, place);
  if (found === undefined) return;
  const { cid } = found.trail;
  const tag = strongTag(`${cid.toString()}.raw`);
  const told = { trail: found.trail, tag };
  if (isAnswered(asked, place, told)) return;
  setHeads(asked, place, told);
  setForm(asked, RAW, `${cid.toString()}.bin`);
  const block = await place.blocks.get(cid, { signal });
  const wanted = request.method === 'GET' && rangeApplies(request, tag) ? request.headers.range : undefined;
  const ranges = parseRanges(wanted, block.length);
  if (ranges === 'unsatisfiable') {
    response.status(416).set('Content-Range', `bytes */${block.length}`).end();
    return;
  }
  // Several are answered with the whole block: it is small.
  const part = ranges?.length === 1 ? ranges[0] : undefined;
  if (part !== undefined) {
    response.status(206).set('Content-Range', `bytes ${part.start}-${part.end - 1}/${block.length}`);
  }
  const bytes = part === undefined ? block : block.subarray(part.start, part.end);
  response.set({ 'Accept-Ranges': 'bytes', 'Content-Length': String(bytes.length) });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export async function answerTar(asked: ContentAsked, place: Place): Promise<void> {
  const { request, response, signal } = asked;
  const found = await find(asked, place);
  if (found === undefined) return;
  const { cid } = found.trail;
  const tag = `W/${strongTag(`${cid.toString()}.x-tar`)}`;
  const told = { trail: found.trail, tag };
  if (isAnswered(asked, place, told)) return;
  setHeads(asked, place, told);
  setForm(asked, TAR, `${cid.toString()}.tar`);
  response.set('Accept-Ranges', 'none');
  if (request.method !== 'HEAD') await send(tarOf(place.blocks, cid, cid.toString(), signal), response);
  response.end();
}

export async function answerCar(
  asked: ContentAsked,
  place: Place,
  wanted: Extract<Representation, { readonly form: 'car' }>,
): Promise<void> {
  const { request, response, signal } = asked;
  const found = await find(asked, place);
  if (found === undefined) return;
  const { trail, onTheWay } = found;
  const { scope, bytes, duplicates } = wanted;
  const dups = duplicates ? 'y' : 'n';
  // The way to it is in the file too.
  const variant = [...trail.roots.map(String), scope, bytes?.from, bytes?.to, dups].join();
  const tag = `W/${strongTag(`${trail.cid.toString()}.car.${createHash('sha256').update(variant).digest('hex').slice(0, 16)}`)}`;
  if (isAnswered(asked, place, { trail, tag })) return;
  setHeads(asked, place, { trail, tag });
  setForm(asked, `${CAR}; version=1; order=dfs; dups=${dups}`, `${trail.cid.toString()}.car`);
  response.set('Accept-Ranges', 'none');
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const known = duplicates ? undefined : new Set<string>();
  const proof = proofOf(place.blocks, trail.cid, { scope, signal, ...(bytes && { bytes }), ...(known && { known }) });
  const way = onTheWay.filter(({ cid }) => {
    const isNew = known?.has(blockKey(cid)) !== true;
    known?.add(blockKey(cid));
    return isNew;
  });
  // A failure before the first block still gets an error page.
  const first = await proof.next();
  await send(carOf(place.root, inOrder(way, first, proof)), response);
  response.end();
}

async function* inOrder(
  way: readonly ProofBlock[],
  first: IteratorResult<ProofBlock, void>,
  rest: AsyncIterable<ProofBlock>,
): AsyncGenerator<ProofBlock> {
  yield* way;
  if (first.done !== true) yield first.value;
  yield* rest;
}

async function send(chunks: AsyncIterable<Uint8Array>, response: Response): Promise<void> {
  for await (const chunk of chunks) await writeAll(response, chunk);
}

async function find({ request, response, signal }: ContentAsked, place: Place): Promise<Found | undefined> {
  const path = splitPath(pathBelow(place, request.path));
  const onTheWay: ProofBlock[] = [];
  const noting: BlockReader = {
    async get(cid, options) {
      const block = await place.blocks.get(cid, options);
      onTheWay.push({ cid, block });
      return block;
    },
  };
  const trail = path && (await follow(noting, place.root, path.segments, { signal }));
  if (trail !== undefined) return { trail, onTheWay };
  sendMessage(response, noSuchPage(place.title));
  return undefined;
}

/** How a form is saved. */
function setForm({ request, response }: ContentAsked, type: string, filename: string): void {
  // Express would add a charset.
  response.setHeader('Content-Type', type);
  response.set('Content-Disposition', disposition('attachment', parameter(request, 'filename') ?? filename));
}

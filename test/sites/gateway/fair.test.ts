/** Visitors who read slowly, or not at all, or ask for everything at once: what they may hold, and what the others get. */
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Request, Response } from 'express';
import { afterEach, describe, expect, it } from 'vitest';
import {
  GATEWAY_QUEUE_MILLIS,
  MAX_GATEWAY_REQUESTS,
  MAX_PIPELINED_REQUESTS,
  NAME_WAIT_MILLIS,
  SLOW_VISITOR_MILLIS,
  STALLED_VISIT_MILLIS,
  VISITOR_IDLE_MILLIS,
  VISIT_MILLIS,
} from '../../../core/limits.ts';
import { silentLog } from '../../../core/ports.ts';
import { MIB } from '../../../core/units.ts';
import type { BlockReader } from '../../../sites/blocks/index.ts';
import type { NameHandler } from '../../../sites/gateway/index.ts';
import { Pace, ReadersAhead } from '../../../sites/gateway/paced.ts';
import { Turns } from '../../../sites/gateway/turns.ts';
import { Visits } from '../../../sites/gateway/visits.ts';
import { Cleanup, rawBlock } from '../kit.ts';
import { startFront } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

/** More than the sockets of a connection hold. */
const MUCH: number = 16 * MIB;
/** Three quarters: the share of one client. */
const SHARE: number = (MAX_GATEWAY_REQUESTS * 3) / 4;

/** A visitor who says what is to be said, and reads nothing of the answer. */
async function silentVisitor(port: number, text: string, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  cleanup.add(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

const asking = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: demo-web3.localhost\r\n\r\n`;

/** Everything up to the end of the connection. */
async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  await once(socket, 'close');
  return text;
}

describe('visitors who read nothing', () => {
  it('keep nobody else waiting: the 65th visitor needs no turn of theirs', async () => {
    // Whoever has to wait is refused.
    const front = await startFront(cleanup, { queueMillis: 0 });
    await front.publish('demo.web3', { 'big.bin': new Uint8Array(MUCH), 'index.html': 'a page' });
    const silent = await Promise.all(Array.from({ length: 64 }, () => silentVisitor(front.port, asking('/big.bin'))));
    // The beginning of each answer is here.
    await Promise.all(silent.map((socket) => once(socket, 'readable')));
    const answer = await front.get('/');
    expect([answer.status, answer.text]).toEqual([200, 'a page']);
  });
});

describe('turns', () => {
  const { signal } = new AbortController();

  it('let a few work, the rest wait in order, too many leave', async () => {
    const turns = new Turns({ most: 2, mostWaiting: 3, waitMillis: 60_000 });
    const ends = [await turns.begin('a', signal), await turns.begin('a', signal)];
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (number) => {
      const end = await turns.begin('a', signal);
      order.push(number);
      return end;
    });
    await expect(turns.begin('a', signal)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    ends[0]?.();
    ends[0]?.();
    const third = await waiting[0];
    expect(order).toEqual([1]);
    ends[1]?.();
    third?.();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
  });

  it('are not given to a visitor that left the queue', async () => {
    const turns = new Turns({ most: 1, mostWaiting: 5, waitMillis: 60_000 });
    const end = await turns.begin('a', signal);
    const leaving = new AbortController();
    const left = turns.begin('a', leaving.signal);
    const next = turns.begin('a', signal);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toMatchObject({ code: 'ABORTED' });
    end();
    (await next)();
    (await turns.begin('a', signal))();
  });

  it('are not waited for longer than a visitor waits without a word', async () => {
    const turns = new Turns({ most: 1, mostWaiting: 5, waitMillis: 5 });
    const end = await turns.begin('a', signal);
    await expect(turns.begin('a', signal)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    end();
    (await turns.begin('a', signal))();
    expect(GATEWAY_QUEUE_MILLIS + NAME_WAIT_MILLIS + VISIT_MILLIS).toBeLessThan(VISITOR_IDLE_MILLIS);
  });

  it('and places to wait are left to others by a client that takes all it gets', async () => {
    const turns = new Turns({ most: 4, mostWaiting: 4, waitMillis: 60_000 });
    const mine = [await turns.begin('a', signal), await turns.begin('a', signal), await turns.begin('a', signal)];
    const waiting = [1, 2, 3].map(() => turns.begin('a', signal));
    await expect(turns.begin('a', signal)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    const ofB = await turns.begin('b', signal);
    const laterB = turns.begin('b', signal);
    // The turn of the other one is free, and not for the client that has its share.
    ofB();
    (await laterB)();
    for (const end of mine) end();
    for (const turn of waiting) (await turn)();
  });
});

describe('a gateway whose turns are all taken', () => {
  it('says so soon, with when to come back, and has turns left for visitors from elsewhere', async () => {
    let held = 0;
    const holding: NameHandler = {
      tld: 'map',
      answer: ({ response, signal }) => {
        if (held >= SHARE) return Promise.resolve(void response.send('served'));
        held += 1;
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      },
    };
    const front = await startFront(cleanup, { names: [holding], queueMillis: 5 });
    const paris = 'GET / HTTP/1.1\r\nHost: paris-map.localhost\r\nConnection: close\r\n\r\n';
    await Promise.all(Array.from({ length: SHARE }, () => silentVisitor(front.port, paris)));
    await expect.poll(() => held).toBe(SHARE);
    const refused = await front.get('/', { host: 'paris-map.localhost' });
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);
    expect(await textOf(await silentVisitor(front.port, paris, '127.0.0.2'))).toContain('served');
  });
});

interface Served {
  readonly port: number;
  /** Responses in the order of their requests. */
  readonly responses: ServerResponse[];
}

async function served(listener: RequestListener): Promise<Served> {
  const responses: ServerResponse[] = [];
  const server = createServer((request, response) => {
    responses.push(response);
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, responses };
}

/** All turns of one client are taken by visitors of whom the first one was sent more than it reads; `time` is what the clock shows. */
async function crowded(time: { now: number }) {
  const visits = new Visits({ log: silentLog, queueMillis: 60_000, now: () => time.now });
  const begun: string[] = [];
  const { port, responses } = await served((request, response) => {
    const answer: NameHandler['answer'] = async (asked) => {
      begun.push(asked.request.url);
      if (asked.request.url === '/much') asked.response.end(new Uint8Array(MUCH));
      else if (asked.request.url === '/next') asked.response.end('next');
      else await once(asked.signal, 'abort');
    };
    visits.serve('demo.web3', request as Request, response as Response, answer).catch(() => response.destroy());
  });
  const slow = await silentVisitor(port, asking('/much'));
  await expect.poll(() => responses[0]?.writableEnded).toBe(true);
  await Promise.all(Array.from({ length: SHARE - 1 }, () => silentVisitor(port, asking('/wait'))));
  await expect.poll(() => begun).toHaveLength(SHARE);
  return { port, slow, begun, responses };
}

describe('a visitor who takes nothing for a minute', () => {
  it('makes way for the next one when all turns are taken', async () => {
    const time = { now: 0 };
    const { port, slow } = await crowded(time);
    time.now += STALLED_VISIT_MILLIS + 1;
    const next = await silentVisitor(port, asking('/next'));
    await once(next, 'readable');
    expect(String(next.read())).toContain('next');
    await once(slow.resume(), 'close');
  });

  it('keeps its turn until then', async () => {
    const time = { now: 0 };
    const { port, slow, begun, responses } = await crowded(time);
    time.now += STALLED_VISIT_MILLIS;
    const next = await silentVisitor(port, asking('/next'));
    await expect.poll(() => responses).toHaveLength(SHARE + 1);
    expect([responses[0]?.destroyed, begun]).toEqual([false, expect.not.arrayContaining(['/next'])]);
    slow.destroy();
    await once(next, 'readable');
    expect(begun.at(-1)).toBe('/next');
  });

  it('keeps it when it is the gateway that nothing comes from', async () => {
    const time = { now: 0 };
    const { port, slow, begun, responses } = await crowded(time);
    slow.destroy();
    await silentVisitor(port, asking('/wait'));
    await expect.poll(() => begun).toHaveLength(SHARE + 1);
    time.now += STALLED_VISIT_MILLIS + 1;
    await silentVisitor(port, asking('/next'));
    await expect.poll(() => responses).toHaveLength(SHARE + 2);
    expect([responses.filter(({ destroyed }) => destroyed).length, begun.length]).toEqual([1, SHARE + 1]);
  });
});

describe('one connection', () => {
  it('is answered one request after the other', async () => {
    const visits = new Visits({ log: silentLog });
    const begun: string[] = [];
    const { port, responses } = await served((request, response) => {
      const answer: NameHandler['answer'] = (asked) => Promise.resolve(void begun.push(asked.request.url));
      visits.serve('demo.web3', request as Request, response as Response, answer).catch(() => response.destroy());
    });
    const socket = await silentVisitor(port, ['/1', '/2', '/3'].map(asking).join(''));
    await expect.poll(() => responses).toHaveLength(3);
    expect(begun).toEqual(['/1']);
    responses[0]?.end('one');
    await expect.poll(() => begun).toEqual(['/1', '/2']);
    responses[1]?.end('two');
    await expect.poll(() => begun).toEqual(['/1', '/2', '/3']);
    responses[2]?.end('three');
    await once(socket, 'readable');
    expect(String(socket.read())).toContain('one');
  });

  it('ends with all its requests when its visitor leaves', async () => {
    const visits = new Visits({ log: silentLog });
    const begun: string[] = [];
    const over: Promise<void>[] = [];
    const { port } = await served((request, response) => {
      over.push(
        visits.serve('demo.web3', request as Request, response as Response, async (asked) => {
          begun.push(asked.request.url);
          await once(asked.signal, 'abort');
        }),
      );
    });
    const socket = await silentVisitor(port, asking('/1') + asking('/2'));
    await expect.poll(() => over).toHaveLength(2);
    socket.destroy();
    await Promise.all(over);
    expect(begun).toEqual(['/1']);
  });

  it('that asks for too much at once is cut', async () => {
    const visits = new Visits({ log: silentLog });
    let begun = 0;
    const { port } = await served((request, response) => {
      visits
        .serve('demo.web3', request as Request, response as Response, async (asked) => {
          begun += 1;
          await once(asked.signal, 'abort');
        })
        .catch(() => response.destroy());
    });
    const patient = await silentVisitor(port, asking('/').repeat(MAX_PIPELINED_REQUESTS));
    const greedy = await silentVisitor(port, asking('/').repeat(MAX_PIPELINED_REQUESTS + 1));
    await once(greedy.resume(), 'close');
    expect([patient.destroyed, begun]).toEqual([false, 2]);
  });
});

describe('the pace of an answer', () => {
  const { cid, block } = rawBlock('a block');

  /** An answer whose visitor reads when it is told to; fetches are counted. */
  async function paced(time: { now: number }, ahead = new ReadersAhead()) {
    const { port, responses } = await served(() => undefined);
    const socket = await silentVisitor(port, asking('/'));
    await expect.poll(() => responses).toHaveLength(1);
    const response = responses[0] as ServerResponse;
    const pace = new Pace(response, ahead, () => time.now);
    let fetched = 0;
    const source: BlockReader = { get: async () => Promise.resolve(((fetched += 1), block)) };
    return { socket, response, pace, blocks: pace.of(source), fetched: () => fetched };
  }

  const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('has several blocks read ahead for a visitor who keeps up', async () => {
    const { blocks, fetched } = await paced({ now: 0 });
    const fetches = Array.from({ length: 4 }, () => blocks.get(cid));
    await later();
    expect(fetched()).toBe(4);
    await Promise.all(fetches);
  });

  it('leaves turns to everybody else, also where all of its blocks are here', async () => {
    const time = { now: 0 };
    const { pace } = await paced(time);
    const blocks = pace.of({
      get: async () => {
        time.now += 1;
        return await Promise.resolve(block);
      },
    });
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    for (let index = 0; index < 50; index += 1) await blocks.get(cid);
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(9);
  });

  it('has one at a time where all places to read ahead are taken', async () => {
    const ahead = new ReadersAhead();
    while (ahead.take() !== undefined);
    let come = (): void => {};
    const first = new Promise<void>((resolve) => (come = resolve));
    let asked = 0;
    const { pace } = await paced({ now: 0 }, ahead);
    const blocks = pace.of({
      get: async () => {
        asked += 1;
        await first;
        return block;
      },
    });
    const fetches = [blocks.get(cid), blocks.get(cid)];
    await later();
    expect(asked).toBe(1);
    come();
    await Promise.all(fetches);
    expect(asked).toBe(2);
  });

  it('has none fetched for a slow visitor before what was sent is gone, and gives its place to others', async () => {
    const time = { now: 0 };
    const ahead = new ReadersAhead();
    const { socket, response, blocks, fetched, pace } = await paced(time, ahead);
    await Promise.all([blocks.get(cid), blocks.get(cid)]);
    response.write(new Uint8Array(MUCH));
    expect(response.writableNeedDrain).toBe(true);
    time.now += SLOW_VISITOR_MILLIS + 1;
    expect(pace.stalledMillis).toBe(SLOW_VISITOR_MILLIS + 1);
    const third = blocks.get(cid);
    await later();
    await later();
    expect(fetched()).toBe(2);
    while (ahead.take() !== undefined);
    socket.resume();
    await third;
    expect([fetched(), pace.stalledMillis]).toEqual([3, 0]);
    expect(ahead.take()).toBeTypeOf('function');
  });
});

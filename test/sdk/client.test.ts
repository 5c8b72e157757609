/** What the SDK asks of a gateway, of a real one: what it answers, what it refuses, and a connection that is lost. */
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  RelaymintError,
  addressOf,
  createClient,
  isRelaymintError,
  readManifest,
  readPosts,
  readUpdate,
  watchPosts,
  watchUpdates,
  type Client,
} from '../../sdk/index.ts';
import { fetchHere } from '../app/visitor.ts';
import { FeedWorld, NAME, bring, type FeedHost as UpdatesHost } from '../sites/feed/updates-kit.ts';
import { FORUM, TOPIC, Town, type FeedHost } from '../sites/feed/kit.ts';
import { declare, startFront, type Front } from '../sites/gateway/kit.ts';
import { Cleanup } from '../sites/kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const clientAt = (label: string, port: number): Client =>
  createClient({ gateway: `http://${label}.localhost:${port}/any/page?x=1`, fetch: fetchHere });

async function forum(): Promise<{ town: Town; host: FeedHost; front: Front; client: Client }> {
  const town = new Town(cleanup);
  const host = await town.host();
  const front = await startFront(cleanup, { feeds: town.source([host]) });
  await front.publish(FORUM, { 'index.html': '<!doctype html><title>forum</title>' });
  await declare(front, FORUM, { comments: 'anybody', title: 'Talk', embedding: 'anybody' });
  return { town, host, front, client: clientAt('forum-web3', front.port) };
}

async function ferry(): Promise<{ world: FeedWorld; host: UpdatesHost; front: Front; client: Client }> {
  const world = new FeedWorld(cleanup);
  const host = await world.host();
  const front = await startFront(cleanup, { feeds: world.source([host]) });
  await front.publish(NAME, { 'index.html': '<!doctype html><title>ferry</title>' });
  return { world, host, front, client: clientAt('ferry-route', front.port) };
}

interface Passage {
  readonly port: number;
  readonly cut: () => void;
  /** Resolves when that was passed on to the client since the last cut. */
  readonly passed: (text: string) => Promise<void>;
}

/** Passes connections on to a port, until they are cut. */
async function passage(port: number): Promise<Passage> {
  const open = new Set<Socket>();
  const progress = new EventEmitter();
  let said = '';
  const server = createServer((socket) => {
    const onward = connect(port, '127.0.0.1');
    for (const one of [socket, onward]) {
      open.add(one);
      one.on('error', () => {}).on('close', () => void open.delete(one));
    }
    onward.on('data', (data) => {
      said += String(data);
      progress.emit('said');
    });
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    said = '';
    for (const socket of open) socket.destroy();
  };
  cleanup.add(() => {
    cut();
    server.close();
  });
  const passed = async (text: string): Promise<void> => {
    while (!said.includes(text)) await once(progress, 'said');
  };
  return { port: (server.address() as AddressInfo).port, cut, passed };
}

describe('a client', () => {
  it('is frozen data about an address', () => {
    const client = createClient({ gateway: 'http://demo-web3.localhost:8402/a/page' });
    expect(client).toMatchObject({ origin: 'http://demo-web3.localhost:8402', name: 'demo.web3', signal: undefined });
    expect(Object.isFrozen(client)).toBe(true);
  });

  it.each([undefined, '/here', 'file:///home/page.html', 'nothing'])('needs an address, which %s is not', (gateway) => {
    const make = (): Client => createClient(gateway === undefined ? {} : { gateway });
    expect(make).toThrow(RelaymintError);
    expect(make).toThrow(/Give createClient a gateway/);
  });

  it.each([
    ['http://demo-web3.localhost:8402', 'my-site.web3', 'http://my--site-web3.localhost:8402/a'],
    ['http://localhost:8402', 'my-site.web3', 'http://my--site-web3.localhost:8402/a'],
    ['https://demo-web3.sites.example.org', 'dawn.image', 'https://dawn-image.sites.example.org/a'],
    ['https://sites.example.org', 'dawn.image', 'https://dawn-image.sites.example.org/a'],
    ['https://news.web3', 'dawn.image', 'https://dawn.image/a'],
    ['https://news.web3', 'harbour.map', 'http://harbour-map.localhost:8402/a'],
  ])('at %s finds %s at %s', (gateway, name, address) => {
    expect(addressOf(createClient({ gateway }), name, '/a')).toBe(address);
  });

  it('takes no name that is none', () => {
    const client = createClient({ gateway: 'http://localhost:8402' });
    expect(() => addressOf(client, 'nothing')).toThrow(/is not a name/);
  });

  it('at the address of a gateway itself has to be told which name is meant', async () => {
    const { front } = await forum();
    const client = createClient({ gateway: `http://localhost:${front.port}`, fetch: fetchHere });
    await expect(readManifest(client)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await readManifest(client, { name: FORUM })).toMatchObject({ name: FORUM });
  });
});

describe('what a gateway answers', () => {
  it('is the manifest of a name, or none', async () => {
    const { front, client } = await forum();
    expect(await readManifest(client)).toMatchObject({
      name: FORUM,
      title: 'Talk',
      comments: 'anybody',
      royaltyBps: 500,
    });
    await front.publish('plain.web3', { 'index.html': 'plain' });
    expect(await readManifest(clientAt('plain-web3', front.port))).toBeUndefined();
  });

  it('is the posts of a thread', async () => {
    const { town, host, client } = await forum();
    expect(await readPosts(client, TOPIC)).toEqual([]);
    await host.bring(await town.entry({ author: 'alice.sso' }, '<b>words</b> & more'));
    expect(await readPosts(client, TOPIC)).toMatchObject([
      { author: { name: 'alice.sso' }, state: 'shown', text: '<b>words</b> & more', mediaType: 'text/plain' },
    ]);
  });

  it('is what a name says now, or nothing', async () => {
    const { world, host, client } = await ferry();
    expect(await readUpdate(client)).toBeUndefined();
    await bring(host, await world.update(7));
    expect(await readUpdate(client)).toMatchObject({ sequence: 7, text: 'at 7', mediaType: 'text/plain' });
  });

  it('is an error with the code, the sentence and the status of its page', async () => {
    const { front } = await forum();
    const error: unknown = await readPosts(clientAt('nobody-web3', front.port), '/').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RelaymintError);
    expect(error).toMatchObject({ code: 'NAME_UNKNOWN', details: { status: 404 } });
    expect(String(error)).toMatch(/^RelaymintError: There is no such site\. .*nobody\.web3/);
    expect(String(error)).not.toMatch(/[<>]|&\w+;/);
  });

  it('is an error in plain words, with the seconds to wait', async () => {
    const page = '<h1>A &amp; B</h1><p>It&#39;s &quot;busy&quot;</p><p class="code">LIMIT_EXCEEDED</p>';
    const head = { status: 503, headers: { 'retry-after': '5' } };
    const busy = createClient({
      gateway: 'http://demo-web3.localhost',
      fetch: () => Promise.resolve(new Response(page, head)),
    });
    await expect(readManifest(busy)).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: 'A & B. It\'s "busy"',
      remedy: 'It\'s "busy"',
      details: { status: 503, retrySeconds: 5 },
    });
  });

  it('names the thread that is asked for whole', async () => {
    const { town, host, client } = await forum();
    await host.bring(await town.entry({ author: 'alice.sso', topic: '/a&b=c+d' }, 'here'));
    expect(await readPosts(client, '/a&b=c+d')).toHaveLength(1);
    await expect(readPosts(client, 'no path')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('comes from a gateway, not from another server that answers everything with its front page', async () => {
    const { front } = await forum();
    const fetchPage: typeof fetch = (_input, init) => fetchHere(`http://forum-web3.localhost:${front.port}/`, init);
    const client = createClient({ gateway: 'http://localhost:5173', fetch: fetchPage });
    const asking = readPosts(client, '/', { name: FORUM });
    await expect(asking).rejects.toMatchObject({ code: 'PROTOCOL_VIOLATION' });
    await expect(asking).rejects.toThrow(/no answer of a gateway/);
  });

  it('does not come where nobody listens', async () => {
    const closed = await passage(1);
    await cleanup.run();
    const client = clientAt('forum-web3', closed.port);
    await expect(readManifest(client)).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
    });
  });
});

describe('what is watched', () => {
  it('comes as it is said, and says when it counts no more', async () => {
    const { world, host, client } = await ferry();
    const updates = watchUpdates(client);
    expect((await updates.next()).value).toBeUndefined();
    await bring(host, await world.update(7, { life: 1_000 }));
    expect((await updates.next()).value).toMatchObject({ sequence: 7 });
    world.clock.advance(1_000);
    expect(await updates.next()).toEqual({ done: false, value: undefined });
    await updates.return(undefined);
  });

  it('are posts, as they are written and as they change', async () => {
    const { town, host, client } = await forum();
    const events = watchPosts(client, TOPIC);
    expect((await events.next()).value).toEqual({ kind: 'start' });
    const post = await town.entry({ author: 'alice.sso' }, 'first words\n\nand others');
    await host.bring(post);
    expect((await events.next()).value).toMatchObject({ kind: 'post', post: { text: 'first words\n\nand others' } });
    const target = { author: 'alice.sso', sequence: post.entry.sequence };
    await host.bring(await town.entry({ author: 'alice.sso', kind: 'edit', target }, 'changed'));
    expect((await events.next()).value).toMatchObject({
      kind: 'post',
      post: { ...target, author: { name: target.author }, text: 'changed' },
    });
    await events.return(undefined);
  });

  it('is asked for again when the connection is lost, and what was told before is not told twice', async () => {
    const { world, host, front } = await ferry();
    const way = await passage(front.port);
    await bring(host, await world.update(7));
    const updates = watchUpdates(clientAt('ferry-route', way.port));
    expect((await updates.next()).value).toMatchObject({ sequence: 7 });
    const next = updates.next();
    way.cut();
    await way.passed('id: 7');
    await bring(host, await world.update(8));
    expect((await next).value).toMatchObject({ sequence: 8 });
    await updates.return(undefined);
  });

  it('is not asked for again where the gateway refuses', async () => {
    const { front } = await ferry();
    await expect(watchUpdates(clientAt('nobody-web3', front.port)).next()).rejects.toMatchObject({
      code: 'NAME_UNKNOWN',
    });
  });

  it('closes its connection when the loop is left', async () => {
    const { world, host, front } = await ferry();
    await bring(host, await world.update(7));
    const closed = new AbortController();
    const watching: typeof fetch = async (input, init) => {
      const { body, status, headers } = await fetchHere(input, init);
      const reader = body?.getReader();
      const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
        controller.enqueue((await reader?.read())?.value);
      };
      const cancel = async (): Promise<void> => {
        await reader?.cancel();
        closed.abort();
      };
      return new Response(new ReadableStream({ pull, cancel }), { status, headers });
    };
    const client = createClient({ gateway: `http://ferry-route.localhost:${front.port}`, fetch: watching });
    for await (const update of watchUpdates(client)) if (isUpdate(update)) break;
    expect(closed.signal.aborted).toBe(true);
  });
});

describe('a signal', () => {
  it.each([
    ['of the client', 'client'],
    ['of the call', 'call'],
  ] as const)(
    '%s ends what is asked, before and while it is asked',
    async (_whose, whose) => {
      const { front } = await ferry();
      const ending = new AbortController();
      const own = whose === 'client' ? { signal: ending.signal } : {};
      const call = whose === 'call' ? { signal: ending.signal } : {};
      const client = createClient({ gateway: `http://ferry-route.localhost:${front.port}`, fetch: fetchHere, ...own });
      const updates = watchUpdates(client, call);
      await updates.next();
      const next = updates.next();
      ending.abort();
      await expect(next).rejects.toMatchObject({ code: 'ABORTED' });
      await expect(readUpdate(client, call)).rejects.toMatchObject({ code: 'ABORTED' });
      await expect(readManifest(client, call)).rejects.toSatisfy((error) => isRelaymintError(error, 'ABORTED'));
      // At once, and not with the gateway's next sign of life, 15 s later.
    },
    12_000,
  );
});

function isUpdate(update: unknown): boolean {
  return update !== undefined;
}

/** In which order a marketplace is published. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RelaymintError } from '../../core/errors.ts';
import { silentLog, type Log } from '../../core/ports.ts';
import type { Published, Said, Thread } from '../../app/market/events.ts';
import { openLayout } from '../../app/market/layout.ts';
import { publishAll } from '../../app/market/publish-all.ts';
import type { Display, Post, Showing } from '../../app/market/showing.ts';

const showing = (name: string, owner: string): Showing => ({
  name,
  owner,
  directory: '/',
  publishArgs: [],
  embeds: [],
  brings: [],
});
const post = (as: string, answers?: number): Post => ({
  name: 'wall.web3',
  path: '/',
  as,
  owner: as,
  text: as,
  answers,
});
const published = (name: string, record = 'registered'): Published => ({ name, record }) as Published;
const said = (author: string, sequence = 1): Said => ({ author, sequence }) as Said;

const DISPLAY: Display = {
  showings: [showing('wall.web3', 'a'), showing('b.web3', 'b'), showing('b.sso', 'b'), showing('c.web3', 'c')],
  posts: [post('b.sso'), post('c.web3', 0), post('b.sso', 1)],
  live: [],
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-publish-all-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('publishing all', () => {
  it('begins with the front alone, lets no owner do two things at once, and has what is said answer what was said', async () => {
    const busy = new Set<string>();
    const log: string[] = [];
    const answers: (string | undefined)[] = [];
    const done = await publishAll({
      display: DISPLAY,
      layout: await openLayout(folder),
      log: silentLog,
      owners: {
        publish: async ({ name, owner }) => {
          log.push(`${busy.has(owner) ? 'TWICE ' : ''}${name} beside ${[...busy].join(' ')}`);
          busy.add(owner);
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
          busy.delete(owner);
          return published(name);
        },
        thread: () => Promise.reject(new Error('it was not there before')),
        post: ({ as }, answered) => {
          answers.push(answered?.author);
          return Promise.resolve(said(as));
        },
      },
      onBegin: () => undefined,
      onPublished: ({ name }) => void log.push(`${name} is there`),
    });
    expect(log.slice(0, 4)).toEqual(['wall.web3 beside ', 'wall.web3 is there', 'b.web3 beside ', 'c.web3 beside b']);
    expect(log.filter((line) => line.startsWith('TWICE'))).toEqual([]);
    expect(done.sites.map(({ name }) => name)).toEqual(DISPLAY.showings.map(({ name }) => name));
    expect(answers).toEqual([undefined, 'b.sso', 'c.web3']);
  });

  it('says nothing in sites that could not be published', async () => {
    const failing = publishAll({
      display: DISPLAY,
      layout: await openLayout(folder),
      log: silentLog,
      owners: {
        publish: ({ name }) =>
          name === 'c.web3' ? Promise.reject(new Error('full')) : Promise.resolve(published(name)),
        thread: () => Promise.reject(new Error('it was read all the same')),
        post: () => Promise.reject(new Error('it was said all the same')),
      },
      onBegin: () => undefined,
      onPublished: () => undefined,
    });
    await expect(failing).rejects.toThrow('full');
  });

  it('says again nothing that was said in an earlier start, and answers what was', async () => {
    const saying: string[] = [];
    const { said: now } = await publishAll({
      display: DISPLAY,
      layout: await openLayout(folder),
      log: silentLog,
      owners: {
        publish: ({ name }) => Promise.resolve(published(name, 'unchanged')),
        thread: () =>
          Promise.resolve({
            event: 'thread',
            posts: [
              { author: { name: 'b.sso' }, sequence: 7, text: 'b.sso' },
              { author: { name: 'eve.sso' }, sequence: 8, text: 'c.web3' },
            ],
          }),
        post: ({ as }, answered) => {
          saying.push(`${as} to ${answered?.author} ${answered?.sequence}`);
          return Promise.resolve(said(as));
        },
      },
      onBegin: () => undefined,
      onPublished: () => undefined,
    });
    expect(saying).toEqual(['c.web3 to b.sso 7']);
    expect(now.map(({ author }) => author)).toEqual(['c.web3']);
  });

  it('warns of what cannot be said, says no answer to it, and goes on', async () => {
    const { log, warned } = warnings();
    const display = { ...DISPLAY, posts: [post('b.sso'), post('c.web3', 0), { ...post('c.web3'), path: '/other' }] };
    const done = await publishAll({
      display,
      layout: await openLayout(folder),
      log,
      owners: {
        publish: ({ name }) => Promise.resolve(published(name)),
        thread: () => Promise.reject(new Error('it was not there before')),
        post: ({ as }) => (as === 'b.sso' ? Promise.reject(refused()) : Promise.resolve(said(as))),
      },
      onBegin: () => undefined,
      onPublished: () => undefined,
    });
    expect(done.said.map(({ author }) => author)).toEqual(['c.web3']);
    expect(warned).toEqual([
      'b.sso: a post could not be said',
      'c.web3: an answer was not said, because what it answers was not',
    ]);
    // A round is to find out that they are missing.
    expect(done.standing).toEqual(display.posts);
  });

  it('goes on without threads that cannot be read, asks for each once, and says nothing in them twice', async () => {
    const { log, warned } = warnings();
    let asked = 0;
    const done = await publishAll({
      display: DISPLAY,
      layout: await openLayout(folder),
      log,
      owners: {
        publish: ({ name }) => Promise.resolve(published(name, 'unchanged')),
        thread: () => {
          asked += 1;
          return Promise.reject(refused());
        },
        post: ({ as }) => Promise.resolve(said(as)),
      },
      onBegin: () => undefined,
      onPublished: () => undefined,
    });
    expect([done.said, asked, warned.length]).toEqual([[], 1, 3]);
  });

  it('ends when it is told to, and not by a warning', async () => {
    const stopped = publishAll({
      display: DISPLAY,
      layout: await openLayout(folder),
      log: silentLog,
      owners: {
        publish: ({ name }) => Promise.resolve(published(name)),
        thread: () => Promise.reject(new Error('it was not there before')),
        post: () => Promise.reject(new RelaymintError('ABORTED', 'The command ends.')),
      },
      onBegin: () => undefined,
      onPublished: () => undefined,
    });
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('leaves removed and edited what its author removed and edited after an earlier start', async () => {
    const start = async (record: string, posts: Thread['posts']): Promise<string[]> => {
      const saying: string[] = [];
      const { standing } = await publishAll({
        display: DISPLAY,
        layout: await openLayout(folder),
        log: silentLog,
        owners: {
          publish: ({ name }) => Promise.resolve(published(name, record)),
          thread: () => Promise.resolve({ event: 'thread', posts }),
          post: ({ as }, answered) => {
            saying.push(`${as} to ${answered?.sequence}`);
            return Promise.resolve(said(as, 10 + saying.length));
          },
        },
        onBegin: () => undefined,
        onPublished: () => undefined,
      });
      return [...saying, `${standing.length} stand`];
    };
    const all = ['b.sso to undefined', 'c.web3 to 11', 'b.sso to 12', '3 stand'];
    expect(await start('registered', [])).toEqual(all);
    const now = [
      { author: { name: 'b.sso' }, sequence: 11 },
      { author: { name: 'c.web3' }, sequence: 12, text: 'in other words' },
    ];
    expect(await start('unchanged', now)).toEqual(['0 stand']);
    // Of a name that is new nothing was said.
    expect(await start('registered', [])).toEqual(all);
  });
});

function refused(): RelaymintError {
  return new RelaymintError('INTERNAL', 'The host took nothing.');
}

function warnings(): { readonly log: Log; readonly warned: readonly string[] } {
  const warned: string[] = [];
  const warn = (fields: object, message: string): void => {
    warned.push(`${(fields as { author?: string }).author}: ${message}`);
  };
  return { log: { ...silentLog, warn }, warned };
}

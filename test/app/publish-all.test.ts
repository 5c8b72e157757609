/** In which order a marketplace is published. */
import { describe, expect, it } from 'vitest';
import type { Published, Said } from '../../app/market/events.ts';
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
const said = (author: string): Said => ({ author }) as Said;

const DISPLAY: Display = {
  showings: [showing('wall.web3', 'a'), showing('b.web3', 'b'), showing('b.sso', 'b'), showing('c.web3', 'c')],
  posts: [post('b.sso'), post('c.web3', 0), post('b.sso', 1)],
  live: [],
};

describe('publishing all', () => {
  it('begins with the front alone, lets no owner do two things at once, and has what is said answer what was said', async () => {
    const busy = new Set<string>();
    const log: string[] = [];
    const answers: (string | undefined)[] = [];
    const done = await publishAll({
      display: DISPLAY,
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
    const { posts } = await publishAll({
      display: DISPLAY,
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
    expect(posts.map(({ author }) => author)).toEqual(['c.web3']);
  });
});

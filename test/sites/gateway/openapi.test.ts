/** The document of what a gateway is asked: it is one by OpenAPI 3.1, and real answers are as it says. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unixMillis } from '../../../core/units.ts';
import { createNameResolver } from '../../../sites/name/index.ts';
import { PROFILE_PATH, createProfiles, type Profiles } from '../../../sites/profile/index.ts';
import { createContentSource } from '../../../sites/serve/index.ts';
import { FORUM, TOPIC, Town } from '../feed/kit.ts';
import { NAME, NOW, recordOf, signedFor } from '../profile/kit.ts';
import { Cleanup, startHost } from '../kit.ts';
import { declare, startFront, type Answer, type Front } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const AT = '/.relaymint/openapi.json';
const PAGE = 'forum-web3.localhost';
const POSTS = '/.well-known/relaymint/posts';

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { responses: Readonly<Record<string, object>> }>>>>;
}

let front: Front;
let profiles: Profiles;
let document: Document;

beforeEach(async () => {
  const town = new Town(cleanup);
  const keeper = await town.host();
  await keeper.bring(await town.entry({ author: 'alice.sso' }, 'Good morning'));
  const host = await startHost(cleanup);
  front = await startFront(cleanup, {
    host,
    feeds: town.source([keeper]),
    profiles: { of: (...asked) => profiles.of(...asked) },
    records: (name) => front.ledger.name(name),
    issuer: new URL('http://localhost:8404'),
    posts: { take: () => Promise.resolve(2) },
  });
  const source = createContentSource({ route: () => Promise.resolve(host.route) });
  cleanup.add(() => source.close());
  profiles = createProfiles({
    resolver: createNameResolver({ ledger: front.ledger, cacheMillis: 0 }),
    content: source,
    requireShown: () => undefined,
    keeps: () => true,
    clock: { now: () => unixMillis(NOW) },
  });
  const { encoded } = await signedFor(recordOf({ name: NAME }));
  await front.publish(NAME, { 'index.html': NAME, [PROFILE_PATH]: encoded });
  await front.publish(FORUM, { 'index.html': FORUM });
  await declare(front, FORUM, { comments: 'anybody' });
  document = JSON.parse((await front.get(AT, { host: PAGE })).text) as Document;
});

/** What of an answer is not as the document says; undefined: nothing. */
function wrongIn({ status, headers, text }: Answer, place: string, method: string = 'get'): unknown {
  const responses = document.paths[place]?.[method]?.responses ?? {};
  const which = String(status) in responses ? String(status) : 'default';
  const [type = ''] = String(headers['content-type']).split(';');
  const pointer = [place, method, 'responses', which, 'content', type, 'schema'];
  const fragment = pointer
    .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
    .join('/');
  const ajv = new Ajv2020({ strict: false });
  formats.default(ajv);
  ajv.addSchema(document, 'gateway');
  const validate = ajv.getSchema(`gateway#/paths/${fragment}`);
  if (validate === undefined) return `nothing is said of ${which} ${type}`;
  return validate(type === 'application/json' ? JSON.parse(text) : text) === true ? undefined : validate.errors;
}

describe('the OpenAPI document', () => {
  it('is one of OpenAPI 3.1, on every origin, for every page', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone<object>(document) as Record<string, unknown>)).toEqual({
      valid: true,
    });
    expect(validator.version).toBe('3.1');
    const own = await front.get(AT, { host: 'localhost' });
    expect(own.text).toBe(JSON.stringify(document));
    expect(own.headers['access-control-allow-origin']).toBe('*');
  });

  it.each([
    ['a profile', '/.relaymint/profile/{name}', `/.relaymint/profile/${NAME}`, 200],
    ['a profile that is none', '/.relaymint/profile/{name}', `/.relaymint/profile/${FORUM}`, 404],
    ['a name', '/.relaymint/name/{name}', `/.relaymint/name/${FORUM}`, 200],
    ['a name that nobody has', '/.relaymint/name/{name}', '/.relaymint/name/nobody.web3', 404],
    ['the issuer', '/.well-known/relaymint/issuer', '/.well-known/relaymint/issuer', 200],
    ['a thread', POSTS, `${POSTS}?path=${TOPIC}`, 200],
    ['a thread that is not named', POSTS, POSTS, 400],
    ['itself', AT, AT, 200],
  ])('says how %s is answered', async (_what, place, path, status) => {
    const answer = await front.get(path, { host: PAGE });
    expect(answer.status).toBe(status);
    expect(wrongIn(answer, place)).toBeUndefined();
  });

  it('says how a post is taken, and refused', async () => {
    const headers = { 'content-type': 'application/vnd.ipld.dag-cbor' };
    const town = new Town(cleanup);
    const { encoded } = await town.entry({ author: 'alice.sso' }, 'Good evening');
    const post = (body: Uint8Array): Promise<Answer> => front.get(POSTS, { host: PAGE, method: 'POST', headers, body });
    const [taken, refused] = [await post(encoded), await post(encoded.slice(1))];
    expect([taken.status, refused.status]).toEqual([201, 400]);
    expect([wrongIn(taken, POSTS, 'post'), wrongIn(refused, POSTS, 'post')]).toEqual([undefined, undefined]);
  });

  it('is not believed where an answer says more or less', async () => {
    const answer = await front.get(`/.relaymint/name/${FORUM}`, { host: PAGE });
    const said = JSON.parse(answer.text) as object;
    const changed = (change: object): Answer => ({ ...answer, text: JSON.stringify({ ...said, ...change }) });
    const place = '/.relaymint/name/{name}';
    expect(wrongIn(changed({ secret: 1 }), place)).toBeDefined();
    expect(wrongIn(changed({ owner: undefined }), place)).toBeDefined();
  });

  it('says with its answers how much is left', async () => {
    const left = async (): Promise<unknown> => (await front.get(`/.relaymint/name/${FORUM}`, { host: PAGE })).headers;
    expect(await left()).toMatchObject({ 'ratelimit-policy': '"names";q=64;w=32', ratelimit: '"names";r=63;t=0' });
    expect(await left()).toMatchObject({ ratelimit: '"names";r=62;t=0' });
  });
});

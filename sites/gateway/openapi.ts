/** What pages and programs ask a gateway, as an OpenAPI 3.1 document: `/.relaymint/openapi.json`. A test holds real answers against it. */
import type { Response } from 'express';

export const OPENAPI_PATH = '/.relaymint/openapi.json';

type Json = string | number | boolean | readonly Json[] | { readonly [field: string]: Json };
type Schema = { readonly [field: string]: Json };

const text: Schema = { type: 'string' };
const whole: Schema = { type: 'integer', minimum: 0 };
const bps: Schema = { ...whole, maximum: 10_000 };
const wallet: Schema = { ...text, description: 'Address, base58.', pattern: '^[1-9A-HJ-NP-Za-km-z]{32,44}$' };
const units: Schema = { ...text, description: 'Base units of credit, a decimal.', pattern: '^\\d+$' };
const name: Schema = { ...text, description: 'Such as alice.sso.' };
const cid: Schema = { type: ['string', 'null'] };

/** All that is not said to be optional has to be there, and nothing else is. */
function object(fields: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(fields).filter((field) => !optional.includes(field));
  return { type: 'object', properties: fields, required, additionalProperties: false };
}

function list(items: Schema): Schema {
  return { type: 'array', items };
}

function ref(schema: string): Schema {
  return { $ref: `#/components/schemas/${schema}` };
}

function json(schema: Schema): Schema {
  return { 'application/json': { schema } };
}

/** A failure of what tells pages, as a page of its own. */
function failure(description: string): Schema {
  return { description, content: { 'text/html': { schema: text } } };
}

function refusal(description: string): Schema {
  return { description, content: json(ref('Error')) };
}

const inPath = (field: string, description: string): Schema => ({
  name: field,
  in: 'path',
  required: true,
  description,
  schema: text,
});

const limits: Schema = {
  RateLimit: { description: 'What is left to who asks, and in how many seconds there is more.', schema: text },
  'RateLimit-Policy': { description: 'How much there is, and in how many seconds.', schema: text },
};

const OPENAPI: Schema = {
  openapi: '3.1.0',
  info: {
    title: 'Relaymint gateway',
    version: '1',
    summary: 'What pages of names, and programs, ask a gateway.',
    description:
      'Each name has an origin of its own, http://NAME-inlined.localhost:8402 on a visitor’s machine, at which all of this is; /.relaymint/ is also at the gateway’s own origin, for programs. Nothing here is secret. What a page asks is paid out of its site’s budget.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/' }],
  security: [],
  tags: [{ name: 'names' }, { name: 'threads' }],
  paths: {
    '/.relaymint/profile/{name}': {
      get: {
        operationId: 'profile',
        tags: ['names'],
        summary: 'Who somebody is under a .sso name.',
        parameters: [inPath('name', 'A .sso name.')],
        responses: {
          200: { description: 'As its owner signed it.', headers: limits, content: json(ref('Profile')) },
          304: { description: 'As before (If-None-Match).' },
          404: refusal('Nobody has the name, or it has no profile.'),
          429: refusal('The page asks too much: see Retry-After.'),
          default: refusal('It cannot be read now.'),
        },
      },
    },
    '/.relaymint/name/{name}': {
      get: {
        operationId: 'name',
        tags: ['names'],
        summary: 'What the ledger says of a name, and what it earned.',
        parameters: [inPath('name', 'Any name.')],
        responses: {
          200: { description: 'A few seconds fresh.', headers: limits, content: json(ref('Name')) },
          default: failure('Nobody has it, or it cannot be read now.'),
        },
      },
    },
    '/.well-known/relaymint/issuer': {
      get: {
        operationId: 'issuer',
        tags: ['names'],
        summary: 'Where pages of names sign people in.',
        responses: {
          200: { description: 'An OpenID Provider.', content: json(object({ issuer: { ...text, format: 'uri' } })) },
          404: failure('This gateway was told none.'),
        },
      },
    },
    '/.well-known/relaymint/posts': {
      get: {
        operationId: 'readPosts',
        tags: ['threads'],
        summary: 'A thread; as text/event-stream also what comes.',
        parameters: [
          { name: 'path', in: 'query', required: true, description: 'Of the page that it is about.', schema: text },
        ],
        responses: {
          200: {
            description: 'In the order in which they were said.',
            content: { ...json(ref('Thread')), 'text/event-stream': { schema: text } },
          },
          default: failure('It cannot be read now.'),
        },
      },
      post: {
        operationId: 'writePost',
        tags: ['threads'],
        summary: 'A post, edit or removal that the name’s own page signed by a permit, or its author’s wallet.',
        requestBody: {
          required: true,
          content: {
            'application/vnd.ipld.dag-cbor': { schema: { description: 'An entry: docs/wire-format.md.' } },
          },
        },
        responses: {
          201: {
            description: 'So many hosts keep it.',
            headers: limits,
            content: json(object({ author: name, sequence: whole, hosts: { ...whole, minimum: 1 } })),
          },
          400: refusal('It is no entry, or nobody may say it.'),
          403: refusal('Another page sent it, or the name takes none.'),
          409: refusal('Something newer is known.'),
          429: refusal('The page says too much at once.'),
          default: refusal('It cannot be brought now.'),
        },
      },
    },
    [OPENAPI_PATH]: {
      get: {
        operationId: 'openapi',
        summary: 'This document.',
        responses: { 200: { description: 'OpenAPI 3.1.', content: json({ type: 'object' }) } },
      },
    },
  },
  components: {
    schemas: {
      Error: object({ error: object({ code: { ...text, pattern: '^[A-Z_]+$' }, message: text }) }),
      Profile: object(
        {
          name,
          displayName: text,
          about: text,
          avatar: { ...text, description: 'An .image name.' },
          links: list(object({ label: text, to: text })),
          owner: wallet,
          payout: wallet,
          wallets: { ...list(wallet), minItems: 1, description: 'The owner first.' },
          messagingKey: { ...text, description: 'X25519, hex.', pattern: '^[0-9a-f]{64}$' },
          tenure: { ...whole, description: 'When the name was registered, UNIX seconds.' },
          sequence: whole,
        },
        ['about', 'avatar', 'messagingKey'],
      ),
      Name: object({
        name,
        status: { enum: ['held', 'grace', 'expired'] },
        owner: wallet,
        manager: wallet,
        registered: { ...whole, description: 'UNIX seconds.' },
        expires: { type: ['integer', 'null'], description: 'UNIX seconds; null: never.' },
        sequence: units,
        root: cid,
        manifest: cid,
        royaltyBps: bps,
        referrerBps: bps,
        earned: units,
        undivided: units,
        splits: list(object({ account: wallet, bps, owed: units })),
      }),
      PostId: object({ author: name, sequence: whole }),
      Post: object(
        {
          author: object({ name, owner: wallet, splits: list(object({ account: wallet, bps })), royaltyBps: bps }, [
            'owner',
            'splits',
            'royaltyBps',
          ]),
          sequence: whole,
          created: { ...whole, description: 'Milliseconds, by the author’s clock.' },
          edited: whole,
          revision: whole,
          answers: ref('PostId'),
          state: { enum: ['shown', 'hidden', 'removed'] },
          mediaType: text,
          text: { ...text, description: 'What strangers wrote: draw it as text.' },
        },
        ['edited', 'answers', 'mediaType', 'text'],
      ),
      Thread: object({ name, path: text, posts: list(ref('Post')) }),
    },
  },
};

export function sendOpenApi(response: Response): void {
  response
    .set({
      'Access-Control-Allow-Origin': '*',
      'Cross-Origin-Resource-Policy': 'cross-origin',
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'public, max-age=3600',
    })
    .json(OPENAPI);
}

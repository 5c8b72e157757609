import { expect, it } from 'vitest';
import { createMemoryNetwork, createMemoryTransport } from '../../../node/transport/index.ts';
import { transportCompliance } from '../../compliance/transport.ts';

let names = 0;

transportCompliance('memory', {
  setup: async () => ({
    transport: createMemoryTransport(createMemoryNetwork()),
    freshAddress: () => `/memory/node-${(names += 1)}`,
    deadAddress: '/memory/nobody',
    foreignAddresses: ['/ip4/127.0.0.1/tcp/1', '/memory', '/memory/a/tcp/1'],
  }),
  teardown: async () => {},
});

it('keeps two networks apart', async () => {
  const listener = await createMemoryTransport(createMemoryNetwork()).listen('/memory/a', () => {});
  const other = createMemoryTransport(createMemoryNetwork());
  await expect(other.dial('/memory/a', { signal: new AbortController().signal })).rejects.toMatchObject({
    code: 'CONNECTION_REFUSED',
  });
  await listener.close();
});

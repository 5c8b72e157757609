import { once } from 'node:events';
import { expect, it } from 'vitest';
import { createTcpTransport } from '../../../node/transport/index.ts';
import { transportCompliance } from '../../compliance/transport.ts';
import { freePort } from '../../port.ts';

transportCompliance('tcp', {
  setup: async () => ({
    transport: createTcpTransport(),
    freshAddress: () => '/ip4/127.0.0.1/tcp/0',
    deadAddress: `/ip4/127.0.0.1/tcp/${await freePort()}`,
    foreignAddresses: ['/memory/x', '/ip4/127.0.0.1/udp/1', '/ip4/127.0.0.1/tcp/1/ws', '/ip4/999.0.0.1/tcp/1'],
  }),
  teardown: async () => {},
});

it('reports every address of this machine when it listens on all of them', async () => {
  const transport = createTcpTransport();
  const listener = await transport.listen('/ip4/0.0.0.0/tcp/0', (connection) => connection.end('x'));
  expect(listener.addresses.some((address) => address.startsWith('/ip4/127.0.0.1/tcp/'))).toBe(true);
  expect(listener.addresses.join()).not.toContain('0.0.0.0');
  await listener.close();
});

it('reaches a name as well as a number', async () => {
  const transport = createTcpTransport();
  const listener = await transport.listen('/ip4/127.0.0.1/tcp/0', (connection) => connection.end('x'));
  const port = listener.addresses[0]?.split('/').at(-1);
  const connection = await transport.dial(`/dns4/localhost/tcp/${port}`, { signal: new AbortController().signal });
  expect(String(await once(connection, 'data'))).toBe('x');
  connection.destroy();
  await listener.close();
});

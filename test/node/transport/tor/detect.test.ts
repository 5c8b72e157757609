/** What is taken for tor where nobody named it, and what is not. */
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../../core/ports.ts';
import { onionMultiaddr } from '../../../../node/transport/address.ts';
import type { Endpoint } from '../../../../node/transport/endpoint.ts';
import { connectControl } from '../../../../node/transport/tor/control.ts';
import { createDetectedTor, findTor, type FoundTor } from '../../../../node/transport/tor/detect.ts';
import { ephemeralOnionKey } from '../../../../node/transport/tor/key.ts';
import { mayBeTor } from '../../../../node/transport/tor/owner.ts';
import { createTorTransport } from '../../../../node/transport/tor/transport.ts';

const signal = new AbortController().signal;
const isRoot = process.getuid?.() === 0;

describe('a tor that nobody named', () => {
  let directory: string;
  let servers: Server[];
  /** What false ports were told. */
  let told: string[];
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-detect-'));
    servers = [];
    told = [];
  });
  afterEach(async () => {
    for (const server of servers) server.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** Answers each chunk that comes; on a TCP port, or on a unix socket of that name. */
  const serve = async (answer: (chunk: Buffer) => string | Buffer, name?: string): Promise<Endpoint> => {
    const server = createServer((socket) => {
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          told.push(chunk.toString('latin1'));
          socket.write(answer(chunk));
        });
    });
    servers.push(server);
    if (name === undefined) server.listen(0, '127.0.0.1');
    else server.listen(path.join(directory, name));
    await once(server, 'listening');
    if (name !== undefined) return { kind: 'unix', path: path.join(directory, name) };
    return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  };
  const socks = (name?: string): Promise<Endpoint> =>
    serve((chunk) => Buffer.from(chunk[0] === 5 ? [5, 2] : [1, 0]), name);
  const control = (name?: string): Promise<Endpoint> =>
    serve((chunk) => {
      const asked = chunk.toString().startsWith('PROTOCOLINFO');
      return asked ? '250-AUTH METHODS=NULL,HASHEDPASSWORD\r\n250 OK\r\n' : '250 OK\r\n';
    }, name);
  const portOf = (endpoint: Endpoint): string => (endpoint.kind === 'tcp' ? String(endpoint.port) : endpoint.path);

  it('at a TCP port is not used by an anonymous node, which is told how to name it', async () => {
    const place = { socks: await socks(), control: await control() };
    const error = await findTor([place], signal, { anonymous: true }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      code: 'TOR_NOT_TRUSTED',
      message: expect.stringContaining(`no setting names them: 127.0.0.1:${portOf(place.socks)}.`) as string,
      remedy: expect.stringContaining(
        `--tor-socks 127.0.0.1:${portOf(place.socks)}, and --tor-control 127.0.0.1:${portOf(place.control)}`,
      ) as string,
    });
    // A greeting, and no place to go.
    expect(told).toEqual(['\u0005\u0001\u0002']);
    expect(await findTor([place], signal)).toEqual(place);
  });

  it('at our own unix sockets is used, before and after TCP ports', async () => {
    const tcp = { socks: await socks(), control: await control() };
    const unix = { socks: await socks('socks'), control: await control('control') };
    expect(await findTor([tcp, unix], signal, { anonymous: true })).toEqual(unix);
    expect(await findTor([unix, tcp], signal)).toEqual(unix);
  });

  it.skipIf(!isRoot).each(['socks', 'control'] as const)(
    'whose %s belongs to another user is not used',
    async (which) => {
      const place = { socks: await socks('socks'), control: await control('control') };
      await chown(path.join(directory, which), 65_534, 65_534);
      for (const anonymous of [false, true]) {
        await expect(findTor([place], signal, { anonymous })).rejects.toMatchObject({
          code: 'TOR_NOT_TRUSTED',
          message: expect.stringContaining('of user 65534') as string,
        });
      }
      expect(told).toEqual([]);
    },
  );

  it('is given no key and no password at a TCP port', async () => {
    const place = { socks: await socks(), control: await control() };
    using key = ephemeralOnionKey();
    const found: FoundTor[] = [];
    await using tor = createDetectedTor({
      places: [place],
      create: (one) => {
        found.push(one);
        return createTorTransport({
          socks: one.socks,
          ...(one.control === undefined ? {} : { control: one.control }),
          auth: { kind: 'password', password: 'secret' },
          keys: [key],
          log: silentLog,
        });
      },
    });
    await expect(tor.listen(onionMultiaddr(key.onion, 80), () => {})).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      remedy: expect.stringContaining('--tor-control 9051') as string,
    });
    expect(found.at(-1)).toEqual({ socks: place.socks, control: undefined });
    expect(told.join('')).not.toMatch(/ADD_ONION|AUTHENTICATE|secret/);
  });

  it('is not trusted without proof, and not shown a password', async () => {
    const endpoint = await control();
    for (const auth of [undefined, { kind: 'password', password: 'secret' } as const]) {
      await expect(
        connectControl({ endpoint, found: true, signal, ...(auth === undefined ? {} : { auth }) }),
      ).rejects.toMatchObject({ code: 'TOR_NOT_TRUSTED', remedy: expect.stringContaining('--tor-control') as string });
    }
    expect(told).toEqual(['PROTOCOLINFO 1\r\n', 'PROTOCOLINFO 1\r\n']);
    const named = await connectControl({ endpoint, signal });
    await named.close();
  });
});

describe('the user of tor', () => {
  const passwd =
    'root:x:0:0::/:\ndebian-tor:x:103:106::/var/lib/tor:/bin/false\ntor:x:1000:1000:Tor Larsen:/home/tor:/bin/sh\n';

  it.each([
    ['root', 0, true],
    ['us', 1234, true],
    ['what the package made', 103, true],
    ['a person of that name', 1000, false],
    ['another one', 65_534, false],
    ['a number that only begins so', 10, false],
  ])('is %s: %i, %s', (_who, uid, is) => {
    expect(mayBeTor(uid, 1234, passwd)).toBe(is);
  });
});

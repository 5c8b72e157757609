/** Onion services and failures over a real Tor network: what users meet. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../../core/ports.ts';
import type { PrivateTorNetwork } from '../../../../testbed/tor.ts';
import { onionMultiaddr } from '../../../../node/transport/address.ts';
import type { Endpoint } from '../../../../node/transport/endpoint.ts';
import { connectControl } from '../../../../node/transport/tor/control.ts';
import { parseBridges } from '../../../../node/transport/tor/bridges.ts';
import { startTorDaemon } from '../../../../node/transport/tor/daemon.ts';
import { findTor } from '../../../../node/transport/tor/detect.ts';
import { createClientKey, ephemeralOnionKey, onionKeyFromSeed } from '../../../../node/transport/tor/key.ts';
import { onionOfTorrcService } from '../../../../node/transport/tor/torrc-service.ts';
import { createTorTransport, type TorTransportOptions } from '../../../../node/transport/tor/transport.ts';
import { joinSharedTor, requirePrograms } from '../../../network.ts';

const signal = new AbortController().signal;
const PORT = 80;

requirePrograms('tor')('over a real Tor network', () => {
  let directory: string;
  let network: PrivateTorNetwork;
  const opened: AsyncDisposable[] = [];
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-services-'));
    network = await joinSharedTor(path.join(directory, 'net'));
  }, 120_000);
  afterEach(async () => {
    for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
  });
  afterAll(async () => {
    await network[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const open = (more: Partial<TorTransportOptions> = {}): ReturnType<typeof createTorTransport> => {
    const transport = createTorTransport({
      ...network,
      targetDir: path.join(directory, 'in'),
      log: silentLog,
      ...more,
    });
    opened.push(transport);
    return transport;
  };
  const served = (text: string) => (connection: { end(text: string): unknown }) => void connection.end(text);
  const fetched = async (transport: ReturnType<typeof open>, address: string): Promise<string> => {
    const connection = await transport.dial(address, { signal });
    const chunks: Buffer[] = [];
    for await (const chunk of connection) chunks.push(chunk as Buffer);
    connection.destroy();
    return Buffer.concat(chunks).toString();
  };

  describe('an onion service', () => {
    it('has the address of its key, the same after a restart; an ephemeral one has another each time', async () => {
      using key = onionKeyFromSeed(Buffer.alloc(32, 7));
      const address = onionMultiaddr(key.onion, PORT);
      for (const text of ['first', 'second']) {
        const transport = open({ keys: [key] });
        expect((await transport.listen(address, served(text))).addresses).toEqual([address]);
        expect(await fetched(transport, address)).toBe(text);
        await transport[Symbol.asyncDispose]();
      }
      using one = ephemeralOnionKey();
      using other = ephemeralOnionKey();
      expect(one.onion).not.toBe(other.onion);
    });

    it('is removed on stop: tor forgets it, and nobody reaches it', async () => {
      using key = ephemeralOnionKey();
      const address = onionMultiaddr(key.onion, PORT);
      const transport = open({ keys: [key] });
      await transport.listen(address, served('here'));
      await transport[Symbol.asyncDispose]();
      await using control = await connectControl({ endpoint: network.control, signal });
      expect(await control.getInfo('onions/detached')).not.toContain(key.onion);
      // Where a directory still has its descriptor, tor tries its introduction points for two minutes.
      const code: unknown = expect.stringMatching(/^(?:ONION_UNREACHABLE|TOR_CIRCUIT_FAILED)$/);
      await expect(open().dial(address, { signal })).rejects.toMatchObject({ code });
    });

    it('comes back when tor was away', async () => {
      using key = ephemeralOnionKey();
      const address = onionMultiaddr(key.onion, PORT);
      // A dial that falls into the restart may hang: the next one begins sooner than usual.
      const transport = open({ keys: [key], dialMillis: 10_000 });
      await transport.listen(address, served('back'));
      await network.restartClient();
      await expect
        .poll(() => fetched(transport, address).catch(String), { timeout: 60_000, interval: 200 })
        .toBe('back');
    });

    it('that is private lets only its clients in', async () => {
      using key = ephemeralOnionKey();
      using second = ephemeralOnionKey();
      const [friend, stranger] = [createClientKey(), createClientKey()];
      const transport = open({ keys: [key, second], service: { clients: [friend.publicKey] } });
      const addresses = [key, second].map(({ onion }) => onionMultiaddr(onion, PORT));
      const [address = '', other = ''] = addresses;
      for (const one of addresses) await transport.listen(one, served('for friends'));
      const refused = { code: 'ONION_UNREACHABLE', message: expect.stringContaining('private') as string };
      await expect(open().dial(address, { signal })).rejects.toMatchObject({ ...refused, details: { reply: 'F4' } });
      // Another service: tor remembers what it could not read of the first.
      const wrong = open({ clientAuth: [{ onion: second.onion, privateKey: stranger.privateKey }] });
      await expect(wrong.dial(other, { signal })).rejects.toMatchObject({ ...refused, details: { reply: 'F5' } });
      const right = open({ clientAuth: [{ onion: key.onion, privateKey: friend.privateKey }] });
      expect(await fetched(right, address)).toBe('for friends');
    });

    it('that is flooded with silent streams ends their circuit, and lets others in', async () => {
      using key = ephemeralOnionKey();
      const address = onionMultiaddr(key.onion, PORT);
      const most = 8;
      const transport = open({ keys: [key], service: { maxStreams: most, proofOfWork: true } });
      const inside = new Set<Duplex>();
      let flooding = true;
      let arrived = 0;
      await transport.listen(address, (connection) => {
        if (!flooding) {
          connection.end('let in');
          return;
        }
        arrived += 1;
        inside.add(connection.on('error', () => {}).on('close', () => inside.delete(connection)));
        connection.resume();
      });
      const flooder = open();
      for (let stream = 0; stream < most; stream += 1) {
        (await flooder.dial(address, { signal })).on('error', () => {}).resume();
      }
      await expect.poll(() => arrived).toBe(most);
      expect(inside.size).toBe(most);
      const first = Array.from(inside);
      const stop = new AbortController();
      const oneMore = flooder.dial(address, { signal: stop.signal }).catch(() => undefined);
      await expect.poll(() => first.filter((connection) => inside.has(connection)), { timeout: 30_000 }).toEqual([]);
      flooding = false;
      expect(await fetched(open(), address)).toBe('let in');
      stop.abort();
      (await oneMore)?.destroy();
    });

    it('that the torrc defines is read from its folder, and not ready before tor has made it', async () => {
      const hiddenServiceDir = path.join(directory, 'made');
      const local: Endpoint = { kind: 'unix', path: path.join(directory, 'made.sock') };
      const services = [{ port: PORT, hiddenServiceDir, local }];
      using unmade = ephemeralOnionKey();
      const transport = open({ services });
      await expect(transport.listen(onionMultiaddr(unmade.onion, PORT), () => {})).rejects.toMatchObject({
        code: 'FILE_NOT_FOUND',
        message: expect.stringContaining('not yet ready') as string,
      });
      await mkdir(hiddenServiceDir, { mode: 0o700 });
      await using control = await connectControl({ endpoint: network.control, signal });
      await control.command(
        `SETCONF HiddenServiceDir="${hiddenServiceDir}" HiddenServicePort="${PORT} unix:${local.path}"`,
      );
      const service = services[0] as (typeof services)[number];
      await expect.poll(() => onionOfTorrcService(service).catch(String)).toMatch(/^[a-z2-7]{56}$/);
      const address = onionMultiaddr(await onionOfTorrcService(service), PORT);
      await transport.listen(address, served('by torrc'));
      await expect
        .poll(() => fetched(transport, address).catch(String), { timeout: 60_000, interval: 200 })
        .toBe('by torrc');
      await control.command('RESETCONF HiddenServiceDir');
      await writeFile(path.join(hiddenServiceDir, 'hostname'), 'nonsense');
      await expect(onionOfTorrcService(service)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    });
  });

  it('keeps peers apart, and shows nothing about them in its circuits', async () => {
    using one = ephemeralOnionKey();
    using other = ephemeralOnionKey();
    const transport = open({ keys: [one, other] });
    for (const { onion } of [one, other]) {
      await transport.listen(onionMultiaddr(onion, PORT), served('x'));
      await fetched(transport, onionMultiaddr(onion, PORT));
    }
    await using control = await connectControl({ endpoint: network.control, signal });
    const users = (await control.getInfo('circuit-status')).match(/SOCKS_USERNAME="[^"]*"/g) ?? [];
    expect(new Set(users).size).toBeGreaterThanOrEqual(2);
    for (const user of users) {
      expect(user).toMatch(/^SOCKS_USERNAME="[0-9a-f]{32}"$/);
    }
  });

  describe('finding tor', () => {
    const unix = (name: string): Endpoint => ({ kind: 'unix', path: path.join(directory, name) });

    it('tries the next place when the first is refused, or answers without being tor', async () => {
      const mute = createServer((socket) => socket.end('220 mail.example\r\n')).listen(path.join(directory, 'mute'));
      const places = ['nobody', 'mute'].map((name) => ({ socks: unix(name), control: unix(name) }));
      const found = await findTor([...places, { socks: network.socks, control: network.control }], signal);
      expect(found.socks).toEqual(network.socks);
      mute.close();
      await expect(findTor(places, signal)).rejects.toMatchObject({
        code: 'TOR_NOT_RUNNING',
        message: expect.stringContaining('apt-get install tor') as string,
      });
    });
  });

  describe('a failure says what is wrong and what to do', () => {
    it('tor is not running', async () => {
      const socks: Endpoint = { kind: 'unix', path: path.join(directory, 'nowhere') };
      using key = ephemeralOnionKey();
      const transport = open({ socks, control: socks, keys: [key] });
      const expected = { code: 'TOR_NOT_RUNNING', remedy: expect.stringContaining('relaymint tor start') as string };
      await expect(transport.dial(onionMultiaddr(key.onion, PORT), { signal })).rejects.toMatchObject(expected);
      await expect(transport.listen(onionMultiaddr(key.onion, PORT), () => {})).rejects.toMatchObject(expected);
    });

    it('the onion service is not reached', async () => {
      using key = ephemeralOnionKey();
      await expect(open().dial(onionMultiaddr(key.onion, PORT), { signal })).rejects.toMatchObject({
        code: 'ONION_UNREACHABLE',
        details: { reply: 'F0' },
      });
    });

    it('the SOCKS port belongs to something else', async () => {
      const mute = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      const socks: Endpoint = { kind: 'unix', path: path.join(directory, 'http') };
      mute.listen(socks.path);
      using key = ephemeralOnionKey();
      await expect(open({ socks }).dial(onionMultiaddr(key.onion, PORT), { signal })).rejects.toMatchObject({
        code: 'SOCKS_FAILED',
      });
      mute.close();
    });

    it('no circuit is built', async () => {
      // A tor that gets in by one bridge alone, and then not even by that.
      const bridges = parseBridges(await network.startBridge('plain'));
      const [extraTorrc, wrap] = [network.clientTorrc, network.namespace.inside([])];
      const place = path.join(directory, 'cut-off');
      await using tor = await startTorDaemon({ directory: place, bridges, extraTorrc, wrap, log: silentLog, signal });
      await network.stopBridges();
      using key = ephemeralOnionKey();
      const transport = open({ socks: tor.socks, control: tor.control, dialMillis: 3000 });
      await expect(transport.dial(onionMultiaddr(key.onion, PORT), { signal })).rejects.toMatchObject({
        code: 'TOR_CIRCUIT_FAILED',
        remedy: expect.stringContaining('relaymint tor status') as string,
      });
    });
  });
});

/** What every way to a host by its name must do. Run it against each one: `hostDialerCompliance('tor', { setup, teardown })`. */
import dns from 'node:dns';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ErrorCode } from '../../core/errors.ts';
import type { HostDialer } from '../../node/transport/index.ts';
import { abortedBefore, abortedInside, limits } from './traits.ts';

/** What the network's program was asked for. */
export interface AskedFor {
  readonly host: string;
  /** By what the network keeps paths apart: equal for two connections that may share one. */
  readonly path: string;
}

export interface HostDialerUnderTest {
  readonly dialer: HostDialer;
  /** A host that says GREETING in the same packet as the network's answer, and then echoes. */
  readonly host: string;
  /** Nobody is there. */
  readonly deadHost: string;
  readonly deadCode: ErrorCode;
  /** Asked for it, the network says nothing. */
  readonly silentHost: string;
  /** Hosts of other networks, or of none. */
  readonly foreignHosts: readonly (readonly [host: string, code: ErrorCode])[];
  /** What a dial says while the network's program does not run. */
  readonly awayCode: ErrorCode;
  readonly asked: () => readonly AskedFor[];
  /** Sockets that the network's program was ever given, and how many of them are open. */
  readonly sockets: () => { readonly taken: number; readonly open: number };
  /** Ends the network's program, and starts it again where it was. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
}

export interface HostDialerSetup {
  readonly setup: () => Promise<HostDialerUnderTest>;
  readonly teardown: () => Promise<void>;
  /** How many isolation texts there may be. Default: any number. */
  readonly maxPaths?: number;
}

export const GREETING = 'who comes there?';
const PORT = 80;

export function hostDialerCompliance(name: string, { setup, teardown, maxPaths }: HostDialerSetup): void {
  describe(`hosts by name over ${name}`, () => {
    let tested: HostDialerUnderTest;
    let connections: Duplex[];
    beforeEach(async () => {
      connections = [];
      tested = await setup();
    });
    afterEach(async () => {
      vi.restoreAllMocks();
      for (const connection of connections) connection.destroy();
      await teardown();
    });

    const dial = async (host: string, isolation = 'one purpose'): Promise<Duplex> => {
      const { signal } = new AbortController();
      const connection = await tested.dialer.dialHost(host, PORT, { isolation, signal });
      connections.push(connection);
      return connection;
    };
    const talk = async (connection: Duplex, words: string): Promise<string> => {
      connection.write(words);
      let heard = '';
      while (heard.length < GREETING.length + words.length) heard += String((await once(connection, 'data'))[0]);
      return heard;
    };
    const pathsTo = (host: string): string[] =>
      tested
        .asked()
        .filter((one) => one.host === host)
        .map(({ path }) => path);

    it('gives the name to the network and looks nothing up here', async () => {
      const lookups = [vi.spyOn(dns, 'lookup'), vi.spyOn(dns.promises, 'lookup')];
      expect(tested.dialer.reachesHost(tested.host)).toBe(true);
      await dial(tested.host);
      expect(pathsTo(tested.host)).toHaveLength(1);
      for (const lookup of lookups) expect(lookup).not.toHaveBeenCalled();
    });

    it('loses no byte that comes with the answer of the network, before or after somebody listens', async () => {
      const connection = await dial(tested.host);
      // The reader comes late, as one does that first sets something up.
      await new Promise(setImmediate);
      expect(await talk(connection, 'a friend')).toBe(`${GREETING}a friend`);
    });

    it('keeps connections apart that are made at the same time', async () => {
      const all = await Promise.all(Array.from({ length: 20 }, (_none, index) => dial(tested.host, `${index % 2}`)));
      const heard = await Promise.all(all.map((connection, index) => talk(connection, `this is ${index}`)));
      expect(heard).toEqual(all.map((_connection, index) => `${GREETING}this is ${index}`));
    });

    it('takes one path for one isolation text, and another for each other', async () => {
      const texts = ['a', 'b', 'a', 'a ', 'A', '', 'b', 'peers', 'host a', 'a\nb'];
      for (const text of texts) await dial(tested.host, text);
      const paths = pathsTo(tested.host);
      expect(paths).toHaveLength(texts.length);
      expect(paths[2]).toBe(paths[0]);
      expect(paths[6]).toBe(paths[1]);
      expect(new Set(paths).size).toBe(new Set(texts).size);
      // Whoever runs the network's program learns no purpose by its name.
      for (const path of paths) expect(path).not.toMatch(/peers|host/);
    });

    it('opens nothing for a host of another network, or of none', async () => {
      for (const [host, code] of tested.foreignHosts) {
        expect([host, tested.dialer.reachesHost(host)]).toEqual([host, false]);
        await expect(dial(host)).rejects.toMatchObject({ name: 'RelaymintError', code });
      }
      for (const host of [
        'x'.repeat(10_000),
        `${'x'.repeat(10_000)}.i2p`,
        'a b',
        'a\0b',
        'a\nSTREAM.i2p',
        'münchen.example',
      ]) {
        expect(tested.dialer.reachesHost(host)).toBe(false);
        await expect(dial(host)).rejects.toMatchObject({ name: 'RelaymintError', code: 'ADDRESS_UNSUPPORTED' });
      }
      expect(tested.sockets().taken).toBe(0);
    });

    it('says that nobody is there, and reaches others then', async () => {
      await expect(dial(tested.deadHost)).rejects.toMatchObject({ code: tested.deadCode });
      expect(await talk(await dial(tested.host), 'still here')).toBe(`${GREETING}still here`);
    });

    it('says that its network is away, and reaches hosts again once it is back', async () => {
      await tested.stop();
      await expect(dial(tested.host)).rejects.toMatchObject({ code: tested.awayCode });
      await tested.start();
      expect(await talk(await dial(tested.host), 'back')).toBe(`${GREETING}back`);
      await tested.stop();
      await expect(dial(tested.host)).rejects.toMatchObject({ code: tested.awayCode });
      await tested.start();
      expect(await talk(await dial(tested.host), 'back again')).toBe(`${GREETING}back again`);
    });

    it('hangs up when it is aborted, and keeps what it has for others', async () => {
      await dial(tested.host);
      const { open } = tested.sockets();
      const giving = new AbortController();
      const dialing = tested.dialer.dialHost(tested.silentHost, PORT, {
        isolation: 'one purpose',
        signal: giving.signal,
      });
      await eventually(() => pathsTo(tested.silentHost).length).toBe(1);
      expect(tested.sockets().open).toBe(open + 1);
      giving.abort();
      await expect(dialing).rejects.toMatchObject({ code: 'ABORTED' });
      await eventually(() => tested.sockets().open).toBe(open);
      expect(await talk(await dial(tested.host), 'a friend')).toBe(`${GREETING}a friend`);
    });

    const dialHost = ({ dialer, silentHost }: HostDialerUnderTest, ending: AbortSignal): Promise<Duplex> =>
      dialer.dialHost(silentHost, PORT, { isolation: 'one purpose', signal: ending });
    abortedBefore(() => tested, { dialHost });
    abortedInside(() => tested, { dialHost: (it, ending) => ({ work: dialHost(it, ending) }) });
    if (maxPaths !== undefined) {
      limits(
        () => tested,
        [
          [
            'one isolation text more than there are paths',
            'LIMIT_EXCEEDED',
            async () => {
              for (let path = 0; path < maxPaths; path += 1) await dial(tested.host, `${path}`);
              await dial(tested.host, '0');
              return dial(tested.host, 'one more');
            },
          ],
        ],
      );
    }
    it('has opened nothing for a caller whose signal ended before', async () => {
      await expect(dialHost(tested, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
      expect(tested.asked()).toEqual([]);
    });
  });
}

/** Patient, for a loaded machine. */
function eventually<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 30_000, interval: 10 });
}

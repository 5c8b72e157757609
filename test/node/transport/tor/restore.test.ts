/** Onion services when tor goes away, is slow, or does not answer: against a scripted tor. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../../core/ports.ts';
import type { Endpoint } from '../../../../node/transport/endpoint.ts';
import { ephemeralOnionKey } from '../../../../node/transport/tor/key.ts';
import { createOnionServices, type OnionServices } from '../../../../node/transport/tor/service.ts';
import { startFakeTor, type FakeTor } from './fake-tor.ts';

const signal = new AbortController().signal;
const PORT = 80;
const target: Endpoint = { kind: 'tcp', host: '127.0.0.1', port: 1 };

describe('onion services of a tor', () => {
  const one = ephemeralOnionKey();
  const other = ephemeralOnionKey();
  let tor: FakeTor;
  let services: OnionServices;
  beforeEach(async () => {
    tor = await startFakeTor([one, other]);
    services = createOnionServices({ control: tor.control, log: silentLog });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await services[Symbol.asyncDispose]();
    await tor[Symbol.asyncDispose]();
  });
  const publish = (key = one, port = PORT, end = signal): Promise<void> => services.publish(key, port, target, {}, end);
  const asked = (command: string, times = 1): Promise<void> =>
    expect.poll(() => tor.count(command), { timeout: 20_000 }).toBe(times);

  it('that dies again and again while they come back are put up once on the connection that stays', async () => {
    await publish();
    let deaths = 3;
    tor.answer = (command, socket) => {
      if (!command.startsWith('ADD_ONION') || deaths === 0) return undefined;
      deaths -= 1;
      socket.destroy();
      return null;
    };
    tor.drop();
    await asked('ADD_ONION', 1 + 3 + 1);
    // By a second loop it would be taken down and put up once more.
    await publish(other);
    expect(tor.count('SETEVENTS')).toBe(1 + 3 + 1);
    expect(tor.count('DEL_ONION')).toBe(0);
  });

  it('all come back, also while no directory takes the first of them', async () => {
    await publish(one);
    await publish(other);
    tor.unpublished.add(one.onion).add(other.onion);
    tor.drop();
    await asked('ADD_ONION', 4);
    expect(tor.count('SETEVENTS')).toBe(2);
  });

  it('come back although tor refuses one of them, on the same connection', async () => {
    await publish(one);
    await publish(other);
    let refusals = 2;
    tor.answer = (command) => {
      if (!command.startsWith('ADD_ONION') || refusals === 0) return undefined;
      refusals -= 1;
      return '551 Failed to add Onion Service\r\n';
    };
    tor.drop();
    await asked('ADD_ONION', 2 + 2 + 2);
    expect(tor.count('SETEVENTS')).toBe(2);
  });

  describe('ask that a flood of visitors is kept out', () => {
    const options = { maxStreams: 8, proofOfWork: true };
    const [limits, work] = ['Flags=DiscardPK,MaxStreamsCloseCircuit MaxStreams=8', 'PoWDefensesEnabled=1'];

    it('with a limit of streams and with proof of work', async () => {
      await services.publish(one, PORT, target, options, signal);
      const [added, ...more] = tor.asked.filter((line) => line.startsWith('ADD_ONION'));
      expect(added).toContain(`${limits} ${work} Port=`);
      expect(more).toEqual([]);
    });

    it('without proof of work if this tor does not know it', async () => {
      tor.answer = (command) =>
        command.includes('PoW') ? '512 Unrecognized keyword argument "PoWDefensesEnabled"\r\n' : undefined;
      await services.publish(one, PORT, target, options, signal);
      const added = tor.asked.filter((line) => line.startsWith('ADD_ONION'));
      expect(added.map((line) => line.includes(work))).toEqual([true, false]);
      expect(added[1]).toContain(`${limits} Port=`);
    });

    it('and do not ask again after another refusal', async () => {
      tor.answer = (command) => (command.startsWith('ADD_ONION') ? '551 Failed to add Onion Service\r\n' : undefined);
      await expect(services.publish(one, PORT, target, options, signal)).rejects.toMatchObject({
        code: 'TOR_CONTROL_FAILED',
      });
      expect(tor.count('ADD_ONION')).toBe(1);
    });
  });

  it('do not wait for one another to be found', async () => {
    tor.unpublished.add(one.onion);
    const stop = new AbortController();
    const slow = publish(one, PORT, stop.signal).catch((error: unknown) => error);
    await asked('ADD_ONION');
    await publish(other);
    await services.withdraw(other.onion, PORT);
    expect(tor.count('DEL_ONION')).toBe(1);
    stop.abort();
    expect(await slow).toMatchObject({ code: 'ABORTED' });
    await asked(`DEL_ONION ${one.onion}`);
  });

  it('get another port although tor has just lost them', async () => {
    await publish(one);
    tor.answer = (command) => (command.startsWith('DEL_ONION') ? '552 Unknown Onion Service id\r\n' : undefined);
    await publish(one, PORT + 1);
    expect(tor.asked.at(-1)).toContain(`Port=${PORT},127.0.0.1:1 Port=${PORT + 1},127.0.0.1:1`);
  });

  it('that does not answer: callers that wait behind a command can give up', async () => {
    tor.answer = (command) => (command.startsWith('ADD_ONION') ? null : undefined);
    const stuck = publish(one).catch((error: unknown) => error);
    await asked('ADD_ONION');
    const stop = new AbortController();
    const queued = publish(other, PORT, stop.signal).catch((error: unknown) => error);
    stop.abort();
    expect(await queued).toMatchObject({ code: 'ABORTED' });
    await services[Symbol.asyncDispose]();
    expect(await stuck).toMatchObject({ code: 'CLOSED' });
  });

  it('are withdrawn and closed at once while one is not found yet', async () => {
    tor.unpublished.add(one.onion);
    const slow = publish(one).catch((error: unknown) => error);
    await asked('ADD_ONION');
    await Promise.all([services[Symbol.asyncDispose](), services.withdraw(one.onion, PORT)]);
    expect(await slow).toMatchObject({ code: 'CLOSED' });
  });

  it('that has fallen silent is not asked for ever why nobody finds a service', async () => {
    tor.unpublished.add(one.onion);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const late = publish(one).catch((error: unknown) => error);
    await asked('ADD_ONION');
    tor.answer = () => null;
    let failure: unknown;
    void late.then((error) => (failure = error));
    const failing = async (): Promise<unknown> => {
      await vi.advanceTimersByTimeAsync(10_000);
      return failure;
    };
    const message = expect.stringContaining('unknown') as string;
    await expect.poll(failing).toMatchObject({ code: 'TIMEOUT', message });
    expect(tor.count('GETINFO')).toBe(1);
    tor.answer = () => undefined;
  });
});

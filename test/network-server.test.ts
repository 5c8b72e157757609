/** Who starts a run's networks, when, and what becomes of those who ask. The networks themselves are tested by those who use them. */
import { expect, it } from 'vitest';
import { orAborted } from '../core/abort.ts';
import { RelaymintError } from '../core/errors.ts';
import { invitationAt } from './network.ts';
import { serveNetworks, type StartNetwork } from './network-server.ts';

/** Counts its starts and ends. */
function counted(): { readonly start: StartNetwork; readonly count: { starts: number; ends: number } } {
  const count = { starts: 0, ends: 0 };
  const start: StartNetwork = async () => {
    count.starts += 1;
    let invited = 0;
    return {
      invite: () => ({ number: ++invited }),
      async [Symbol.asyncDispose]() {
        count.ends += 1;
      },
    };
  };
  return { start, count };
}

it('starts a network for the first who asks, once, and ends it with the run', async () => {
  const [asked, left] = [counted(), counted()];
  const server = await serveNetworks({ asked: asked.start, left: left.start });
  expect(asked.count.starts).toBe(0);
  const answers = await Promise.all([1, 2].map(() => invitationAt(server.url, 'asked')));
  expect(answers).toEqual(expect.arrayContaining([{ number: 1 }, { number: 2 }]));
  expect(asked.count).toEqual({ starts: 1, ends: 0 });
  await server[Symbol.asyncDispose]();
  expect(asked.count).toEqual({ starts: 1, ends: 1 });
  expect(left.count).toEqual({ starts: 0, ends: 0 });
});

it('tells everybody who asks why a network did not start', async () => {
  let starts = 0;
  const start: StartNetwork = () => {
    starts += 1;
    return Promise.reject(new RelaymintError('TOR_BOOTSTRAP_FAILED', 'relay2 ended: no room.'));
  };
  await using server = await serveNetworks({ broken: start });
  for (const turn of [1, 2]) {
    await expect(invitationAt(server.url, 'broken'), `asked ${turn}`).rejects.toMatchObject({
      code: 'TOR_BOOTSTRAP_FAILED',
      message: 'relay2 ended: no room.',
    });
  }
  expect(starts).toBe(1);
  await expect(invitationAt(server.url, 'unknown')).rejects.toThrow('no network is called unknown');
});

it('gives up a start when the run ends in the middle of it', async () => {
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const start: StartNetwork = (signal) => {
    begin();
    return orAborted(new Promise(() => {}), signal, 'Starting');
  };
  const server = await serveNetworks({ slow: start });
  const asked = invitationAt(server.url, 'slow').catch((error: unknown) => error);
  await begun;
  await server[Symbol.asyncDispose]();
  expect(await asked).toBeInstanceOf(Error);
});

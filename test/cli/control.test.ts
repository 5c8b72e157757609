/** Who may ask a running node: who can read its data folder, and no page that a browser was led to. */
import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { silentLog } from '../../core/ports.ts';
import { readControlFile } from '../../app/control/client.ts';
import { CONTROL_FILE, type ControlHandlers } from '../../app/control/protocol.ts';
import { startControlServer } from '../../app/control/server.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';

describe('the control port', () => {
  const stack = new AsyncDisposableStack();
  let folder: string;
  let flushed = 0;

  beforeAll(async () => {
    folder = stack.use(await temporaryFolder()).path;
    const handlers: Pick<ControlHandlers, 'flush'> & { readonly budget: (order: unknown) => Promise<unknown> } = {
      budget: async (order) => ({ ordered: order }),
      flush: async () => {
        flushed += 1;
        return { flushed: true };
      },
    };
    stack.use(await startControlServer(folder, handlers as unknown as ControlHandlers, silentLog));
  });
  afterAll(() => stack.disposeAsync());

  async function ask(
    headers: Readonly<Record<string, string>>,
    { call = 'flush', method = 'POST' } = {},
  ): Promise<{ readonly status: number | undefined; readonly body: unknown }> {
    const { url } = await readControlFile(folder);
    return new Promise((resolve, reject) => {
      const asked = request(`${url}/v1/${call}`, { method, headers, agent: false }, (response) => {
        json(response).then((body) => resolve({ status: response.statusCode, body }), reject);
      });
      asked.on('error', reject).end();
    });
  }

  it('is on this machine alone, and only its owner can read the token', async () => {
    const { url, token } = await readControlFile(folder);
    expect(new URL(url).hostname).toBe('127.0.0.1');
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect((await stat(path.join(folder, CONTROL_FILE))).mode & 0o777).toBe(0o600);
  });

  it('answers requests with the token and a host name of this machine', async () => {
    const { url, token } = await readControlFile(folder);
    const before = flushed;
    for (const host of [new URL(url).host, `localhost:${new URL(url).port}`]) {
      expect(await ask({ authorization: `Bearer ${token}`, host })).toEqual({ status: 200, body: { flushed: true } });
    }
    expect(flushed - before).toBe(2);
  });

  it('does nothing without the token, nor for a host name of somebody else that leads here', async () => {
    const { token } = await readControlFile(folder);
    const authorization = `Bearer ${token}`;
    const before = flushed;
    expect((await ask({})).status).toBe(401);
    expect((await ask({ authorization: `Bearer ${token.slice(1)}` })).status).toBe(401);
    expect((await ask({ authorization: `Bearer ${'A'.repeat(token.length)}` })).status).toBe(401);
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80']) {
      expect((await ask({ authorization, host })).status).toBe(421);
    }
    expect((await ask({ authorization }, { method: 'GET' })).status).toBe(405);
    for (const call of ['constructor', 'nothing']) expect((await ask({ authorization }, { call })).status).toBe(404);
    expect(flushed).toBe(before);
  });

  it('takes an order only as what it is, however it is written', async () => {
    const { url, token } = await readControlFile(folder);
    const send = async (body: string): Promise<unknown> => {
      const answer = await fetch(`${url}/v1/budget`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body,
      });
      return [answer.status, await answer.json()];
    };
    const order = { do: 'stop', name: 'a.web3' };
    expect(await send(JSON.stringify(order))).toEqual([200, { ordered: order }]);
    const wrong = [500, { error: { code: 'INVALID_ARGUMENT', message: expect.any(String) as string } }];
    for (const body of [
      '',
      '{',
      '[]',
      '{"do":"stop","name":"../x"}',
      `{"do":"stop","name":"a.web3"}${' '.repeat(2000)}`,
    ]) {
      expect(await send(body)).toEqual(wrong);
    }
  });
});

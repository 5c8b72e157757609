/** What the ledger's node can tie together: it sees what a gateway's visitors read, and what the gateway's wallet does, apart. */
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { PublicKey } from '@solana/web3.js';
import { expect, test } from 'vitest';
import { EMBEDDED_PROGRAM_ID, programFile, startEmbeddedLedger } from '../../ledger/solana/index.ts';
import { nameAddress } from '../../ledger/solana/program/index.ts';
import { temporaryFolder } from './marketplace.ts';
import { startCommand } from './node.ts';

const NAME = 'nobody-has-it.web3';

test('names are asked for over connections of their own, and nothing says which library asks', async () => {
  await using ledger = { server: await startLedger(), [Symbol.asyncDispose]: async () => ledger.server.close() };
  /** All that came over each connection. */
  const bodies = new Map<Socket, string[]>();
  const headers = new Set<string>();
  const pass = async (asked: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(asked);
    bodies.set(asked.socket, [...(bodies.get(asked.socket) ?? []), body]);
    for (const name of Object.keys(asked.headers)) headers.add(name);
    const answer = await fetch(ledger.server.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  };
  const front = createServer((asked, response) => void pass(asked, response));
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
  await using folder = await temporaryFolder();
  {
    const common = ['--data', folder.path, '--ledger', url, '--airdrop', '1', '--log-level', 'error'];
    await using gateway = await startCommand('gateway', '--json', '--port', '0', ...common);
    const { port } = new URL(String(gateway.ready['gateway']));
    const host = `${NAME.replace(/-/g, '--').replace('.', '-')}.localhost:${port}`;
    const [answer] = (await once(request({ host: '127.0.0.1', port, headers: { host } }).end(), 'response')) as [
      IncomingMessage,
    ];
    expect(answer.resume().statusCode).toBe(404);
    const place = nameAddress(new PublicKey(EMBEDDED_PROGRAM_ID), NAME).toBase58();
    await expect.poll(() => [...bodies.values()].flat().some((body) => body.includes(place))).toBe(true);
    const wallet = String(gateway.ready['wallet']);
    expect(wallet).toMatch(/^[1-9A-HJ-NP-Za-km-z]{32,44}$/);
    const carried = [...bodies.values()].map((all) => ({
      name: all.some((body) => body.includes(place)),
      wallet: all.some((body) => body.includes(wallet)),
    }));
    expect(carried.some((one) => one.wallet)).toBe(true);
    expect(carried.filter((one) => one.name && one.wallet)).toEqual([]);
  }
  front.close();
  front.closeAllConnections();
  expect([...headers].toSorted()).toEqual(['connection', 'content-length', 'content-type', 'host']);
}, 60_000);

function startLedger(): ReturnType<typeof startEmbeddedLedger> {
  return startEmbeddedLedger({
    programPath: programFile(),
    programId: EMBEDDED_PROGRAM_ID,
    bank: { unitsPerLamport: 1n, challengeSeconds: 600n },
  });
}

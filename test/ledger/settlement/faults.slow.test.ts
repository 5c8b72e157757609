/**
 * Settling through a network that loses, delays, garbles and undoes, on the real ledger: nothing is doubled, nothing is
 * forgotten, and what a name is due is exact.
 */
import { EventEmitter, once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import bs58 from 'bs58';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SettlementEngine } from '../../../ledger/settlement/index.ts';
import type { EmbeddedLedger } from '../../../ledger/solana/embedded/index.ts';
import { faultyFetch } from '../solana/faulty-fetch.ts';
import type { Call, Fault } from '../solana/faulty-fetch.ts';
import { connect, payeeWallet, startLedger, World } from './world.ts';

const EXPIRY_SECONDS = 61;

let server: EmbeddedLedger;
beforeAll(async () => {
  server = await startLedger();
});
afterAll(async () => {
  await server.close();
});

/** Two payers owe three million, a sixth of it for the name; the payee reaches the ledger through `fault`. */
async function settling(
  label: string,
  fault: Fault,
  work: (world: World, engine: SettlementEngine) => Promise<void>,
  ledgerServer: EmbeddedLedger = server,
): Promise<void> {
  const world = await World.create(ledgerServer, label, 2);
  const faulty = connect(ledgerServer, { fetch: faultyFetch(fault), timeoutMillis: 300 });
  try {
    await world.receive(0, 1_000_000n, 300_000n);
    await world.receive(1, 2_000_000n, 200_000n);
    const engine = world.engine({ wallet: payeeWallet(faulty, label), reader: faulty, policy: { attempts: 12 } });
    await work(world, engine);
    await engine.close();
  } finally {
    faulty.close();
    await world.close();
  }
}

async function expectSettledOnce(world: World, engine: SettlementEngine): Promise<void> {
  expect(await world.settledOnChain()).toBe(3_000_000n);
  expect(await world.earnings()).toEqual({ name: 100_000n, till: 2_900_000n });
  expect(world.store.shares.size).toBe(0);
  expect(world.store.settlements().size).toBe(1);
  expect(engine.unsettled()).toBe(0n);
  expect(engine.totals()).toMatchObject({ transactions: 1, receipts: 2, amount: 3_000_000n });
}

/** The signature that the ledger would have answered with. */
function claimed({ params, answer }: Call): Response {
  const wire = Buffer.from(String(params[0]), 'base64');
  return answer(bs58.encode(wire.subarray(1, 65)));
}

describe('a transaction that the node takes and the network loses', () => {
  it('is sent again while it may still get in', async () => {
    let lost = 0;
    const fault: Fault = (call) => {
      if (call.method !== 'sendTransaction' || lost === 2) return undefined;
      lost += 1;
      return claimed(call);
    };
    await settling('lost', fault, async (world, engine) => {
      expect(await engine.settleAll()).toHaveLength(1);
      expect(lost).toBe(2);
      await expectSettledOnce(world, engine);
    });
  });

  it('is signed again once its blockhash has expired', async () => {
    const signatures = new Set<string>();
    const fault: Fault = (call) => {
      if (call.method !== 'sendTransaction') return undefined;
      signatures.add(String(call.params[0]));
      if (signatures.size > 1) return undefined;
      return server.warp(EXPIRY_SECONDS).then(() => claimed(call));
    };
    await settling('expired', fault, async (world, engine) => {
      expect(await engine.settleAll()).toHaveLength(1);
      expect(signatures.size).toBe(2);
      await expectSettledOnce(world, engine);
    });
  });

  it('is not taken for expired because a node that lags has not seen it', async () => {
    const signatures = new Set<string>();
    let lagging = 2;
    const fault: Fault = (call) => {
      if (call.method === 'sendTransaction') {
        signatures.add(String(call.params[0]));
        return call.forward().then(async (response) => {
          await server.warp(EXPIRY_SECONDS);
          return response;
        });
      }
      if (call.method !== 'getSignatureStatuses' || lagging === 0) return undefined;
      lagging -= 1;
      return call.answer({ context: { slot: 1 }, value: [null] });
    };
    await settling('lagging', fault, async (world, engine) => {
      expect(await engine.settleAll()).toHaveLength(1);
      expect(lagging).toBe(0);
      expect(signatures.size).toBe(1);
      await expectSettledOnce(world, engine);
    });
  });
});

describe('a node that fails two times out of five', () => {
  const failures: Readonly<Record<string, (call: Call) => Response | Promise<Response>>> = {
    'with HTTP 503': () => new Response('busy', { status: 503 }),
    'with HTTP 429': () => new Response('slow down', { status: 429 }),
    'by hanging up': () => Promise.reject(new TypeError('fetch failed')),
    'by saying nothing': ({ silence }) => silence(),
    'with half an answer': async (call) => new Response((await (await call.forward()).text()).slice(0, -7)),
    'with an answer to something else': () => Response.json({ jsonrpc: '2.0', id: 'other', result: { odd: true } }),
    'with a web page': () => new Response('<html>Bad gateway</html>'),
    'by being behind': ({ refuse }) => refuse(-32005, 'Node is behind by 200 slots'),
    'after it has heard': async (call) => {
      await call.forward();
      throw new TypeError('fetch failed');
    },
  };

  it.each(Object.keys(failures))('%s', async (kind) => {
    let asked = 0;
    const failed = new Set<string>();
    const fault: Fault = (call) => {
      asked += 1;
      if (asked % 5 !== 1 && asked % 5 !== 3) return undefined;
      failed.add(call.method);
      return failures[kind]?.(call);
    };
    await settling(`fails ${kind}`, fault, async (world, engine) => {
      expect(await engine.settleAll()).toHaveLength(1);
      expect(failed.size).toBeGreaterThan(1);
      await expectSettledOnce(world, engine);
    });
  });

  it.each(Object.keys(failures))('to take transactions: %s', async (kind) => {
    let sent = 0;
    const fault: Fault = (call) => {
      if (call.method !== 'sendTransaction') return undefined;
      sent += 1;
      return sent % 2 === 0 ? undefined : failures[kind]?.(call);
    };
    await settling(`refuses ${kind}`, fault, async (world, engine) => {
      expect(await engine.settleAll()).toHaveLength(1);
      await expectSettledOnce(world, engine);
    });
  });
});

it('sending again what is on chain changes nothing and costs nothing', async () => {
  await settling(
    'again',
    () => undefined,
    async (world, engine) => {
      const prepared: Parameters<typeof world.wallet.submit>[0][] = [];
      const spied = world.engine({
        wallet: new Proxy(world.wallet, {
          get(target, property): unknown {
            if (property === 'submit') {
              const submit: typeof target.submit = async (transaction) => {
                prepared.push(transaction);
                await target.submit(transaction);
              };
              return submit;
            }
            const value: unknown = Reflect.get(target, property, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        }),
      });
      await spied.settleAll();
      await spied.close();
      const [transaction] = prepared;
      if (transaction === undefined) throw new Error('nothing was sent');
      const before = await world.ledger.balances(world.wallet.address);
      for (let i = 0; i < 5; i += 1) await world.wallet.submit(transaction);
      expect(await world.ledger.balances(world.wallet.address)).toEqual(before);
      await expectSettledOnce(world, engine);
    },
  );
});

describe('a transaction whose block is undone', () => {
  it('is settled again if only the books remember it', async () => {
    await settling(
      'hearsay',
      () => undefined,
      async (world, engine) => {
        for (const { channel, latest } of Array.from(world.store.entries())) {
          world.store.update({ ...channel, settled: latest?.amount ?? channel.settled });
        }
        expect(engine.unsettled()).toBe(0n);
        await engine.settleAll();
        await expectSettledOnce(world, engine);
      },
    );
  });

  it.each([
    ['is sent again', 0],
    ['is signed anew when it is too late for that', EXPIRY_SECONDS],
  ])('%s, and booked once', async (_what, seconds) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'relaymint-reorg-'));
    const [main, fork] = ['main', 'fork'].map((name) => path.join(folder, name)) as [string, string];
    let ledger = await startLedger({ dataDir: main });
    const port = Number(new URL(ledger.url).port);
    const events = new EventEmitter();
    let final = false;
    // A cluster says "confirmed" for 13 seconds; until then a fork may win.
    const fault: Fault = (call) => {
      if (call.method !== 'getSignatureStatuses' || final) return undefined;
      return call.rewritten(({ context, value }: { context: object; value: (object | null)[] }) => {
        if (value[0] !== null) events.emit('confirmed');
        return {
          context,
          value: value.map((status) => status && { ...status, confirmationStatus: 'confirmed', confirmations: 1 }),
        };
      });
    };
    try {
      await settling(
        `undone ${seconds}`,
        fault,
        async (world, engine) => {
          await ledger.close();
          await cp(main, fork, { recursive: true });
          ledger = await startLedger({ dataDir: main, port });
          const confirmed = once(events, 'confirmed');
          const settled = engine.settleAll();
          await confirmed;
          expect(await world.settledOnChain()).toBe(3_000_000n);
          // Others look at the confirmed state, and the books hear of it.
          for (const channel of (await world.ledger.till(world.wallet.address))?.channels ?? []) {
            world.store.update(channel);
          }
          expect(engine.totals().transactions).toBe(0);
          await ledger.close();
          ledger = await startLedger({ dataDir: fork, port });
          expect(await world.settledOnChain()).toBe(0n);
          await ledger.warp(seconds);
          final = true;
          const done = [...(await settled), ...(await engine.settleAll())];
          expect(done).toHaveLength(1);
          await expectSettledOnce(world, engine);
        },
        ledger,
      );
    } finally {
      await ledger.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

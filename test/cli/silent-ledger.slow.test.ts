/** A relay whose ledger takes requests and answers none, or is gone, while it runs and when it stops: in processes, over sockets. */
import { once } from 'node:events';
import { PublicKey } from '@solana/web3.js';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../core/ports.ts';
import { startControlServer, type ControlHandlers, type NodeStats } from '../../app/control/index.ts';
import { EMBEDDED_PROGRAM_ID, type EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';
import { claimAddress } from '../../ledger/solana/program/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';
import { startLedger, type World } from '../ledger/settlement/world.ts';
import { EARNED, earnedWorld, relayOf } from './earned.ts';
import { gateTo, type Gate } from './gate.ts';
import { run, start, type Running } from './program.ts';
import { statsOf as figuresOf } from './stats.ts';

let server: EmbeddedLedger;
beforeAll(async () => {
  server = await startLedger();
});
afterAll(() => server.close());

interface Stage extends AsyncDisposable {
  readonly world: World;
  /** Between the relay and its ledger. */
  readonly gate: Gate;
  readonly relay: Running;
}

interface Circumstances {
  /** Something unless told otherwise, base units. */
  readonly earned?: bigint;
  /** What it asks that is never answered. */
  readonly unanswered?: (world: World) => string;
}

/** A relay that is up. */
async function running(label: string, { earned, unanswered }: Circumstances = {}): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const world = await earnedWorld(server, label, earned);
  stack.defer(() => world.close());
  const gate = stack.use(await gateTo(server.url, unanswered?.(world)));
  const relay = start(relayOf(world, gate.url));
  stack.defer(async () => {
    relay.child.kill('SIGKILL');
    await relay.finished;
  });
  await said(relay, 'is up at');
  const owned = stack.move();
  return { world, gate, relay, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Resolves with what it printed as soon as that is in it. */
async function said({ child, finished }: Running, what: string): Promise<string> {
  if (child.stdout === null) throw new TypeError('pipe its output');
  let printed = '';
  const over = finished.then(({ stderr }) => {
    throw new Error(`it ended without saying "${what}": ${printed}${stderr}`);
  });
  while (!printed.includes(what)) printed += String((await Promise.race([once(child.stdout, 'data'), over]))[0]);
  return printed;
}

async function block({ gate }: Stage, how: 'hangs' | 'is gone'): Promise<void> {
  if (how === 'is gone') await gate.refuse();
  else {
    gate.hang();
    await gate.holds();
  }
}

async function statsOf({ world }: Stage): Promise<NodeStats> {
  const { stdout } = await run(['stats', '--json', '--data', world.directory]);
  return JSON.parse(stdout) as NodeStats;
}

/** After the relay has seen its ledger. */
async function ledgerSeen(stage: Stage): Promise<NodeStats> {
  const now = await statsOf(stage);
  return now.ledgerAt === null ? ledgerSeen(stage) : now;
}

describe('relaymint stats', () => {
  it('answers while the ledger still owes an answer, with what the node knows and how old its view of the ledger is', async () => {
    await using stage = await running('stats hung');
    await ledgerSeen(stage);
    stage.gate.hang();
    const heldAt = stage.gate.holds().then(() => Date.now());
    const answers = [await statsOf(stage), await statsOf(stage)];
    // Nothing that it was asked since then was answered yet: what is shown is from before.
    expect(stage.gate.held).toBeGreaterThan(0);
    for (const answer of answers) {
      expect(answer).toMatchObject({ wallet: stage.world.wallet.address, pairs: [{ receipted: EARNED.toString() }] });
      expect(answer.ledgerAt).toBeLessThanOrEqual(await heldAt);
    }
  });

  it('answers when the ledger is gone', async () => {
    await using stage = await running('stats dead');
    await ledgerSeen(stage);
    await stage.gate.refuse();
    const goneAt = Date.now();
    const after = await statsOf(stage);
    expect(after.pairs).toMatchObject([{ receipted: EARNED.toString() }]);
    expect(after.ledgerAt).toBeLessThanOrEqual(goneAt);
    const shown = await run(['stats', '--data', stage.world.directory]);
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('waits    0.001 credits') as string });
  });

  it.each([
    [60_000, /The ledger last answered \d\d s ago: "settled" is as of then\./],
    [null, /The ledger has not answered yet: "settled" is what this node last knew\./],
  ])('says to people how old the figures of the ledger are: %s ms', async (age, text) => {
    await using folder = await temporaryFolder();
    const ledgerAt = age === null ? null : Date.now() - age;
    const handlers: Pick<ControlHandlers, 'stats'> = { stats: async () => figuresOf({ ledgerAt }) };
    await using _server = await startControlServer(folder.path, handlers as ControlHandlers, silentLog);
    expect((await run(['stats', '--data', folder.path])).stdout).toMatch(text);
  });
});

describe('a relay that stops', () => {
  it.each(['hangs', 'is gone'] as const)(
    'ends in order, and speaks of no wait, beside a ledger that %s when there is nothing to settle',
    async (how) => {
      await using stage = await running(`stops without earnings, ${how}`, { earned: 0n });
      await block(stage, how);
      stage.relay.child.kill('SIGTERM');
      const { code, stdout } = await stage.relay.finished;
      expect({ code, waited: stdout.includes('Waiting for the ledger') }).toEqual({ code: 0, waited: false });
    },
  );

  it('does not wait for the answer to what it asks now and then', async () => {
    const claimOf = ({ wallet }: World): string =>
      claimAddress(new PublicKey(EMBEDDED_PROGRAM_ID), new PublicKey(wallet.address)).toBase58();
    await using stage = await running('stops while asking', { earned: 0n, unanswered: claimOf });
    await stage.gate.holds();
    stage.relay.child.kill('SIGTERM');
    expect((await stage.relay.finished).code).toBe(0);
  });

  it.each(['hangs', 'is gone'] as const)(
    'says what it waits for and until when, while its ledger %s; a second signal ends it at once, and the next start settles',
    async (how) => {
      await using stage = await running(`stops with earnings, ${how}`);
      const { world, relay } = stage;
      await block(stage, how);
      const waits = said(relay, 'Ctrl-C again ends it now.');
      relay.child.kill('SIGTERM');
      expect(await waits).toMatch(
        /^Waiting for the ledger to settle 0\.001 credits, until \d\d:\d\d:\d\d at most\. Ctrl-C again ends it now\.$/m,
      );
      relay.child.kill('SIGTERM');
      expect(await relay.finished).toMatchObject({
        code: 130,
        stderr: expect.stringContaining(
          `relaymint: Stopped at once. 0.001 credits are not settled: the receipts are kept in ${world.directory} and settled after the next start.\n`,
        ) as string,
      });
      expect(await world.settledOnChain()).toBe(0n);
      const again = start(relayOf(world, server.url));
      await said(again, 'is up at');
      again.child.kill('SIGTERM');
      expect(await again.finished).toMatchObject({ code: 0 });
      expect(await world.settledOnChain()).toBe(EARNED);
    },
  );
});

/** `relaymint settle --dry-run` says what the node's settlement then does, to the lamport. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { planSettlement } from '../../app/node/settlement-plan.ts';
import { World, startLedger } from '../ledger/settlement/world.ts';
import type { EmbeddedLedger } from '../../ledger/solana/embedded/index.ts';

let server: EmbeddedLedger;

beforeAll(async () => {
  server = await startLedger();
});

afterAll(() => server.close());

const parts = ({ ledger, wallet }: World): Pick<World, 'ledger' | 'wallet'> => ({ ledger, wallet });

it('plans nothing where nothing waits', async () => {
  const world = await World.create(server, 'plan of nothing', 1);
  const engine = world.engine();
  expect(await planSettlement({ ...parts(world), settlement: engine })).toEqual({ batches: [] });
  await engine.close();
  await world.close();
});

it('plans what is then settled, and sends nothing itself', async () => {
  const world = await World.create(server, 'plan', 7);
  for (let payer = 0; payer < 6; payer += 1) await world.receive(payer, 1_000_000n + BigInt(payer), 200_000n);
  await world.registerOther('plan-shows.web3');
  await world.receive(0, 2_000_000n, 70_000n, 'plan-shows.web3');
  const engine = world.engine();
  const planned = await planSettlement({ ...parts(world), settlement: engine });
  expect(await world.settledOnChain()).toBe(0n);
  const values = planned.batches.map(({ value }) => BigInt(value));
  expect(values.reduce((sum, value) => sum + value, 0n)).toBe(7_000_015n);
  expect(planned.batches.flatMap(({ receipts }) => receipts.map(({ channel }) => channel)).toSorted()).toEqual(
    world.payers
      .slice(0, 6)
      .map(({ channel }) => channel.id)
      .toSorted(),
  );
  expect(planned.batches.flatMap(({ names }) => names)).toContainEqual({ name: world.name, gross: '1200000' });
  expect(planned.batches.flatMap(({ names }) => names)).toContainEqual({
    name: world.name,
    referrer: 'plan-shows.web3',
    gross: '70000',
  });

  const settled = await engine.settleAll();
  expect(settled.map(({ receipts, amount, feeLamports }) => ({ receipts, amount, feeLamports }))).toEqual(
    planned.batches.map(({ receipts, value, feeLamports }) => ({
      receipts: receipts.length,
      amount: BigInt(value),
      feeLamports: BigInt(feeLamports),
    })),
  );
  expect(await planSettlement({ ...parts(world), settlement: engine })).toEqual({ batches: [] });
  await engine.close();
  await world.close();
});

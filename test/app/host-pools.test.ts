import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nodeId, type NodeId } from '../../core/ids.ts';
import { silentLog } from '../../core/ports.ts';
import { HostPools } from '../../app/roles/host-pools.ts';
import type { CircuitPool } from '../../node/tunnel/index.ts';

interface Fate {
  opened: number;
  retired: boolean;
  closed: boolean;
}

function poolsOf(): { pools: HostPools; fates: Map<NodeId, Fate>; drain: () => void } {
  const fates = new Map<NodeId, Fate>();
  let drain = (): void => {};
  const drained = new Promise<void>((resolve) => (drain = resolve));
  const open = (host: NodeId): CircuitPool => {
    const fate = { opened: (fates.get(host)?.opened ?? 0) + 1, retired: false, closed: false };
    fates.set(host, fate);
    return {
      retire: () => {
        fate.retired = true;
        return drained;
      },
      close: async () => {
        fate.closed = true;
      },
      activeDataCircuits: () => [],
    } as unknown as CircuitPool;
  };
  return { pools: new HostPools(open, silentLog), fates, drain };
}

const hosts = Array.from({ length: 40 }, () => nodeId(randomBytes(32)));
const [first = '' as NodeId] = hosts;
const nothing = async (): Promise<void> => {};

describe('pools of circuits to hosts', () => {
  it('are kept in bounded numbers: the one that was used longest ago lets its streams end', async () => {
    const { pools, fates, drain } = poolsOf();
    for (const host of hosts) await pools.use(host, nothing);
    expect([...fates.values()].filter(({ retired }) => retired)).toHaveLength(hosts.length - 32);
    expect(fates.get(first)).toEqual({ opened: 1, retired: true, closed: false });
    await pools.use(first, nothing);
    expect(fates.get(first)?.opened).toBe(2);
    drain();
    await pools[Symbol.asyncDispose]();
  });

  it('are not taken from those who wait for a circuit of them, and are shared by them', async () => {
    const { pools, fates } = poolsOf();
    let end = (): void => {};
    const waiting = pools.use(first, () => new Promise<void>((resolve) => (end = resolve)));
    for (const host of hosts.slice(1)) await pools.use(host, nothing);
    expect(fates.get(first)).toEqual({ opened: 1, retired: false, closed: false });
    let shared: CircuitPool | undefined;
    await pools.use(first, async (pool) => void (shared = pool));
    expect(shared).toBeDefined();
    expect(fates.get(first)?.opened).toBe(1);
    end();
    await waiting;
    for (const host of hosts.slice(1)) await pools.use(host, nothing);
    expect(fates.get(first)?.retired).toBe(true);
    await pools[Symbol.asyncDispose]();
  });

  it('end with the gateway, including those that only wait for streams to end', async () => {
    const { pools, fates } = poolsOf();
    for (const host of hosts) await pools.use(host, nothing);
    await pools[Symbol.asyncDispose]();
    expect([...fates.values()].every(({ closed }) => closed)).toBe(true);
  });
});

/** Guards, tried by relays that want to be one, want others not to be one, or want a client to leave its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, stat, writeFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../core/ids.ts';
import {
  GUARD_LIFE_LEAST_MILLIS,
  GUARD_LIFE_MOST_MILLIS,
  GUARD_UNLISTED_MILLIS,
  LEAST_GUARDS,
  MAX_GIVEN_UP_GUARDS,
  MAX_GUARDS,
  MAX_HOST_FAILURES,
  MAX_HOSTS_FAILURES,
  SAMPLED_GUARDS,
  USUAL_PRICE,
} from '../../../../core/limits.ts';
import { silentLog, type Log } from '../../../../core/ports.ts';
import { pricePerMiB } from '../../../../core/units.ts';
import { createGuards, guardFile, openGuards, type Guards } from '../../../../node/tunnel/index.ts';
import { priceOf, type SignedOffer } from '../../../../node/offer/index.ts';
import { storeInMemory } from '../../../../bench/paths/endpoint.ts';
import { populationOf } from '../../../../bench/paths/population.ts';
import { seededRandom } from '../../../../bench/paths/random.ts';
import { HeldClock } from '../../../clock.ts';

/** No relay of the populations below. */
const SELF = populationOf('honest', 5000, 0).host.nodeId;
const MOST = pricePerMiB(12n * USUAL_PRICE);
/** Eight processes are started, one after another: took 13 s on a machine with far more work than processors. */
const LONG_MILLIS = 60_000;
const DAY = 24 * 60 * 60_000;

let clock: HeldClock;
let folder: string;
let blamed: string[];
/** To be disposed. */
const opened: Guards[] = [];
const log: Log = {
  ...silentLog,
  warn: (fields) => {
    if ('blamed' in fields) blamed.push(...(fields.blamed as readonly string[]));
  },
};
beforeEach(async () => {
  clock = new HeldClock();
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-guards-'));
  blamed = [];
});
afterEach(async () => {
  // What one of them writes later would be in the way of the removal.
  for (const guards of opened.splice(0)) await guards[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function relaysOf(count: number): SignedOffer[] {
  return [...populationOf('honest', count, 0).relays];
}

function book(relays: readonly SignedOffer[]): { find: (service: string) => SignedOffer[] } {
  return { find: (service) => relays.filter((offer) => priceOf(offer, service) !== undefined) };
}

async function open(file = path.join(folder, 'guards.json'), random?: () => number): Promise<Guards> {
  const store = guardFile(file);
  const guards = await openGuards({ store, nodeId: SELF, clock, log, ...(random === undefined ? {} : { random }) });
  opened.push(guards);
  return guards;
}

describe('guards', () => {
  it('are drawn once, and the same after every start, in the same order, however many relays come', async () => {
    const relays = relaysOf(40);
    let first: readonly NodeId[] = [];
    for (let start = 0; start < 5; start += 1) {
      const guards = await open();
      const order = guards.order(book(relaysOf(40 + 200 * start)), MOST);
      if (start === 0) first = order;
      expect(order).toEqual(first);
      await guards.saved();
      await guards[Symbol.asyncDispose]();
      clock.at += DAY;
    }
    expect(first).toHaveLength(SAMPLED_GUARDS);
    expect(new Set(first).size).toBe(SAMPLED_GUARDS);
    const another = createGuards({ nodeId: SELF, clock });
    expect(another.order(book(relays), MOST)).not.toEqual(first);
  });

  it('are on disk before the first circuit is built over them, readable by nobody else', async () => {
    const guards = await open();
    guards.order(book(relaysOf(9)), MOST);
    await guards.saved();
    const file = path.join(folder, 'guards.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['guards.json']);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ format: 'relaymint-guards', version: 2 });
  });

  it('are not drawn for a node that builds no circuits', async () => {
    await (await open())[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual([]);
  });

  it('are of different wallets and networks, whoever has the most keys', () => {
    const { relays, malicious } = populationOf('sybil', 10, 2);
    let both = 0;
    for (let time = 0; time < 300; time += 1) {
      const order = createGuards({ nodeId: SELF, clock }).order(book(relays), MOST);
      const wallets = order.map((node) => relays.find(({ nodeId }) => nodeId === node)?.wallet);
      expect(new Set(wallets).size).toBe(order.length);
      if (malicious.has(order[0] as NodeId)) both += 1;
    }
    // 50 of 58 keys, 2 of 10 wallets.
    expect(both / 300).toBeLessThan(0.3);
    expect(both / 300).toBeGreaterThan(0.12);
  });

  it('skip one that cannot be reached, until it comes back to its place', () => {
    const relays = book(relaysOf(20));
    const guards = createGuards({ nodeId: SELF, clock });
    const [a, b, ...rest] = guards.order(relays, MOST);
    guards.stood([a as NodeId]);
    guards.unreachable(a as NodeId);
    expect(guards.order(relays, MOST).slice(0, 2)).toEqual([b, rest[0]]);
    guards.stood([b as NodeId]);
    clock.at += 31_000;
    expect(guards.order(relays, MOST)).toEqual([a, b, ...rest]);
  });

  it('take it back no later if the clock was set back meanwhile', () => {
    const relays = book(relaysOf(20));
    const guards = createGuards({ nodeId: SELF, clock });
    const [a, b] = guards.order(relays, MOST);
    guards.stood([a as NodeId]);
    guards.unreachable(a as NodeId);
    clock.at -= DAY;
    expect(guards.order(relays, MOST)[0]).toBe(b);
    clock.at += 31_000;
    expect(guards.order(relays, MOST)[0]).toBe(a);
  });

  it('are not used up by an offline client, which comes back to the first', () => {
    const relays = book(relaysOf(60));
    const guards = createGuards({ nodeId: SELF, clock });
    const first = guards.order(relays, MOST);
    guards.stood([first[0] as NodeId]);
    for (let minute = 0; minute < 600; minute += 1) {
      for (let attempt = 0; attempt < 4; attempt += 1) {
        const [next] = guards.order(relays, MOST);
        // For ten minutes it only tries the first three.
        expect(minute < 9 ? first.slice(0, 3) : first).toContain(next);
        guards.unreachable(next as NodeId);
      }
      clock.at += 60_000;
    }
    expect(new Set(guards.order(relays, MOST))).toEqual(new Set(first));
    clock.at += 3_600_000;
    expect(guards.order(relays, MOST)).toEqual(first);
    guards.stood([first[0] as NodeId]);
    expect(guards.order(relays, MOST)).toEqual(first);
    expect(blamed).toEqual([]);
  });

  it('are skipped if they ask too much or are gone, and others are drawn only when few are left', () => {
    const relays = relaysOf(30);
    const guards = createGuards({ nodeId: SELF, clock });
    const first = guards.order(book(relays), MOST);
    const dear = (gone: readonly NodeId[]): SignedOffer[] =>
      relays.map((offer) =>
        gone.includes(offer.nodeId)
          ? { ...offer, services: [{ name: 'relay', price: pricePerMiB(MOST + 1n) }] }
          : offer,
      );
    expect(guards.order(book(dear(first.slice(0, 3))), MOST)).toEqual(first.slice(3));
    const more = guards.order(book(dear(first.slice(0, 5))), MOST);
    expect(more).toHaveLength(LEAST_GUARDS);
    expect(more[0]).toBe(first[5]);
    // Back to the old ones as soon as they are there.
    expect(guards.order(book(relays), MOST).slice(0, 6)).toEqual(first);
  });

  it('belong to an attacker in bounded numbers only, though it floods a client with new relays and hides the old ones', () => {
    const guards = createGuards({ nodeId: SELF, clock });
    const all = relaysOf(400);
    const seen = new Set<NodeId>();
    for (let time = 0; time < 100; time += 1) {
      for (const node of guards.order(book(all.slice(time * 4, time * 4 + 4)), MOST)) seen.add(node);
    }
    expect(seen.size).toBe(MAX_GUARDS);
  });

  it('live for 60 to 120 days, and are forgotten when nobody offered them for 20', () => {
    const relays = relaysOf(50);
    const guards = createGuards({ nodeId: SELF, clock });
    const first = guards.order(book(relays), MOST);
    clock.at += GUARD_LIFE_LEAST_MILLIS - DAY;
    expect(guards.order(book(relays), MOST)).toEqual(first);
    clock.at += GUARD_LIFE_MOST_MILLIS - GUARD_LIFE_LEAST_MILLIS + 2 * DAY;
    const second = guards.order(book(relays), MOST);
    expect(second.some((node) => guards.view().find((one) => one.node === node)?.since !== clock.at)).toBe(false);
    const others = relays.filter(({ nodeId }) => !second.includes(nodeId));
    guards.order(book(others), MOST);
    expect(guards.view().map(({ node }) => node)).toEqual(expect.arrayContaining([...second]));
    clock.at += GUARD_UNLISTED_MILLIS;
    guards.order(book(others), MOST);
    expect(guards.view().some(({ node }) => second.includes(node))).toBe(false);
  });

  it('are all relays of a small network', () => {
    const [only, ...more] = relaysOf(3);
    const guards = createGuards({ nodeId: SELF, clock });
    expect(guards.order(book([]), MOST)).toEqual([]);
    expect(guards.order(book([only as SignedOffer]), MOST)).toEqual([only?.nodeId]);
    expect(guards.order(book([only as SignedOffer, ...more]), MOST)).toHaveLength(3);
  });
});

describe('a guard whose circuits fail', () => {
  const relays = relaysOf(20);
  const ids = relays.map(({ nodeId }) => nodeId);

  it('whatever the next hop is given up for good, and nothing that was seen through it is believed', async () => {
    const store = storeInMemory();
    const guards = await openGuards({ store, nodeId: SELF, clock, log });
    const [bad, next] = guards.order(book(relays), MOST) as [NodeId, NodeId];
    const others = ids.filter((node) => node !== bad);
    for (let time = 0; time < 60 && blamed.length === 0; time += 1) {
      // It says that the third relay was not reached: as if the second or the third were at fault.
      guards.refused([bad, others[time % 19] as NodeId, others[(time + 1) % 19] as NodeId], 2, 1);
    }
    expect(blamed).toEqual([bad]);
    expect([...guards.givenUp]).toEqual([bad]);
    expect(guards.order(book(relays), MOST)[0]).toBe(next);
    await guards[Symbol.asyncDispose]();
    const again = await openGuards({ store, nodeId: SELF, clock, log });
    expect(again.order(book(relays), MOST)).not.toContain(bad);
    expect(again.view().find(({ node }) => node === bad)?.state).toBe('dropped');
  });

  it('because two in five relays behind it refuse whatever they can is kept', () => {
    let most = 0;
    for (let client = 0; client < 300; client += 1) {
      const random = seededRandom(`framed ${client}`);
      const guards = createGuards({ nodeId: SELF, clock, log, random });
      const [guard] = guards.order(book(relays), MOST) as [NodeId];
      const others = ids.filter((node) => node !== guard);
      const malicious = new Set(others.slice(0, 4));
      const pick = (): NodeId => others[Math.floor(random() * others.length)] as NodeId;
      for (let circuit = 0; circuit < 200; circuit += 1) {
        const [middle, last] = [pick(), pick()];
        if (malicious.has(middle)) guards.refused([guard, middle, last], random() < 0.5 ? 1 : 2, 1);
        else if (malicious.has(last)) guards.refused([guard, middle, last], 2, 1);
        else guards.stood([guard, middle, last]);
      }
      expect(guards.order(book(relays), MOST)[0]).toBe(guard);
      const [view] = guards.view();
      most = Math.max(most, (view?.failed ?? 0) / (view?.tried ?? 1));
      // Of the others, none that is honest.
      for (const node of guards.givenUp) expect(malicious.has(node)).toBe(true);
    }
    expect(most).toBeGreaterThan(0.2);
  });

  it('because one host ends every circuit is kept', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    const [guard, other] = guards.order(book(relays), MOST) as [NodeId, NodeId];
    for (let time = 0; time < 200; time += 1) {
      clock.at += 10_000;
      guards.stood([guard, other]);
      guards.lost([guard, other], SELF);
    }
    for (let time = 0; time < 200; time += 1) {
      clock.at += 10_000;
      guards.lost([guard, other], SELF);
    }
    expect(blamed).toEqual([]);
    expect(guards.view()[0]?.failed).toBeLessThanOrEqual(MAX_HOST_FAILURES);
  });

  it('is kept through a start at which the clock stands at its beginning', async () => {
    const guards = await open();
    const drawn = guards.order(book(relays), MOST);
    await guards.saved();
    await guards[Symbol.asyncDispose]();
    const now = clock.at;
    clock.at = 0;
    const again = await open();
    again.order(book([]), MOST);
    clock.at = now;
    expect(again.order(book(relays), MOST)).toEqual(drawn);
    await again[Symbol.asyncDispose]();
  });

  it('is kept although any number of hosts end its circuits', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    const [guard, other] = guards.order(book(relays), MOST) as [NodeId, NodeId];
    for (let circuit = 0; circuit < 20; circuit += 1) guards.stood([guard, other]);
    for (let round = 0; round < 10; round += 1) {
      for (const host of ids) {
        clock.at += 3_000;
        guards.lost([guard, other], host);
      }
    }
    expect(blamed).toEqual([]);
    expect(guards.view()[0]?.failed).toBeLessThanOrEqual(MAX_HOSTS_FAILURES);
  });

  it('whose operator runs all known relays is replaced by others of that operator while it is down', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    const { wallet } = relays[0] as SignedOffer;
    const alone = relays.slice(0, 5).map((offer) => ({ ...offer, wallet }));
    const [first] = guards.order(book(alone), MOST) as [NodeId];
    guards.unreachable(first);
    const order = guards.order(book(alone), MOST);
    expect(order.length).toBeGreaterThan(1);
    expect(order[0]).not.toBe(first);
    // Operators that are heard of later come in.
    const later = guards.order(book([...alone, ...relays.slice(5)]), MOST);
    expect(later.some((node) => relays.slice(5).some(({ nodeId }) => nodeId === node))).toBe(true);
  });

  it('because its link broke with all its circuits is kept', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    const [guard, other] = guards.order(book(relays), MOST) as [NodeId, NodeId];
    for (const host of ids) guards.lost([guard, other], host);
    expect(guards.view()[0]?.failed).toBe(1);
  });

  it('like those of all other guards is kept: the fault is elsewhere', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    for (let time = 0; time < 400; time += 1) {
      const [guard] = guards.order(book(relays), MOST) as [NodeId];
      guards.refused([guard, ids[time % 20] as NodeId, ids[(time + 7) % 20] as NodeId], 1, 1);
    }
    expect(blamed).toHaveLength(MAX_GIVEN_UP_GUARDS);
    expect(guards.order(book(relays), MOST)).toHaveLength(LEAST_GUARDS);
  });

  it('in a network of three operators is kept: a relay that fails is on every path', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    const few = relays.slice(0, 3);
    const [first] = guards.order(book(few), MOST) as [NodeId];
    const others = few.map(({ nodeId }) => nodeId).filter((node) => node !== first) as [NodeId, NodeId];
    for (let time = 0; time < 60; time += 1) guards.refused([first, ...others], 1, 1);
    expect(blamed).toEqual([]);
    expect(guards.order(book(few), MOST)).toHaveLength(3);
  });

  it('that makes honest relays seem to fail one by one gets only an eighth of them given up', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    const [bad] = guards.order(book(relays), MOST) as [NodeId];
    const others = ids.filter((node) => node !== bad);
    for (const victim of others) {
      for (let time = 0; time < 20; time += 1) {
        guards.refused([bad, victim, others[time % 19] as NodeId], 2, 1);
        // As many succeed as it takes to stay.
        for (const other of others.slice(0, 2)) guards.stood([bad, other]);
      }
    }
    expect(guards.order(book(relays), MOST)[0]).toBe(bad);
    expect([...guards.givenUp].length).toBeGreaterThan(0);
    expect([...guards.givenUp].length).toBeLessThanOrEqual(20 / 8);
  });

  it('is judged by its recent circuits', () => {
    const guards = createGuards({ nodeId: SELF, clock, log });
    const [guard, other] = guards.order(book(relays), MOST) as [NodeId, NodeId];
    for (let time = 0; time < 100; time += 1) guards.stood([guard, other]);
    clock.at += 28 * DAY;
    guards.stood([guard, other]);
    expect(guards.view()[0]?.tried).toBeLessThan(10);
  });
});

describe('the file of guards', () => {
  const relays = relaysOf(8);
  let file: string;
  beforeEach(async () => {
    file = path.join(folder, 'guards.json');
    const guards = await open(file);
    const [a, b, c] = guards.order(book(relays), MOST) as [NodeId, NodeId, NodeId];
    guards.stood([a, b, c]);
    await guards[Symbol.asyncDispose]();
  });

  it('is refused when any of it was changed or is missing: other guards are never drawn silently', async () => {
    const content = await readFile(file);
    const order = (await open(file)).order(book(relays), MOST);
    for (let at = 0; at < content.length; at += 7) {
      const spoiled = Buffer.from(content);
      spoiled[at] = (spoiled[at] ?? 0) ^ 1;
      await writeFile(file, spoiled);
      const came = await open(file).then(
        (guards) => guards.order(book(relays), MOST).join(),
        (error: Error & { readonly code?: string }) => `${error.message.includes(file)} ${error.code}`,
      );
      // A changed space between two fields changes nothing.
      expect(['true INVALID_ENCODING', 'true VERSION_UNSUPPORTED', order.join()]).toContain(came);
    }
    for (const length of [0, 1, content.length - 2, content.length >> 1]) {
      await writeFile(file, content.subarray(0, length));
      await expect(open(file)).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
    }
  });

  it.each([
    ['another version', { version: 3 }, 'VERSION_UNSUPPORTED'],
    ['another format', { format: 'x' }, 'INVALID_ENCODING'],
    ['a field that nobody knows', { more: 1 }, 'INVALID_ENCODING'],
    ['no guards', { guards: undefined }, 'INVALID_ENCODING'],
    ['guards without end', { guards: Array.from({ length: 5000 }, () => ({})) }, 'INVALID_ENCODING'],
  ])('with %s is refused', async (_what, change, code) => {
    const value = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...value, ...change }));
    await expect(open(file)).rejects.toMatchObject({ code });
  });

  it('of another node or wallet is refused and left alone: the same guards would tie both to each other', async () => {
    const [store, wallet] = [guardFile(file), 'a wallet'];
    await expect(openGuards({ store, nodeId: SELF, clock, log, wallet })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
    });
    const other = relaysOf(1)[0]?.nodeId as NodeId;
    await expect(openGuards({ store, nodeId: other, clock, log })).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    const before = await readFile(file);
    await rename(file, `${file}.old`);
    const guards = await openGuards({ store, nodeId: other, clock, log, wallet });
    const order = guards.order(book(relays), MOST);
    await guards.saved();
    const again = await openGuards({ store, nodeId: other, clock, log, wallet });
    expect(again.order(book(relays), MOST)).toEqual(order);
    await rename(`${file}.old`, file);
    await expect(open(file)).resolves.toBeDefined();
    expect(await readFile(file)).toEqual(before);
  });

  it('beyond any size is not read', async () => {
    await writeFile(file, Buffer.alloc(2 * 1024 * 1024, 32));
    await expect(open(file)).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
  });

  it(
    'is the old one or the new one, whenever the process is killed',
    async () => {
      const program = path.resolve(import.meta.dirname, 'writer.mjs');
      const orders = new Set<string>();
      for (let kill = 0; kill < 8; kill += 1) {
        const child = fork(program, [file], { stdio: 'ignore' });
        const exit = once(child, 'exit');
        // Each message is a write that is done; the next one is under way.
        for (let write = 0; write <= kill; write += 1) await Promise.race([once(child, 'message'), exit]);
        child.kill('SIGKILL');
        // One that ended by itself wrote nothing: it runs what "npm run build" made.
        expect((await exit)[1]).toBe('SIGKILL');
        orders.add(
          (await open(file))
            .view()
            .map(({ node }) => node)
            .join(),
        );
      }
      expect(orders.size).toBe(1);
    },
    LONG_MILLIS,
  );
});

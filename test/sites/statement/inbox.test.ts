/** An owner's inbox, as strangers find it who want something put into it, or pushed out. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { concatBytes } from '../../../core/codec.ts';
import { RelaymintError } from '../../../core/errors.ts';
import type { LedgerAddress } from '../../../core/ids.ts';
import {
  INBOX_QUESTIONS_AT_ONCE,
  MAX_BATCHES_AT_ONCE,
  MAX_STATEMENTS_IN_BATCH,
  STATEMENT_OLD_MILLIS,
} from '../../../core/limits.ts';
import { bytes, unixMillis } from '../../../core/units.ts';
import {
  LATER,
  REFUSED,
  TAKEN,
  createStatementsService,
  encodeBatchParams,
  openInbox,
  readInbox,
  sendStatements,
  type Inbox,
  type InboxOptions,
  type SignedStatement,
} from '../../../sites/statement/index.ts';
import { ByteReader } from '../../../sites/wire/index.ts';
import { Cleanup, TestClock, socketPair, temporaryFolder } from '../kit.ts';
import { statingHost } from './kit.ts';

const cleanup = new Cleanup();
afterEach(() => cleanup.run());

const clock = new TestClock();
const host = statingHost(1, clock);
const nonce = new Uint8Array(16).fill(7);

interface Opened {
  readonly inbox: Inbox;
  readonly file: string;
  /** What the ledger was asked. */
  readonly asked: string[];
}

/** An inbox of demo.web3, in a world where the wallet of `host` has a till. */
async function open(change: Partial<InboxOptions> = {}): Promise<Opened> {
  const file = path.join(await temporaryFolder(cleanup), 'inbox');
  const asked: string[] = [];
  const tills = new Set<LedgerAddress>([host.wallet.address]);
  const inbox = await openInbox({
    file,
    isOurs: (name) => Promise.resolve(asked.push(name) > 0 && name === 'demo.web3'),
    sells: (wallet) => Promise.resolve(asked.push(wallet) > 0 && tills.has(wallet)),
    clock,
    ...change,
  });
  return { inbox, file, asked };
}

function encodedOf(statements: readonly SignedStatement[]): Uint8Array[] {
  return statements.map(({ encoded }) => encoded);
}

async function kept(file: string): Promise<readonly number[]> {
  return (await readInbox(file)).map((one): number => one.bytes);
}

describe("an owner's inbox", () => {
  it('keeps the highest statement of each stream, once, whoever brings it how often', async () => {
    const { inbox, file } = await open();
    const [low, high] = [5, 9].map((size) => host.state({ nonce, bytes: bytes(size) }).encoded);
    expect(await inbox.take([low!, high!, low!, high!])).toEqual([TAKEN, TAKEN, TAKEN, TAKEN]);
    const { length } = await readFile(file);
    // A replay is told the same, and costs no room.
    for (let again = 0; again < 5; again += 1) expect(await inbox.take([low!, high!])).toEqual([TAKEN, TAKEN]);
    expect((await readFile(file)).length).toBe(length);
    expect(inbox.size).toBe(1);
    expect(await kept(file)).toEqual([9]);
  });

  it.each<[string, () => Uint8Array]>([
    [
      'a forger changed by a byte',
      () => {
        const changed = Uint8Array.from(host.state().encoded);
        changed[150] = (changed[150] ?? 0) ^ 1;
        return changed;
      },
    ],
    ["is of another owner's name", () => host.state({ name: 'other.web3' }).encoded],
    ['is of a wallet without a till', () => statingHost(2, clock).state().encoded],
    ['is of a time to come', () => statingHost(1, { now: () => unixMillis(clock.now() + 7_200_000) }).state().encoded],
    [
      'is old',
      () => statingHost(1, { now: () => unixMillis(clock.now() - STATEMENT_OLD_MILLIS - 3_600_000) }).state().encoded,
    ],
    ['is noise', () => new Uint8Array(300).fill(9)],
    ['is empty', () => new Uint8Array(0)],
  ])('refuses what %s, and takes what stands beside it', async (_what, make) => {
    const { inbox, file } = await open();
    const verdicts = await inbox.take([make(), host.state({ bytes: bytes(3) }).encoded]);
    expect(verdicts).toEqual([REFUSED, TAKEN]);
    expect(await kept(file)).toEqual([3]);
  });

  it('asks the ledger about each name and wallet once, and no more than so often, whatever strangers send', async () => {
    const { inbox, asked } = await open();
    const names = Array.from({ length: 100 }, (_, index) => host.state({ name: `n${index}.web3` }));
    const verdicts = await inbox.take(encodedOf(names));
    expect(asked).toHaveLength(INBOX_QUESTIONS_AT_ONCE);
    expect(verdicts.slice(0, INBOX_QUESTIONS_AT_ONCE)).toEqual(
      Array.from({ length: INBOX_QUESTIONS_AT_ONCE }, () => REFUSED),
    );
    expect(new Set(verdicts.slice(INBOX_QUESTIONS_AT_ONCE))).toEqual(new Set([LATER]));
    await inbox.take(encodedOf(names.slice(0, INBOX_QUESTIONS_AT_ONCE)));
    expect(asked).toHaveLength(INBOX_QUESTIONS_AT_ONCE);
  });

  it('has the sender come again when the ledger does not answer', async () => {
    const { inbox } = await open({
      isOurs: () => Promise.reject(new RelaymintError('LEDGER_UNREACHABLE', 'It does not answer.')),
    });
    expect(await inbox.take([host.state().encoded])).toEqual([LATER]);
    expect(inbox.size).toBe(0);
  });

  it('has the same after a restart, without what the disk spoiled', async () => {
    const { inbox, file } = await open();
    await inbox.take(encodedOf([3, 4, 5].map((size) => host.state({ bytes: bytes(size) }))));
    await appendFile(file, 'bm9pc2U=\n\0\0\n');
    const [first = '', ...others] = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, [`AAAA${first.slice(4)}`, ...others].join('\n'));
    expect(await kept(file)).toEqual([4, 5]);
    const again = await openInbox({
      file,
      isOurs: () => Promise.resolve(true),
      sells: () => Promise.resolve(true),
      clock,
    });
    expect(again.size).toBe(2);
  });
});

describe('the statements service', () => {
  async function batch(inbox: Inbox, sent: Uint8Array, params: Uint8Array = encodeBatchParams()): Promise<number[]> {
    const [near, far] = await socketPair(cleanup);
    createStatementsService(inbox)(far, params);
    near.end(sent);
    const answer: number[] = [];
    const reader = new ByteReader(near);
    const run = async (): Promise<void> => {
      for (;;) {
        const next = await reader.takeOrEnd(1);
        if (next === undefined) return;
        answer.push(...next);
      }
    };
    await run().catch(() => undefined);
    return answer;
  }

  const one = host.state({ bytes: bytes(3) }).encoded;
  const framed = concatBytes(Uint8Array.of(one.length % 256, one.length >> 8), one);

  it('takes a batch, and tells of each statement what became of it', async () => {
    const { inbox } = await open();
    const [near, far] = await socketPair(cleanup);
    createStatementsService(inbox)(far, encodeBatchParams());
    const sent = [host.state(), host.state({ name: 'other.web3' }), host.state()];
    expect(await sendStatements(near, sent)).toEqual([TAKEN, REFUSED, TAKEN]);
    expect(inbox.size).toBe(2);
  });

  it.each<[string, Uint8Array, Uint8Array?]>([
    ['is cut off', concatBytes(Uint8Array.of(2), framed, framed.subarray(0, 100))],
    ['has more than a batch may', Uint8Array.of(MAX_STATEMENTS_IN_BATCH + 1)],
    ['is empty', Uint8Array.of(0)],
    ['announces a statement longer than any', Uint8Array.of(1, 0xff, 0xff)],
    ['is of another version', concatBytes(Uint8Array.of(1), framed), Uint8Array.of(9)],
  ])('keeps nothing of a batch that %s', async (_what, sent, params) => {
    const { inbox } = await open();
    expect(await batch(inbox, sent, params)).toEqual([]);
    expect(inbox.size).toBe(0);
    expect(await batch(inbox, concatBytes(Uint8Array.of(1), framed))).toEqual([TAKEN]);
  });

  it('reads so many batches at once, and the next one when one of them has ended', async () => {
    const { inbox } = await open();
    const serve = createStatementsService(inbox);
    const flooding = [];
    for (let count = 0; count < MAX_BATCHES_AT_ONCE; count += 1) {
      const [near, far] = await socketPair(cleanup);
      serve(far, encodeBatchParams());
      flooding.push(near);
    }
    const [refused, far] = await socketPair(cleanup);
    serve(far, encodeBatchParams());
    await once(refused.resume(), 'end');
    expect(inbox.size).toBe(0);
    const [ends] = flooding;
    ends!.resume().end();
    await once(ends!, 'end');
    const [near, last] = await socketPair(cleanup);
    serve(last, encodeBatchParams());
    expect(await sendStatements(near, [host.state()])).toEqual([TAKEN]);
  });
});

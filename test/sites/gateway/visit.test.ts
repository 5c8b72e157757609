/** How long a visitor waits, and that nobody waits for another one. Hosts are played. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RelaymintError } from '../../../core/errors.ts';
import { NAME_WAIT_MILLIS, VISITOR_IDLE_MILLIS, VISIT_MILLIS } from '../../../core/limits.ts';
import type { ContentSource } from '../../../sites/blocks/index.ts';
import { createContentSource, type ContentRoute } from '../../../sites/serve/index.ts';
import { Cleanup, rawBlock } from '../kit.ts';
import { startFront } from './kit.ts';

const cleanup = new Cleanup();
afterEach(async () => {
  vi.useRealTimers();
  await cleanup.run();
});

interface Searching {
  readonly source: ContentSource;
  /** The signals of the searches that were begun. */
  readonly searches: AbortSignal[];
}

/** A route is searched for and never found. */
function searching(visitMillis: number): Searching {
  const searches: AbortSignal[] = [];
  const source = createContentSource({
    visitMillis,
    route: (_site, { signal }) => {
      searches.push(signal);
      return new Promise<ContentRoute>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    },
  });
  cleanup.add(() => source.close());
  return { source, searches };
}

describe('a visit that finds no host', () => {
  it('is told so with a status and a remedy, before its idle connection would be closed', async () => {
    expect(NAME_WAIT_MILLIS + VISIT_MILLIS).toBeLessThan(VISITOR_IDLE_MILLIS);
    const { source, searches } = searching(200);
    const front = await startFront(cleanup, { content: () => source });
    await front.publish('demo.web3', { 'index.html': 'front' });
    const answer = await front.get('/');
    expect([answer.status, answer.headers['retry-after']]).toEqual([504, '60']);
    expect(answer.text).toContain('No host of this site answered in time');
    expect(answer.text).toContain('Try again in a minute');
    expect(searches.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('ends as well if the ledger does not answer for the name', async () => {
    const resolver = { resolve: () => new Promise<never>(() => {}), refresh: () => {} };
    const front = await startFront(cleanup, { resolver, nameWaitMillis: 50 });
    const answer = await front.get('/');
    expect([answer.status, answer.headers['retry-after']]).toEqual([504, '5']);
    expect(answer.text).toContain('Try again in a moment');
  });

  const { cid } = rawBlock('never delivered');
  const visit = async (source: ContentSource, signal: AbortSignal): Promise<unknown> => {
    const content = await source.open({ name: 'demo.web3', root: cid }, { signal });
    try {
      return await content.get(cid);
    } finally {
      content.close();
    }
  };

  it('ends with its visitor, and the search with the last one who waits for it', async () => {
    const { source, searches } = searching(60_000);
    const [one, two] = [new AbortController(), new AbortController()];
    const visits = [visit(source, one.signal), visit(source, two.signal)];
    await expect.poll(() => searches).toHaveLength(1);
    one.abort(new DOMException('left', 'AbortError'));
    await expect(visits[0]).rejects.toMatchObject({ code: 'ABORTED' });
    expect(searches[0]?.aborted).toBe(false);
    two.abort(new DOMException('left', 'AbortError'));
    await expect(visits[1]).rejects.toMatchObject({ code: 'ABORTED' });
    expect(searches[0]?.aborted).toBe(true);
    const three = visit(source, new AbortController().signal);
    await expect.poll(() => searches).toHaveLength(2);
    await (source as ContentSource & { close(): Promise<void> }).close();
    await expect(three).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('beside many others leaves nothing behind, and warns of nothing', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    cleanup.add(() => process.off('warning', onWarning));
    const { source, searches } = searching(60_000);
    const leaving = Array.from({ length: 30 }, () => new AbortController());
    const visits = leaving.map(async ({ signal }, index) => {
      const content = await source.open({ name: `site-${index}.web3`, root: cid }, { signal });
      await Promise.allSettled(
        Array.from({ length: 12 }, () => content.get(cid, { signal: new AbortController().signal })),
      );
      content.close();
    });
    await expect.poll(() => searches).toHaveLength(30);
    for (const visitor of leaving) visitor.abort(new DOMException('left', 'AbortError'));
    await Promise.all(visits);
    // Warnings are told on a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  it('is not ended by another one that has waited longer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { source, searches } = searching(1_000);
    const settled: string[] = [];
    const begin = (who: string): void => {
      visit(source, new AbortController().signal).catch((error: RelaymintError) =>
        settled.push(`${who} ${error.code}`),
      );
    };
    begin('early');
    await vi.advanceTimersByTimeAsync(600);
    begin('late');
    await vi.advanceTimersByTimeAsync(400);
    expect(settled).toEqual(['early TIMEOUT']);
    expect(searches.map(({ aborted }) => aborted)).toEqual([false]);
    await vi.advanceTimersByTimeAsync(599);
    expect(settled).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toEqual(['early TIMEOUT', 'late TIMEOUT']);
    expect(searches.map(({ aborted }) => aborted)).toEqual([true]);
  });
});

import { describe, expect, it } from 'vitest';
import { NAME_CACHE_MILLIS } from '../../../core/limits.ts';
import { unixSeconds } from '../../../core/units.ts';
import { createNameResolver } from '../../../sites/name/index.ts';
import { NameBook, TestClock, rawBlock } from '../kit.ts';

const first = rawBlock('one').cid;
const second = rawBlock('two').cid;

describe('name resolver', () => {
  it('asks the ledger once for a few seconds, then sees an update', async () => {
    const ledger = new NameBook();
    const clock = new TestClock();
    const resolver = createNameResolver({ ledger, clock });
    ledger.register('demo.web3', first.bytes);
    const answers = await Promise.all([resolver.resolve('demo.web3'), resolver.resolve('DEMO.web3')]);
    expect(answers.map(({ root }) => root.toString())).toEqual([first.toString(), first.toString()]);
    ledger.register('demo.web3', second.bytes);
    expect((await resolver.resolve('demo.web3')).root).toEqual(first);
    expect(ledger.questions).toBe(1);
    clock.advance(NAME_CACHE_MILLIS);
    expect((await resolver.resolve('demo.web3')).root).toEqual(second);
    expect(ledger.questions).toBe(2);
  });

  it('never goes back to an older record', async () => {
    const ledger = new NameBook();
    const clock = new TestClock();
    const resolver = createNameResolver({ ledger, clock });
    const old = ledger.register('demo.web3', first.bytes);
    ledger.register('demo.web3', second.bytes);
    expect((await resolver.resolve('demo.web3')).root).toEqual(second);
    for (const lagging of [old, undefined]) {
      if (lagging === undefined) ledger.records.delete('demo.web3');
      else ledger.records.set('demo.web3', lagging);
      resolver.refresh('demo.web3');
      expect((await resolver.resolve('demo.web3')).root).toEqual(second);
    }
    expect(ledger.questions).toBe(3);
  });

  it('resolves a name in its grace period, and refuses one that has expired', async () => {
    const ledger = new NameBook();
    const resolver = createNameResolver({ ledger, cacheMillis: 0 });
    ledger.register('late.web3', first.bytes, undefined, 'grace');
    expect((await resolver.resolve('late.web3')).root).toEqual(first);
    ledger.register('late.web3', first.bytes, undefined, 'expired');
    await expect(resolver.resolve('late.web3')).rejects.toMatchObject({ code: 'NAME_EXPIRED' });
    ledger.register('late.web3', second.bytes);
    expect((await resolver.resolve('late.web3')).root).toEqual(second);
  });

  it('does not take back a renewal that a lagging ledger has not heard of', async () => {
    const ledger = new NameBook();
    const resolver = createNameResolver({ ledger, cacheMillis: 0 });
    const old = ledger.register('renewed.web3', first.bytes);
    const renewed = { ...old, expiresAt: unixSeconds((old.expiresAt ?? 0n) + 1n) };
    ledger.records.set('renewed.web3', renewed);
    await resolver.resolve('renewed.web3');
    ledger.records.set('renewed.web3', { ...old, status: 'expired' });
    expect((await resolver.resolve('renewed.web3')).record).toEqual(renewed);
    ledger.records.set('renewed.web3', { ...renewed, status: 'expired' });
    await expect(resolver.resolve('renewed.web3')).rejects.toMatchObject({ code: 'NAME_EXPIRED' });
  });

  it('tells unknown names, names without content, and broken roots apart', async () => {
    const ledger = new NameBook();
    const resolver = createNameResolver({ ledger });
    ledger.register('empty.web3', new Uint8Array(0));
    ledger.register('broken.web3', new Uint8Array([9, 9, 9]));
    await expect(resolver.resolve('nobody.web3')).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
    await expect(resolver.resolve('empty.web3')).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(resolver.resolve('broken.web3')).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await expect(resolver.resolve('no name')).rejects.toMatchObject({ code: 'NAME_INVALID' });
  });

  it('does not remember a failure of the ledger', async () => {
    let down = true;
    const ledger = new NameBook();
    ledger.register('demo.web3', first.bytes);
    const resolver = createNameResolver({
      ledger: { name: (name) => (down ? Promise.reject(new Error('down')) : ledger.name(name)) },
    });
    await expect(resolver.resolve('demo.web3')).rejects.toThrow('down');
    down = false;
    expect((await resolver.resolve('demo.web3')).root).toEqual(first);
  });
});

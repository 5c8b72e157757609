import { NO_CARRY } from '../../ledger/royalty.ts';
import { describe, expect, it } from 'vitest';
import { ledgerAddress } from '../../core/ids.ts';
import { amount, unixSeconds } from '../../core/units.ts';
import type { NameRecord } from '../../ledger/contract.ts';
import {
  changedLines,
  nameLines,
  nameValue,
  parseCid,
  parseSplit,
  priceText,
  registrationText,
  renewalHint,
  wholeSplits,
} from '../../cli/commands/name-text.ts';

const account = ledgerAddress(new Uint8Array(32).fill(7));
const other = ledgerAddress(new Uint8Array(32).fill(8));

describe('splits on a command line', () => {
  it.each([
    ['25%', 2500],
    ['2500bps', 2500],
    ['33.33%', 3333],
    ['100%', 10_000],
    ['0.01%', 1],
    ['1bps', 1],
  ])('%s is %d basis points', (share, bps) => {
    expect(parseSplit(`${account}=${share}`)).toEqual({ account, bps });
  });

  it.each([
    '',
    '25%',
    String(account),
    `${account}=`,
    `${account}=0`,
    `${account}=2500`,
    `${account}=10001bps`,
    `${account}=25%=`,
    `${account}=100.01%`,
  ])('refuses "%s"', (text) => {
    expect(() => parseSplit(text)).toThrow(/is not a split/);
  });

  it.each([
    [`${account}=2.5`, 'INVALID_ARGUMENT'],
    [`${account}=-1`, 'INVALID_ARGUMENT'],
    [`${account}=1.005%`, 'INVALID_ARGUMENT'],
    ['nobody=25%', 'INVALID_ARGUMENT'],
  ])('refuses "%s" too', (text, code) => {
    expect(() => parseSplit(text)).toThrow(expect.objectContaining({ code }));
  });

  it('must sum to the whole', () => {
    const half = { account, bps: 5_000 };
    expect(wholeSplits([])).toBeUndefined();
    expect(wholeSplits([half, half])).toHaveLength(2);
    expect(() => wholeSplits([half])).toThrow('The splits sum to 50%, not to 100%.');
  });
});

const plain: NameRecord = {
  name: 'old.web3',
  address: account,
  owner: account,
  manager: account,
  registeredAt: unixSeconds(1n),
  expiresAt: undefined,
  status: 'held' as const,
  seq: 0n,
  root: Uint8Array.of(9),
  manifest: new Uint8Array(),
  royaltyBps: 0,
  referrerBps: 0,
  splits: [{ account, bps: 10_000, owed: amount(0n) }],
  carry: NO_CARRY,
  accrued: amount(0n),
  lifetime: amount(0n),
  transfers: 0,
};

describe('what is said of names', () => {
  it('prices and reminders', () => {
    expect(priceText(amount(0n))).toBe('nothing');
    expect(priceText(amount(1_000_000n))).toBe('1 credit');
    expect(priceText(amount(2_500_000n))).toBe('2.5 credits');
    expect(renewalHint('a.web3', 1)).toBe('a.web3 expires in 1 day. Renew it with: relaymint name renew a.web3');
    expect(renewalHint('a.web3', -1)).toContain('a.web3 has expired.');
  });

  it('the steps of a registration', () => {
    expect(registrationText('a.web3', { step: 'commit' })).toBe('Committing to a.web3 ..');
    expect(registrationText('a.web3', { step: 'wait', seconds: 59 })).toContain('59 seconds');
    expect(registrationText('a.web3', { step: 'reveal' })).toBe('Registering a.web3 ..');
  });

  it('a name without a term never expires', () => {
    const record = plain;
    const text = nameLines({ name: 'old.web3', record, yearPrice: amount(0n), now: unixSeconds(9n) });
    expect(text).toMatch(/expires +never/);
    expect(text).toMatch(/root +not a CID/);
    expect(text).toMatch(/royalty +0%/);
    expect(text).not.toContain('manager');
    expect(text).not.toContain('referrers');
    const shown = { ...record, referrerBps: 1_250 };
    expect(nameLines({ name: 'old.web3', record: shown, yearPrice: amount(0n), now: unixSeconds(9n) })).toMatch(
      /referrers +12.5% of the royalty/,
    );
    expect(changedLines(record, shown)).toMatch(/referrer's share +0% -> 12.5%/);
    expect(nameValue({ name: 'old.web3', record: shown, yearPrice: amount(0n), now: unixSeconds(9n) })).toMatchObject({
      referrerBps: 1_250,
    });
  });

  it('a recovery, loudly while it is under way', () => {
    const recovery = { key: other, delay: 129_600, pending: undefined };
    const of = (change: Partial<NameRecord>): NameRecord => ({ ...plain, ...change });
    const text = (record: NameRecord, now: bigint): string =>
      nameLines({ name: plain.name, record, yearPrice: amount(0n), now: unixSeconds(now) });
    expect(text(of({ recovery }), 9n)).toMatch(
      new RegExp(`^${plain.name}\\n(.*\\n)* +recovery +${other}, after 1.5 days\\n`),
    );
    const pending = { to: account, at: unixSeconds(1_800_000_001n) };
    const begun = of({ recovery: { ...recovery, pending } });
    expect(text(begun, 9n).split('\n').slice(0, 2)).toEqual([
      `!! ${plain.name} is being recovered: it becomes ${account}'s on 2027-01-15 08:01 UTC.`,
      `!! If it is yours and you have its wallet: relaymint name recover ${plain.name} --cancel`,
    ]);
    expect(text(begun, pending.at)).toContain('as soon as anybody finishes it');
    expect(text({ ...begun, status: 'expired' }, 9n)).not.toContain('!!');
    expect(changedLines(plain, begun)).toMatch(/recovered for +nobody -> .* on 2027-01-15 08:01 UTC/);
    const value = nameValue({ name: plain.name, record: begun, yearPrice: amount(0n), now: unixSeconds(9n) });
    expect(value).toMatchObject({
      transfers: 0,
      recovery: { key: other, delaySeconds: 129_600, pending: { to: account, at: '1800000001' } },
    });
    expect(
      nameValue({ name: plain.name, record: plain, yearPrice: amount(0n), now: unixSeconds(9n) }),
    ).not.toHaveProperty('recovery');
  });

  it('content that is not a CID is refused before it is written', () => {
    expect(parseCid('none')).toEqual(new Uint8Array());
    expect(() => parseCid('Qm')).toThrow(/is not a CID/);
  });
});

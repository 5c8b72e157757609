/** How names are shown, to people as lines and to scripts as values; and how splits are written on a command line. */
import { CID } from 'multiformats/cid';
import { RelaymintError } from '../../core/errors.ts';
import { formatShare, parseShare } from '../../core/grammar.ts';
import { ledgerAddress } from '../../core/ids.ts';
import { MAX_REPLICAS } from '../../core/limits.ts';
import { formatCredits, type Amount, type UnixSeconds } from '../../core/units.ts';
import type { Published } from '../../app/market/index.ts';
import type { NameRecord, NameRecovery, RegistrationStep, Split } from '../../ledger/contract.ts';
import { daysBetween, namePrice, releasedAt } from '../../ledger/term.ts';
import { counted, table } from '../output.ts';
import { properties } from './transact.ts';

/** From then on a command that uses a name reminds of its renewal. */
export const RENEWAL_HINT_DAYS = 30;
const BPS_WHOLE = 10_000;
const DAY_SECONDS = 86_400;

/** What a name and its ledger say at one time. */
export interface NameSituation {
  readonly name: string;
  readonly record: NameRecord | undefined;
  /** What a year costs. */
  readonly yearPrice: Amount;
  /** The ledger's clock. */
  readonly now: UnixSeconds;
}

/** "account=2500bps" or "account=25%". @throws RelaymintError INVALID_ARGUMENT. */
export function parseSplit(text: string): Split {
  const [account = '', part = '', ...rest] = text.split('=');
  try {
    const bps = parseShare(part);
    if (bps > 0 && rest.length === 0) return { account: ledgerAddress(account), bps };
  } catch (error) {
    throw noSplit(text, error);
  }
  throw noSplit(text);
}

function noSplit(text: string, cause?: unknown): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `"${text}" is not a split.`, {
    remedy: 'Write ACCOUNT=25% or ACCOUNT=2500bps.',
    cause,
  });
}

/** @throws RelaymintError INVALID_ARGUMENT: splits must sum to the whole. */
export function wholeSplits(splits: readonly Split[]): readonly Split[] | undefined {
  if (splits.length === 0) return undefined;
  const sum = splits.reduce((total, { bps }) => total + bps, 0);
  if (sum === BPS_WHOLE) return splits;
  throw new RelaymintError('INVALID_ARGUMENT', `The splits sum to ${formatShare(sum)}, not to 100%.`, {
    remedy: 'List every account that shares in the revenue, so that they sum to 100%.',
  });
}

/** A CID as text, or "none". @throws RelaymintError INVALID_ARGUMENT. */
export function parseCid(text: string): Uint8Array {
  if (text === 'none') return new Uint8Array();
  try {
    return CID.parse(text).bytes;
  } catch (cause) {
    throw new RelaymintError('INVALID_ARGUMENT', `"${text}" is not a CID.`, {
      remedy: 'Give a CID that "relaymint site publish" printed, or "none".',
      cause,
    });
  }
}

export function nameValue({ name, record, yearPrice, now }: NameSituation): object {
  const price = { yearPrice: String(yearPrice) };
  if (record === undefined) return { name, registered: false, ...price, registrationPrice: String(yearPrice) };
  const { expiresAt, status } = record;
  const again = namePrice({ yearPrice, years: 1, expiresAt, now });
  return {
    name,
    registered: true,
    status,
    owner: record.owner,
    manager: record.manager,
    registeredAt: String(record.registeredAt),
    ...(expiresAt === undefined ? {} : { expiresAt: String(expiresAt), daysLeft: daysBetween(now, expiresAt) }),
    ...price,
    ...(status === 'expired' ? { registrationPrice: String(again) } : {}),
    seq: String(record.seq),
    root: cidText(record.root),
    manifest: cidText(record.manifest),
    royaltyBps: record.royaltyBps,
    referrerBps: record.referrerBps,
    splits: record.splits.map(({ account, bps, owed }) => ({ account, bps, owed: String(owed) })),
    accrued: String(record.accrued),
    lifetime: String(record.lifetime),
    transfers: record.transfers,
    ...(record.recovery === undefined ? {} : { recovery: recoveryValue(record.recovery) }),
  };
}

/** For programs. */
export function recoveryValue({ key, delay, pending }: NameRecovery): object {
  return { key, delaySeconds: delay, ...(pending && { pending: { to: pending.to, at: String(pending.at) } }) };
}

/** Of a recovery that is under way: what everybody should see. Empty without one. */
export function recoveryWarning({ name, recovery, status }: NameRecord, now: UnixSeconds): string {
  const pending = status === 'expired' ? undefined : recovery?.pending;
  if (pending === undefined) return '';
  const { to, at } = pending;
  const when = now < at ? `on ${momentText(at)}` : 'as soon as anybody finishes it';
  return (
    `!! ${name} is being recovered: it becomes ${to}'s ${when}.\n` +
    `!! If it is yours and you have its wallet: relaymint name recover ${name} --cancel\n`
  );
}

function recoveryText(recovery: NameRecovery): string {
  return `${recovery.key}, after ${counted(Math.round((recovery.delay / DAY_SECONDS) * 10) / 10, 'day')}`;
}

export function nameLines({ name, record, yearPrice, now }: NameSituation): string {
  const year = priceText(yearPrice);
  if (record === undefined) {
    return `${name} is free: it costs ${year} a year.\nRegister it with: relaymint name register ${name}`;
  }
  const { expiresAt, status } = record;
  const rows: (readonly [string, string])[] = [
    ['owner', record.owner],
    ...(record.manager === record.owner ? [] : [['manager', record.manager] as const]),
    ['expires', expiryText(record, now)],
    status === 'expired'
      ? ['price', `${priceText(namePrice({ yearPrice, years: 1, expiresAt, now }))} now, for a year`]
      : ['renewal', `${year} a year`],
    ['root', cidText(record.root) ?? 'none yet'],
    ...(record.manifest.length === 0 ? [] : [['manifest', cidText(record.manifest) ?? ''] as const]),
    ['royalty', formatShare(record.royaltyBps)],
    ...(record.referrerBps === 0 ? [] : [['referrers', `${formatShare(record.referrerBps)} of the royalty`] as const]),
    ...(record.recovery === undefined ? [] : [['recovery', recoveryText(record.recovery)] as const]),
    ['earned', `${formatCredits(record.lifetime)} credits in all, ${formatCredits(record.accrued)} not yet paid out`],
  ];
  const splits = table(
    [
      ['  SPLIT', 'SHARE', 'OWED'],
      ...record.splits.map(({ account, bps, owed }) => [`  ${account}`, formatShare(bps), formatCredits(owed)]),
    ],
    [1, 2],
  );
  return `${recoveryWarning(record, now)}${name}\n${properties(rows)}\n\n${splits}`;
}

/** What differs between two records, one line each; empty when nothing does. */
export function changedLines(before: NameRecord, after: NameRecord): string {
  const of = (record: NameRecord): Readonly<Record<string, string>> => ({
    owner: record.owner,
    manager: record.manager,
    root: cidText(record.root) ?? 'none',
    manifest: cidText(record.manifest) ?? 'none',
    royalty: formatShare(record.royaltyBps),
    "referrer's share": formatShare(record.referrerBps),
    splits: record.splits.map(({ account, bps }) => `${account}=${formatShare(bps)}`).join(' '),
    recovery: record.recovery === undefined ? 'none' : recoveryText(record.recovery),
    'recovered for': pendingText(record),
  });
  const [was, is] = [of(before), of(after)];
  const rows = Object.keys(is).filter((field) => was[field] !== is[field]);
  return properties(rows.map((field) => [field, `${was[field] ?? ''} -> ${is[field] ?? ''}`]));
}

function pendingText({ recovery }: NameRecord): string {
  const pending = recovery?.pending;
  return pending === undefined ? 'nobody' : `${pending.to} on ${momentText(pending.at)}`;
}

/** One row per name. */
export function nameTable(records: readonly NameRecord[], now: UnixSeconds): string {
  return table([
    ['NAME', 'EXPIRES', 'ROYALTY', 'OWNER'],
    ...records.map((record) => [record.name, expiryText(record, now), formatShare(record.royaltyBps), record.owner]),
  ]);
}

export function registrationText(name: string, progress: RegistrationStep): string {
  if (progress.step === 'wait') {
    return `Waiting until ${name} can be registered: ${counted(progress.seconds, 'second')} ..`;
  }
  return progress.step === 'commit' ? `Committing to ${name} ..` : `Registering ${name} ..`;
}

export function renewalHint(name: string, daysLeft: number): string {
  const when = daysLeft < 0 ? 'has expired' : `expires in ${counted(daysLeft, 'day')}`;
  return `${name} ${when}. Renew it with: relaymint name renew ${name}`;
}

export function priceText(price: Amount): string {
  return price === 0n ? 'nothing' : `${formatCredits(price)} ${formatCredits(price) === '1' ? 'credit' : 'credits'}`;
}

export function dateText(time: UnixSeconds): string {
  return new Date(Number(time) * 1000).toISOString().slice(0, 10);
}

/** To the minute, rounded up: 2026-11-29 09:25 UTC. */
export function momentText(time: UnixSeconds): string {
  const minutes = Math.ceil(Number(time) / 60);
  return `${new Date(minutes * 60_000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function expiryText({ expiresAt, status }: NameRecord, now: UnixSeconds): string {
  const released = releasedAt(expiresAt);
  if (expiresAt === undefined || released === undefined) return 'never';
  const date = dateText(expiresAt);
  if (status === 'held') return `${date} (in ${counted(daysBetween(now, expiresAt), 'day')})`;
  if (status === 'grace') return `${date}: in grace, released in ${counted(daysBetween(now, released), 'day')}`;
  return `${date}: expired, anybody may register it`;
}

/** Without trailing zeros: 25%, 33.33%. */
function cidText(cid: Uint8Array): string | undefined {
  if (cid.length === 0) return undefined;
  try {
    return CID.decode(cid).toString();
  } catch {
    return 'not a CID';
  }
}

/** Of hosts that keep an older state of a name after a change, and how they are brought the new one. */
export function staleText(name: string, { hosts, stale }: Pick<Published, 'hosts' | 'stale'>): string {
  const replicas = Math.min(hosts.length + stale.length, MAX_REPLICAS);
  return (
    `Other hosts say that they keep ${name} and were not brought this: ${stale.join(', ')}. Visitors may get an older state from them.\n` +
    `To bring it to them: relaymint site repair ${name} --replicas ${replicas}`
  );
}

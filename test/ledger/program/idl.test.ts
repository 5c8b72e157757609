import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { toHex } from '../../../core/codec.ts';
import { TAGS } from '../../../ledger/solana/program/encoding.ts';
import * as program from '../../../ledger/solana/program/index.ts';
import * as term from '../../../ledger/term.ts';

const SOURCE = new URL('../../../ledger/program/', import.meta.url);
const field = z.strictObject({ name: z.string(), type: z.string(), offset: z.number(), size: z.number() });
const part = z.object({ name: z.string(), size: z.number(), fields: z.array(field) });
const idl = z
  .object({
    limits: z.record(z.string(), z.number()),
    instructions: z.array(
      z.object({ name: z.string(), tag: z.number(), accounts: z.array(z.object({ name: z.string() })) }),
    ),
    events: z.object({
      size: z.number(),
      lines: z.array(
        z.strictObject({
          name: z.string(),
          account: z.string(),
          who: z.string(),
          values: z.array(z.string()),
          channel: z.literal(true).optional(),
        }),
      ),
    }),
    accounts: z.array(part.extend({ discriminator: z.string(), repeated: part.optional(), list: part.optional() })),
    errors: z.array(z.strictObject({ number: z.number(), name: z.string(), message: z.string(), remedy: z.string() })),
  })
  .parse(JSON.parse(readFileSync(new URL('idl.json', SOURCE), 'utf8')));

/** What bytes are to the program, by their size: a discriminator is one number, a hash is like a key. */
const TYPES_OF_BYTES: Readonly<Record<number, string>> = { 8: 'u64', 32: 'pubkey' };

const rust = (name: string): string => readFileSync(new URL(`src/${name}.rs`, SOURCE), 'utf8');
const STATE = ['state', 'state/bank', 'state/till', 'state/name', 'state/commitment', 'state/claim']
  .map(rust)
  .join('\n');
const SETTINGS = ['initialize', 'settings'].map(rust).join('\n');
const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function account(name: string): (typeof idl.accounts)[number] {
  const found = idl.accounts.find((each) => each.name === name);
  if (found === undefined) throw new Error(`idl.json has no account ${name}`);
  return found;
}

describe('idl.json, the client and the Rust source agree', () => {
  it.each([
    ['bank', program.BANK_FIELDS, program.SIZES.bank],
    ['till', program.TILL_FIELDS, program.SIZES.tillHeader],
    ['name', program.NAME_FIELDS, program.SIZES.name],
    ['commitment', program.COMMITMENT_FIELDS, program.SIZES.commitment],
    ['claim', program.CLAIM_FIELDS, program.SIZES.claim],
  ] as const)('on each field of the %s', (name, fields, size) => {
    expect(account(name).fields).toEqual(fields);
    expect(account(name).size).toBe(size);
    expect(account(name).discriminator).toBe(toHex(program.DISCRIMINATORS[name]));
    expect(fields.reduce((sum, each) => sum + each.size, 0)).toBe(size);
  });

  it('on each field of slots and splits', () => {
    expect(account('till').repeated).toMatchObject({ size: program.SIZES.slot, fields: program.SLOT_FIELDS });
    expect(account('name').list).toMatchObject({ size: program.SIZES.split, fields: program.SPLIT_FIELDS });
    for (const [fields, size] of [
      [program.SLOT_FIELDS, program.SIZES.slot],
      [program.SPLIT_FIELDS, program.SIZES.split],
    ] as const) {
      expect(fields.reduce((sum, each) => sum + each.size, 0)).toBe(size);
    }
  });

  /** Offsets that state.rs gives its accessors, view by view. */
  it.each([
    ['Bank', program.BANK_FIELDS],
    ['Till', program.TILL_FIELDS],
    ['Slot', program.SLOT_FIELDS],
    ['Name', program.NAME_FIELDS],
    ['Split', program.SPLIT_FIELDS],
    ['Commitment', program.COMMITMENT_FIELDS],
    ['Claim', program.CLAIM_FIELDS],
  ] as const)('on the offsets that the program uses: %s', (view, fields) => {
    const body = STATE.split(`view!(${view});`)[1]?.split('view!(')[0] ?? '';
    const rows = [...body.matchAll(/^ {4}(?:number|key)!\((\w+), set_\w+,(?: (\w+),)? (\d+)\);/gm)];
    expect(rows.length).toBeGreaterThan(2);
    for (const [, name, type, offset] of rows) {
      const found = fields.find((each) => snake(each.name) === name);
      expect({ name, offset: found?.offset }).toEqual({ name, offset: Number(offset) });
      const expected = found?.type === 'bytes' ? TYPES_OF_BYTES[found.size] : found?.type;
      expect({ name, type: type ?? 'pubkey' }).toEqual({ name, type: expected });
    }
    const texts = [...body.matchAll(/put_text\((\d+), /g)].map((match) => Number(match[1]));
    const expected = fields.filter((each) => each.type === 'text64').map((each) => each.offset);
    expect(texts).toEqual(expected);
  });

  it('on the sizes', () => {
    const constants = STATE;
    for (const [name, value] of [
      ['BANK_SIZE', program.SIZES.bank],
      ['TILL_HEADER_SIZE', program.SIZES.tillHeader],
      ['SLOT_SIZE', program.SIZES.slot],
      ['NAME_SIZE', program.SIZES.name],
      ['FIRST_NAME_SIZE', program.FIRST_NAME.size],
      ['SPLIT_SIZE', program.SIZES.split],
      ['COMMITMENT_SIZE', program.SIZES.commitment],
      ['CLAIM_SIZE', program.SIZES.claim],
      ['MAX_SLOTS', program.MAX_SLOTS],
      ['MAX_NEW_SLOTS', program.MAX_NEW_SLOTS],
      ['MAX_SPLITS', program.MAX_SPLITS],
    ] as const) {
      expect(constants).toContain(`const ${name}: usize = ${value};`);
    }
    expect(idl.limits).toEqual({
      slots: program.MAX_SLOTS,
      newSlots: program.MAX_NEW_SLOTS,
      batchReceipts: program.MAX_BATCH_RECEIPTS,
      verifiedReceipts: program.MAX_VERIFIED_RECEIPTS,
      batchShares: program.MAX_BATCH_SHARES,
      batchNames: program.MAX_BATCH_NAMES,
      splits: program.MAX_SPLITS,
      nameBytes: program.MAX_NAME_BYTES,
      rootBytes: program.MAX_ROOT_BYTES,
      challengeSeconds: Number(program.MAX_CHALLENGE_SECONDS),
      challengeSlotsPerSecond: Number(program.CHALLENGE_SLOTS_PER_SECOND),
      bankRentCushion: Number(program.BANK_RENT_CUSHION),
      commitSeconds: program.MAX_COMMIT_SECONDS,
      recoveryDelayLeast: program.RECOVERY_DELAYS.least,
      recoveryDelayMost: program.RECOVERY_DELAYS.most,
      nameYearPrice: Number(program.MAX_NAME_YEAR_PRICE),
      commitmentLifeSeconds: Number(term.COMMITMENT_LIFE_SECONDS),
      graceSeconds: Number(term.GRACE_SECONDS),
      yearSeconds: Number(term.YEAR_SECONDS),
      years: term.MAX_YEARS,
      premiumYears: Number(term.PREMIUM_YEARS),
      premiumDays: Number(term.PREMIUM_DAYS),
      feeBps: program.MAX_FEE_BPS,
      decimals: program.CREDIT_DECIMALS,
    });
    for (const [name, text] of [
      ['MAX_CHALLENGE_SECONDS: u64', '7_776_000'],
      ['RENT_CUSHION: u64', String(program.BANK_RENT_CUSHION)],
      ['MAX_COMMIT_SECONDS: u32', '3_600'],
      ['MAX_NAME_YEAR_PRICE: u64', '1 << 40'],
      ['MAX_FEE_BPS: u16', '1_000'],
    ] as const) {
      expect(SETTINGS).toContain(`const ${name} = ${text};`);
    }
    expect(rust('request_close')).toContain(`const SLOTS_PER_SECOND: u64 = ${program.CHALLENGE_SLOTS_PER_SECOND};`);
    const recovery = rust('set_recovery').replaceAll('_', '');
    expect(recovery).toContain(`const MINDELAY: u32 = ${program.RECOVERY_DELAYS.least};`);
    expect(recovery).toContain(`const MAXDELAY: u32 = ${program.RECOVERY_DELAYS.most};`);
    expect(rust('settle')).toContain(`const MAX_RECEIPTS: usize = ${program.MAX_BATCH_RECEIPTS};`);
    expect(rust('settle_verified')).toContain(`const MAX_RECEIPTS: u8 = ${program.MAX_VERIFIED_RECEIPTS};`);
    expect(rust('shares')).toContain(`const MAX_SHARES: u8 = ${program.MAX_BATCH_SHARES};`);
    expect(rust('shares')).toContain('const MAX_NAMES: usize = 2 * MAX_SHARES as usize;');
    expect(rust('message')).toContain(`pub const MESSAGE_SIZE: usize = ${program.RECEIPT_BYTES};`);
    const terms = rust('term').replaceAll('_', '');
    for (const line of [
      `COMMITMENTLIFE: u64 = ${term.COMMITMENT_LIFE_SECONDS};`,
      `GRACE: u64 = ${term.GRACE_SECONDS};`,
      `YEAR: u64 = ${term.YEAR_SECONDS};`,
      `MAXYEARS: u8 = ${term.MAX_YEARS};`,
      `PREMIUMYEARSLOG2: u64 = ${Math.log2(Number(term.PREMIUM_YEARS))};`,
      `PREMIUMDAYS: u64 = ${term.PREMIUM_DAYS};`,
    ]) {
      expect(terms).toContain(line);
    }
    expect(rust('register_name')).toContain(`const MAX_NAME: usize = ${program.MAX_NAME_BYTES};`);
  });

  it('on the tags, and every instruction has its file and its test', () => {
    const tests = readdirSync(new URL('.', import.meta.url));
    expect(idl.instructions.map(({ name, tag }) => [name, tag])).toEqual(Object.entries(TAGS));
    for (const { name, tag } of idl.instructions) {
      expect(rust('lib')).toContain(`${tag} => ${snake(name)}::run(`);
      expect(rust(snake(name))).toContain(`//! ${tag} ${name}(`);
      expect(tests).toContain(`${snake(name).replaceAll('_', '-')}.test.ts`);
    }
  });

  it('on the events: one line for each instruction', () => {
    expect(idl.events.size).toBe(program.EVENT_SIZE);
    expect(rust('event')).toContain(`pub const SIZE: usize = ${program.EVENT_SIZE};`);
    expect(idl.events.lines).toEqual(Object.entries(program.EVENTS).map(([name, layout]) => ({ name, ...layout })));
    expect(idl.events.lines.map(({ name }) => name)).toEqual(Object.keys(program.EVENT_TAGS));
    expect(rust('shares')).toContain(`const NAME_EARNED: u8 = ${program.EVENT_TAGS.nameEarned};`);
    for (const { name, tag } of idl.instructions) {
      // Both ways to settle end in one place.
      const own = name.startsWith('settle') ? `tag: ${tag},` : `event::emit(${tag}, `;
      expect(rust(snake(name)).split(own)).toHaveLength(2);
    }
    expect(rust('shares')).toContain('event::emit(tag, ');
  });

  it('on the errors', () => {
    const entries = program.PROGRAM_ERRORS.map(({ number, name, message, remedy }) => ({
      number,
      name,
      message,
      remedy,
    }));
    expect(idl.errors).toEqual(entries);
    const inRust = [...rust('error').matchAll(/^ {4}(\w+) = (\d+),$/gm)].map(([, name, number]) => [
      name,
      Number(number),
    ]);
    expect(inRust).toEqual(entries.map(({ number, name }) => [name, number]));
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length);
  });

  it('on errors that the program really raises: none is left without a use', () => {
    const all = readdirSync(new URL('src/', SOURCE), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.rs'))
      .map((file) => rust(file.replace('.rs', '')))
      .join('\n');
    for (const { name } of program.PROGRAM_ERRORS) expect(all).toContain(`Error::${name}`);
  });
});

/** docs/program.md is the IDL for people (`npm test -- test/house/program-reference.test.ts -u` writes it anew). */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import * as program from '../../ledger/solana/program/index.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const field = z.object({ name: z.string(), type: z.string(), offset: z.number(), size: z.number() });
const part = z.object({ name: z.string(), size: z.number(), fields: z.array(field), count: z.string().optional() });
const idl = z
  .object({
    conventions: z.string(),
    addresses: z.record(z.string(), z.array(z.string())),
    channelId: z.string(),
    receipt: z.array(z.object({ name: z.string(), offset: z.number() })),
    limits: z.record(z.string(), z.number()),
    instructions: z.array(
      z.object({
        name: z.string(),
        tag: z.number(),
        docs: z.string(),
        accounts: z.array(
          z.object({
            name: z.string(),
            writable: z.boolean().optional(),
            signer: z.boolean().optional(),
            optional: z.boolean().optional(),
            repeated: z.string().optional(),
          }),
        ),
        args: z.array(z.object({ name: z.string(), type: z.unknown() })),
      }),
    ),
    events: z.object({
      docs: z.string(),
      size: z.number(),
      lines: z.array(z.object({ name: z.string(), account: z.string(), who: z.string(), values: z.array(z.string()) })),
    }),
    accounts: z.array(
      part.extend({
        discriminator: z.string(),
        docs: z.string().optional(),
        repeated: part.optional(),
        list: part.optional(),
      }),
    ),
    errors: z.array(z.object({ number: z.number(), name: z.string(), message: z.string(), remedy: z.string() })),
  })
  .parse(JSON.parse(readFileSync(path.join(root, 'ledger/program/idl.json'), 'utf8')));

type Instruction = (typeof idl.instructions)[number];
type Part = z.infer<typeof part>;

it('docs/program.md says what the IDL says', async () => {
  await expect(`${reference().join('\n\n')}\n`).toMatchFileSnapshot(path.join(root, 'docs/program.md'));
});

it('the client has a builder for each instruction and a decoder for each account', () => {
  const exported = new Set(Object.keys(program));
  const builders = idl.instructions.map(({ name }) => name);
  const decoders = idl.accounts.map(({ name }) => `decode${name.slice(0, 1).toUpperCase()}${name.slice(1)}`);
  expect([...builders, ...decoders].filter((name) => !exported.has(name))).toEqual([]);
});

function reference(): string[] {
  return [
    '# The program: accounts, instructions, events, errors',
    'Written from `ledger/program/idl.json`; a test compares them. The typed client of all this is `program` in\n`relaymint/ledger`, see [the client](ledger-client.md).',
    idl.conventions,
    '## Addresses',
    table(
      ['address', 'derived from'],
      Object.entries(idl.addresses).map(([name, seeds]) => [name, code(seeds.join(', '))]),
    ),
    `A channel's id: ${idl.channelId}.`,
    '## Accounts',
    ...idl.accounts.flatMap((account) => [
      `### ${account.name}`,
      [
        `${account.size} bytes, discriminator ${code(account.discriminator)}.`,
        ...(account.docs === undefined ? [] : [account.docs]),
      ].join(' '),
      fieldTable(account),
      ...[account.repeated, account.list].filter((one) => one !== undefined).flatMap(partSections),
    ]),
    '## Receipt',
    table(
      ['offset', 'field'],
      idl.receipt.map(({ name, offset }) => [String(offset), name]),
    ),
    '## Instructions',
    ...idl.instructions.flatMap((instruction) => [`### ${instruction.name}`, ...instructionSections(instruction)]),
    '## Events',
    `${idl.events.docs} ${idl.events.size} bytes.`,
    table(
      ['event', 'account', 'who', 'numbers'],
      idl.events.lines.map(({ name, account, who, values }) => [name, account, who, values.join(', ')]),
    ),
    '## Limits',
    table(
      ['limit', 'value'],
      Object.entries(idl.limits).map(([name, value]) => [name, String(value)]),
    ),
    '## Errors',
    table(
      ['number', 'name', 'what happened', 'what to do'],
      idl.errors.map(({ number, name, message, remedy }) => [String(number), name, message, remedy]),
    ),
  ];
}

function instructionSections({ tag, docs, accounts, args }: Instruction): string[] {
  const rows = accounts.map(({ name, writable, signer, optional, repeated }) => [
    name,
    [
      ...(signer === true ? ['signs'] : []),
      ...(writable === true ? ['writable'] : []),
      ...(optional === true ? ['optional'] : []),
      ...(repeated === undefined ? [] : [`one for each of ${repeated}`]),
    ].join(', '),
  ]);
  const data = args.map(({ name, type }) => [name, code(typeof type === 'string' ? type : JSON.stringify(type))]);
  return [
    `Tag ${tag}. ${docs}`,
    table(['account', ''], rows),
    ...(data.length === 0 ? [] : [table(['data', 'type'], data)]),
  ];
}

function partSections(one: Part): string[] {
  return [`Each ${one.name}, ${one.size} bytes, as many as ${code(one.count ?? '')} says:`, fieldTable(one)];
}

function fieldTable({ fields }: Part): string {
  const shown = fields.filter(({ type }) => type !== 'pad');
  return table(
    ['offset', 'size', 'field', 'type'],
    shown.map(({ name, type, offset, size }) => [String(offset), String(size), name, type]),
  );
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Padded as the formatter does it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...escaped.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  const [first = [], ...others] = escaped;
  return [line(first), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others.map(line)].join('\n');
}

/** What an account of the model looks like on the chain, by idl.json's layouts, and where two images differ. */
import type { Label } from '../model/calls.ts';
import type { World } from '../model/world.ts';
import type { Book } from './book.ts';
import { IDL } from './idl.ts';
import type { Field } from './idl.ts';

type Kind = Idl['name'];
type Idl = (typeof IDL.accounts)[number];
type Row = Readonly<Record<string, unknown>>;

const LAYOUTS: ReadonlyMap<Kind, Idl> = new Map(IDL.accounts.map((layout) => [layout.name, layout]));
/** Of the token program, as far as they vary. */
const PURSE_SIZE = 165;
const MINT_SIZE = 82;
const TOKEN_LAYOUTS: Readonly<Record<string, readonly Field[]>> = {
  purse: [
    { name: 'mint and owner', type: 'bytes', offset: 0, size: 64 },
    { name: 'credits', type: 'u64', offset: 64, size: 8 },
    { name: 'state', type: 'bytes', offset: 72, size: PURSE_SIZE - 72 },
  ],
  mint: [
    { name: 'authority', type: 'bytes', offset: 0, size: 36 },
    { name: 'supply', type: 'u64', offset: 36, size: 8 },
    { name: 'state', type: 'bytes', offset: 44, size: MINT_SIZE - 44 },
  ],
};
const MAX_SPLITS = 8;
/** Records are never changed, so their images are kept. */
const images = new WeakMap<object, Uint8Array>();

/** undefined: there is no such account. */
export function imageOf(world: World, book: Book, label: Label): Uint8Array | undefined {
  const bank = label === 'bank' ? world.banks.get(label) : undefined;
  if (bank !== undefined)
    return cached(bank, () => account(book, label, 'bank', { ...bank, address: 'bank', mint: 'mint' }));
  const till = world.tills.get(label);
  if (till !== undefined) {
    return cached(till, () => {
      const slots = till.slots.map((slot) => cached(slot, () => fields(book, layoutOf('till').repeated, slot)));
      return Buffer.concat([
        account(book, label, 'till', { ...till, address: label, slotCount: till.slots.length }),
        ...slots,
      ]);
    });
  }
  const name = world.names.get(label);
  if (name !== undefined) {
    return cached(name, () => {
      const image = account(book, label, 'name', { ...name, splitCount: name.splits.length });
      const { list, fields: all } = layoutOf('name');
      const start = all.find((field) => field.name === list?.at)?.offset ?? 0;
      for (const [index, split] of name.splits.entries()) {
        image.set(fields(book, list, split), start + index * (list?.size ?? 0));
      }
      return image;
    });
  }
  const commitment = world.commitments.get(label);
  if (commitment !== undefined) return cached(commitment, () => account(book, label, 'commitment', commitment));
  const claim = world.claims.get(label);
  if (claim !== undefined) return cached(claim, () => account(book, label, 'claim', claim));
  const purse = world.purses.get(label);
  if (purse !== undefined) return cached(purse, () => purseImage(book, purse.owner, purse.credits));
  const supply = label === 'mint' ? world.supply.get(label) : undefined;
  return supply === undefined ? undefined : mintImage(book, supply);
}

/** Which fields of two images of one account differ, in words. */
export function differences(label: Label, expected: Uint8Array, found: Uint8Array): readonly string[] {
  const [kind = ''] = label.split(' ');
  const layout = LAYOUTS.get(kind);
  const lines: string[] = [];
  if (expected.length !== found.length) lines.push(`${label}: ${found.length} bytes instead of ${expected.length}`);
  const compare = (title: string, all: readonly Field[], at: number): void => {
    for (const { name, offset, size, type } of all) {
      const [want, have] = [expected, found].map((image) =>
        show(type, image.subarray(at + offset, at + offset + size)),
      );
      if (want !== have) lines.push(`${title}.${name}: ${have} instead of ${want}`);
    }
  };
  if (layout === undefined) {
    compare(label, TOKEN_LAYOUTS[kind] ?? [], 0);
    return lines;
  }
  const { list, repeated } = layout;
  const plain = layout.fields.filter(({ name }) => name !== list?.at);
  compare(label, plain, 0);
  if (list !== undefined) {
    const at = layout.fields.find(({ name }) => name === list.at)?.offset ?? 0;
    for (let index = 0; index < MAX_SPLITS; index += 1) {
      compare(`${label}.splits[${index}]`, list.fields, at + index * list.size);
    }
  }
  if (repeated !== undefined) {
    for (let at = layout.size; at < expected.length; at += repeated.size) {
      compare(`${label}.slots[${(at - layout.size) / repeated.size}]`, repeated.fields, at);
    }
  }
  return lines;
}

function cached(record: object, make: () => Uint8Array): Uint8Array {
  const known = images.get(record);
  if (known !== undefined) return known;
  const image = make();
  images.set(record, image);
  return image;
}

function layoutOf(kind: Kind): Idl {
  const found = LAYOUTS.get(kind);
  if (found === undefined) throw new RangeError(`idl.json has no ${kind}`);
  return found;
}

function account(book: Book, label: Label, kind: Kind, row: object): Uint8Array {
  const layout = layoutOf(kind);
  const discriminator = new Uint8Array(Buffer.from(layout.discriminator, 'hex'));
  return fields(book, layout, { ...row, discriminator, bump: book.place(label).bump });
}

function fields(book: Book, layout: Pick<Idl, 'size' | 'fields'> | undefined, row: object): Uint8Array {
  const image = Buffer.alloc(layout?.size ?? 0);
  for (const field of layout?.fields ?? []) put(book, image, field, (row as Row)[field.name]);
  return image;
}

/** `pad`s and whatever the record does not have stay zero; so do lists, which are put in afterwards. */
function put(book: Book, image: Buffer, { type, offset, size }: Field, value: unknown): void {
  if (type === 'pad' || type === 'list' || value === null) return;
  if (type === 'pubkey' && typeof value === 'string') image.set(book.key(value), offset);
  else if (type === 'text64') {
    const text = typeof value === 'string' ? Buffer.from(value) : (value as Uint8Array);
    image[offset] = text.length;
    image.set(text, offset + 1);
  } else if (value instanceof Uint8Array) image.set(value, offset);
  else if (typeof value === 'bigint') image.writeBigUInt64LE(value, offset);
  else if (typeof value === 'number') image.writeUIntLE(value, offset, size);
  else throw new TypeError(`no value for a ${type} at ${offset}`);
}

function purseImage(book: Book, owner: Label, credits: bigint): Uint8Array {
  const image = Buffer.alloc(PURSE_SIZE);
  image.set(book.key('mint'), 0);
  image.set(book.key(owner), 32);
  image.writeBigUInt64LE(credits, 64);
  // Initialized.
  image[108] = 1;
  return image;
}

/** Six decimals, the bank as authority, nobody who could freeze. */
function mintImage(book: Book, supply: bigint): Uint8Array {
  const image = Buffer.alloc(MINT_SIZE);
  image.writeUInt32LE(1, 0);
  image.set(book.key('bank'), 4);
  image.writeBigUInt64LE(supply, 36);
  image[44] = 6;
  image[45] = 1;
  return image;
}

function show(type: string, bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  const isNumber = type.startsWith('u') || type.startsWith('i');
  return isNumber ? BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`).toString() : hex;
}

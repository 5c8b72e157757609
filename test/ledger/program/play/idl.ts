/** idl.json, as far as the play reads it. */
import { readFileSync } from 'node:fs';

export type ArgumentType =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'pubkey'
  | { readonly bytes: number | 'u8' }
  | {
      readonly list: 'u16' | 'settleReceipt' | Readonly<Record<string, ArgumentType>>;
      readonly count: string;
    };

export interface Idl {
  readonly instructions: readonly {
    readonly name: string;
    readonly tag: number;
    readonly accounts: readonly {
      readonly name: string;
      readonly writable?: boolean;
      readonly signer?: boolean;
      readonly optional?: boolean;
      readonly repeated?: string;
    }[];
    readonly args: readonly { readonly name: string; readonly type: ArgumentType; readonly flag?: number }[];
  }[];
  readonly accounts: readonly {
    readonly name: string;
    readonly discriminator: string;
    readonly size: number;
    readonly fields: readonly Field[];
    readonly repeated?: { readonly size: number; readonly fields: readonly Field[] };
    readonly list?: { readonly at: string; readonly size: number; readonly fields: readonly Field[] };
  }[];
  readonly errors: readonly { readonly number: number; readonly name: string }[];
}

export interface Field {
  readonly name: string;
  readonly type: string;
  readonly offset: number;
  readonly size: number;
}

export const IDL: Idl = JSON.parse(
  readFileSync(new URL('../../../../ledger/program/idl.json', import.meta.url), 'utf8'),
) as Idl;
export const INSTRUCTIONS: ReadonlyMap<string, Idl['instructions'][number]> = new Map(
  IDL.instructions.map((each) => [each.name, each]),
);

/** What an RPC method is, and the parameter shapes that several share. */
import { isAddress } from '@solana/kit';
import bs58 from 'bs58';
import { z } from 'zod';
import type { Chain } from '../chain.ts';
import { RPC, RpcError } from '../rpc-error.ts';

/** Answers with the `result` member. bigint values become exact JSON numbers. @throws RpcError */
export type Method = (chain: Chain, params: readonly unknown[]) => unknown;
export type MethodTable = Readonly<Record<string, Method>>;

export const addressText: z.ZodType<string> = z
  .string()
  .max(64)
  .refine((text) => isAddress(text), { message: 'Invalid param: Invalid' });

const SIGNATURE_BYTES = 64;

export const signatureText: z.ZodType<string> = z
  .string()
  .max(128)
  .refine((text) => isSignature(text), { message: 'Invalid param: Invalid' });

/** Every query option that says how new the answer must be. All commitments are the same here: nothing is ever undone. */
export const queryFields: {
  readonly commitment: z.ZodOptional<z.ZodString>;
  readonly minContextSlot: z.ZodOptional<z.ZodNumber>;
} = {
  commitment: z.string().optional(),
  minContextSlot: z.number().int().nonnegative().optional(),
};
export const queryConfig: z.ZodType<QueryConfig | undefined | null> = z.looseObject(queryFields).nullish();
export interface QueryConfig {
  readonly commitment?: string | undefined;
  readonly minContextSlot?: number | undefined;
}

/** Parameters in order, checked. @throws RpcError invalidParams */
export function parse<T extends readonly z.ZodType[]>(
  params: readonly unknown[],
  ...shapes: T
): { -readonly [K in keyof T]: z.infer<T[K]> } {
  // A wrong type in a long array would otherwise be reported once for each element.
  const checked = shapes.map((shape, index) => {
    const result = shape.safeParse(params[index]);
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    const path = [index, ...(issue?.path ?? [])].map(String).join('.');
    throw RpcError.invalidParams(`Invalid params: ${issue?.message ?? 'invalid'} (at ${path}).`, result.error);
  });
  return checked as { -readonly [K in keyof T]: z.infer<T[K]> };
}

/** @throws RpcError minContextSlot if the ledger has not reached that slot */
export function checkContext(chain: Chain, config: QueryConfig | undefined | null): void {
  const slot = chain.timeline.slot();
  if (config?.minContextSlot !== undefined && config.minContextSlot > slot) {
    throw new RpcError(RPC.minContextSlot, 'Minimum context slot has not been reached', {
      data: { contextSlot: slot },
    });
  }
}

/** `value` with the slot it was true at. */
export function inContext(chain: Chain, value: unknown): object {
  return { context: { apiVersion: API_VERSION, slot: chain.timeline.slot() }, value };
}

/** The Agave release inside litesvm. */
export const API_VERSION = '4.3.0';

function isSignature(text: string): boolean {
  try {
    return bs58.decode(text).length === SIGNATURE_BYTES;
  } catch {
    return false;
  }
}

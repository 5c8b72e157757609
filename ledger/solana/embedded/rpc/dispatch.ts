/** One JSON-RPC 2.0 body, single or batch, to one answer. */
import { z } from 'zod';
import { RelaymintError } from '../../../../core/errors.ts';
import type { Log } from '../../../../core/ports.ts';
import type { Chain } from '../chain.ts';
import { RPC, RpcError } from '../rpc-error.ts';
import { accountMethods } from './account-methods.ts';
import { clusterMethods } from './cluster-methods.ts';
import type { Method } from './method.ts';
import { transactionMethods } from './transaction-methods.ts';

/** Requests in one body. Clients batch some dozens; more is somebody keeping the ledger from everybody else. */
export const MAX_BATCH = 100;

const METHODS: ReadonlyMap<string, Method> = new Map(
  Object.entries({ ...accountMethods, ...clusterMethods, ...transactionMethods }),
);

export const requestShape: z.ZodType<RpcRequest> = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string().max(256), z.number(), z.null()]).optional(),
  method: z.string().max(64),
  params: z.array(z.unknown()).optional(),
});

export interface RpcRequest {
  readonly jsonrpc: '2.0';
  /** Absent: a notification, which is not answered. */
  readonly id?: string | number | null | undefined;
  readonly method: string;
  readonly params?: readonly unknown[] | undefined;
}

/** The text to answer with; undefined when there were only notifications. Every answer is durable before it leaves. */
export async function dispatch(chain: Chain, body: string, log: Log): Promise<string | undefined> {
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch {
    return toJson(failure(null, new RpcError(RPC.parseError, 'Parse error')));
  }
  if (!Array.isArray(message)) {
    const answer = await settle(chain, [answerOne(chain, message, log)], log);
    return answer[0] === undefined ? undefined : toJson(answer[0]);
  }
  if (message.length === 0 || message.length > MAX_BATCH) {
    const detail = message.length === 0 ? 'Invalid Request' : `Too many requests in one batch; max ${MAX_BATCH}`;
    return toJson(failure(null, new RpcError(RPC.invalidRequest, detail)));
  }
  const answers = await settle(
    chain,
    message.map((request) => answerOne(chain, request, log)),
    log,
  );
  const said = answers.filter((answer) => answer !== undefined);
  return said.length === 0 ? undefined : toJson(said);
}

function answerOne(chain: Chain, message: unknown, log: Log): object | undefined {
  const parsed = requestShape.safeParse(message);
  if (!parsed.success) return failure(null, new RpcError(RPC.invalidRequest, 'Invalid Request'));
  const { id, method, params } = parsed.data;
  try {
    const run = METHODS.get(method);
    if (run === undefined) throw new RpcError(RPC.methodNotFound, 'Method not found');
    const result = run(chain, params ?? []);
    return id === undefined ? undefined : success(id, result);
  } catch (error) {
    return id === undefined ? undefined : failure(id, asRpcError(error, method, log));
  }
}

/** A change that could not be made durable was not confirmed: the client gets the failure instead. */
async function settle(
  chain: Chain,
  answers: readonly (object | undefined)[],
  log: Log,
): Promise<readonly (object | undefined)[]> {
  try {
    await chain.durable();
    return answers;
  } catch (error) {
    const refused = asRpcError(error, 'journal', log);
    return answers.map((answer) => (answer === undefined ? undefined : failure(idOf(answer), refused)));
  }
}

export function success(id: string | number | null, result: unknown): object {
  return { jsonrpc: '2.0', id, result };
}

export function failure(id: string | number | null, error: RpcError): object {
  const { code, message, data } = error;
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}

export function asRpcError(error: unknown, method: string, log: Log): RpcError {
  if (error instanceof RpcError) return error;
  log.error({ err: error, method }, 'the embedded ledger could not answer a request');
  const detail = error instanceof RelaymintError ? `${error.code}: ${error.message}` : 'Internal error';
  return new RpcError(RPC.internalError, detail, { cause: error });
}

function idOf(answer: object): string | number | null {
  const id: unknown = 'id' in answer ? answer.id : null;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

/** JSON with exact whole numbers: lamports and token amounts do not fit a float. */
export function toJson(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map((item) => toJson(item)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => `${JSON.stringify(key)}:${toJson(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

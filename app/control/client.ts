/** Calls the control interface of a running node, found by its data directory. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { RelaymintError, isRelaymintError, messageOf, violation, type ErrorCode } from '../../core/errors.ts';
import {
  CONTROL_FILE,
  controlFileSchema,
  errorSchema,
  resultSchemas,
  type ControlCall,
  type ControlFile,
  type ControlOrders,
  type ControlQuestion,
  type ControlResults,
} from './protocol.ts';

/** The part of `fetch` that is needed; comes from the transport policy. */
export type ControlFetch = typeof fetch;

/** @throws RelaymintError FILE_NOT_FOUND when no node runs on that directory. */
export async function readControlFile(dataDir: string): Promise<ControlFile> {
  try {
    return controlFileSchema.parse(JSON.parse(await readFile(path.join(dataDir, CONTROL_FILE), 'utf8')));
  } catch (cause) {
    throw new RelaymintError('FILE_NOT_FOUND', `No running node was found on ${dataDir}.`, {
      remedy: 'Start it, or give the --data directory that it was started with.',
      cause,
    });
  }
}

/** A node that answers, and whose wallet it has. */
export interface FoundNode {
  readonly control: ControlFile;
  readonly wallet: string;
}

/** undefined when none answers: a node that died leaves its control file. */
export async function runningNode(dataDir: string, fetcher: ControlFetch): Promise<FoundNode | undefined> {
  try {
    const control = await readControlFile(dataDir);
    const { wallet } = await callControl(fetcher, control, 'stats');
    return { control, wallet };
  } catch (error) {
    if (isRelaymintError(error, 'FILE_NOT_FOUND', 'CONNECTION_REFUSED')) return undefined;
    throw error;
  }
}

/** Asks. @throws RelaymintError with the node's own code, or CONNECTION_REFUSED when it does not answer. */
export async function callControl<C extends ControlQuestion>(
  fetcher: ControlFetch,
  control: ControlFile,
  call: C,
): Promise<ControlResults[C]> {
  return await send(fetcher, control, call, undefined);
}

/** Says something. @throws as `callControl`. */
export async function orderControl<C extends keyof ControlOrders>(
  fetcher: ControlFetch,
  control: ControlFile,
  call: C,
  order: ControlOrders[C],
): Promise<ControlResults[C]> {
  return await send(fetcher, control, call, order);
}

async function send<C extends ControlCall>(
  fetcher: ControlFetch,
  control: ControlFile,
  call: C,
  order: object | undefined,
): Promise<ControlResults[C]> {
  let status: number;
  let body: unknown;
  try {
    const response = await fetcher(`${control.url}/v1/${call}`, {
      method: call === 'stats' ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${control.token}` },
      ...(order === undefined ? {} : { body: JSON.stringify(order) }),
    });
    status = response.status;
    body = await response.json();
  } catch (cause) {
    throw new RelaymintError('CONNECTION_REFUSED', `The node at ${control.url} does not answer: ${messageOf(cause)}.`, {
      remedy: 'Check that it is still running.',
      cause,
    });
  }
  if (status === 200) return resultSchemas[call].parse(body);
  const failure = errorSchema.safeParse(body);
  if (!failure.success) throw violation(`The node answered with status ${status}.`);
  throw new RelaymintError(failure.data.error.code as ErrorCode, failure.data.error.message);
}

/** The WebSocket side: clients subscribe to signatures, accounts and slots. */
import type { RawData, WebSocket } from 'ws';
import { z } from 'zod';
import type { Log } from '../../../core/ports.ts';
import { every } from '../../../core/repeat.ts';
import type { Chain } from './chain.ts';
import type { AccountState } from './machine.ts';
import type { TransactionRecord } from './records.ts';
import { RPC, RpcError } from './rpc-error.ts';
import { asRpcError, failure, requestShape, success, toJson } from './rpc/dispatch.ts';
import { encodeAccountJson, encodingField } from './rpc/account-encoding.ts';
import { addressText, inContext, parse, queryFields, signatureText } from './rpc/method.ts';
import { SLOT_MILLIS } from './timeline.ts';

/** A client waits for some dozens of things; each costs a little work in every transaction. */
const MAX_SUBSCRIPTIONS_PER_CLIENT = 1000;
/** Notifications a client that does not read may have waiting before it is dropped. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;

const configShape = z.looseObject({ ...queryFields, encoding: encodingField }).nullish();

const SYSTEM_PROGRAM = '11111111111111111111111111111111';

interface Subscription {
  readonly id: number;
  readonly client: Client;
  readonly method: 'signatureNotification' | 'accountNotification' | 'slotNotification';
  /** The result to send for this transaction; undefined if it is not of interest. */
  readonly onTransaction?: (
    record: TransactionRecord,
    changed: ReadonlyMap<string, AccountState | undefined>,
  ) => object | undefined;
  /** Is over after one notification. */
  readonly once: boolean;
}

interface Client {
  readonly socket: WebSocket;
  readonly subscriptions: Map<number, Subscription>;
}

export class Subscriptions {
  readonly #chain: Chain;
  readonly #log: Log;
  readonly #clients = new Set<Client>();
  #nextId = 1;
  #slotWatch: Disposable | undefined;
  #toldSlot = 0;

  constructor(chain: Chain, log: Log) {
    this.#chain = chain;
    this.#log = log;
    chain.listeners.add((record, changed) => this.#tell(record, changed));
  }

  attach(socket: WebSocket): void {
    const client: Client = { socket, subscriptions: new Map() };
    this.#clients.add(client);
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.close(1003);
      else void this.#answer(client, textOf(data)).catch((error: unknown) => this.#drop(client, error));
    });
    socket.on('error', (error) => this.#drop(client, error));
    socket.on('close', () => {
      this.#clients.delete(client);
      client.subscriptions.clear();
      this.#tendSlotTimer();
    });
  }

  close(): void {
    for (const { socket } of this.#clients) socket.terminate();
    this.#slotWatch?.[Symbol.dispose]();
  }

  async #answer(client: Client, text: string): Promise<void> {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#send(client, failure(null, new RpcError(RPC.parseError, 'Parse error')));
    }
    const parsed = requestShape.safeParse(message);
    if (!parsed.success) return this.#send(client, failure(null, new RpcError(RPC.invalidRequest, 'Invalid Request')));
    const { id, method, params } = parsed.data;
    // Clients keep the connection alive with notifications called "ping".
    if (id === undefined) return undefined;
    let after: Promise<void> | undefined;
    try {
      const { result, afterwards } = this.#run(client, method, params ?? []);
      this.#send(client, success(id, result));
      after = afterwards?.();
    } catch (error) {
      this.#send(client, failure(id, asRpcError(error, method, this.#log)));
    }
    return after;
  }

  /** `afterwards` runs after the answer was sent, so that the client knows the subscription it is told about. */
  #run(
    client: Client,
    method: string,
    params: readonly unknown[],
  ): { readonly result: unknown; readonly afterwards?: () => Promise<void> } {
    switch (method) {
      case 'signatureSubscribe': {
        const [signature] = parse(params, signatureText, configShape);
        const subscription = this.#add(client, {
          method: 'signatureNotification',
          once: true,
          onTransaction: (record) => (record.signature === signature ? this.#signatureResult(record) : undefined),
        });
        const known = this.#chain.history.get(signature);
        const result = { result: subscription.id };
        if (known === undefined) return result;
        return { ...result, afterwards: () => this.#notify(subscription, this.#signatureResult(known)) };
      }
      case 'accountSubscribe': {
        const [key, config] = parse(params, addressText, configShape);
        const { id } = this.#add(client, {
          method: 'accountNotification',
          once: false,
          onTransaction: (_record, changed) => {
            if (!changed.has(key)) return undefined;
            const gone = { lamports: 0n, owner: SYSTEM_PROGRAM, executable: false, data: new Uint8Array() };
            const lookup = (other: string): AccountState | undefined => this.#chain.account(other);
            return inContext(
              this.#chain,
              encodeAccountJson(changed.get(key) ?? gone, config?.encoding ?? 'binary', undefined, lookup),
            );
          },
        });
        return { result: id };
      }
      case 'slotSubscribe': {
        const { id } = this.#add(client, { method: 'slotNotification', once: false });
        this.#tendSlotTimer();
        return { result: id };
      }
      case 'signatureUnsubscribe':
      case 'accountUnsubscribe':
      case 'slotUnsubscribe': {
        const [id] = parse(params, z.number().int());
        const existed = client.subscriptions.delete(id);
        this.#tendSlotTimer();
        // A signature's subscription is over by itself once it was told; clients may still end it.
        if (!existed && method !== 'signatureUnsubscribe') throw RpcError.invalidParams('Invalid subscription id.');
        return { result: true };
      }
      default:
        throw new RpcError(RPC.methodNotFound, 'Method not found');
    }
  }

  #add(client: Client, what: Omit<Subscription, 'id' | 'client'>): Subscription {
    if (client.subscriptions.size >= MAX_SUBSCRIPTIONS_PER_CLIENT) {
      throw new RpcError(RPC.invalidRequest, `Too many subscriptions; max ${MAX_SUBSCRIPTIONS_PER_CLIENT}`);
    }
    const subscription = { ...what, id: this.#nextId, client };
    this.#nextId += 1;
    client.subscriptions.set(subscription.id, subscription);
    return subscription;
  }

  #tell(record: TransactionRecord, changed: ReadonlyMap<string, AccountState | undefined>): void {
    for (const client of this.#clients) {
      for (const subscription of client.subscriptions.values()) {
        const result = subscription.onTransaction?.(record, changed);
        if (result === undefined) continue;
        void this.#notify(subscription, result).catch((error: unknown) => this.#drop(client, error));
      }
    }
  }

  async #notify(subscription: Subscription, result: object): Promise<void> {
    await this.#chain.durable();
    const { client, id, method } = subscription;
    if (client.subscriptions.get(id) !== subscription) return;
    if (subscription.once) client.subscriptions.delete(id);
    this.#send(client, { jsonrpc: '2.0', method, params: { result, subscription: id } });
  }

  #signatureResult(record: TransactionRecord): object {
    return inContext(this.#chain, { err: record.error });
  }

  /** Slots pass by themselves; a timer is needed only while somebody wants to hear of each. */
  #tendSlotTimer(): void {
    const wanted = [...this.#clients].some(({ subscriptions }) =>
      [...subscriptions.values()].some(({ method }) => method === 'slotNotification'),
    );
    if (!wanted) {
      this.#slotWatch?.[Symbol.dispose]();
      this.#slotWatch = undefined;
      return;
    }
    this.#slotWatch ??= every(SLOT_MILLIS, () => this.#tellSlot());
  }

  #tellSlot(): void {
    const slot = this.#chain.timeline.slot();
    if (slot === this.#toldSlot) return;
    this.#toldSlot = slot;
    const result = { parent: slot - 1, root: slot, slot };
    for (const client of this.#clients) {
      for (const { id, method } of client.subscriptions.values()) {
        if (method !== 'slotNotification') continue;
        this.#send(client, { jsonrpc: '2.0', method, params: { result, subscription: id } });
      }
    }
  }

  #send(client: Client, message: object): void {
    if (client.socket.bufferedAmount > MAX_BACKLOG_BYTES)
      return this.#drop(client, new Error('it does not read what it is sent'));
    client.socket.send(toJson(message));
  }

  #drop(client: Client, error: unknown): void {
    this.#log.debug({ err: error }, 'dropped a WebSocket client of the embedded ledger');
    client.socket.terminate();
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return (data instanceof ArrayBuffer ? Buffer.from(data) : data).toString('utf8');
}

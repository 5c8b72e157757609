/** A way to a ledger's JSON-RPC that does to each call what a test wants; what it does not touch goes through. */

export interface Call {
  readonly method: string;
  readonly params: readonly unknown[];
  /** The ledger's own answer. */
  readonly forward: () => Promise<Response>;
  /** The ledger's own answer with another result. */
  readonly rewritten: (change: (result: never) => unknown) => Promise<Response>;
  /** No answer at all, until the client gives up. */
  readonly silence: () => Promise<Response>;
  /** An answer of our own; the ledger hears nothing. */
  readonly answer: (result: unknown) => Response;
  /** An error of our own; the ledger hears nothing. */
  readonly refuse: (code: number, message: string) => Response;
}

/** undefined lets the call through. */
export type Fault = (call: Call) => Response | Promise<Response> | undefined;

export function faultyFetch(fault: Fault): typeof fetch {
  return async (input, init) => {
    if (typeof init?.body !== 'string') throw new TypeError('a JSON-RPC request has a text for its body');
    const { id, method, params } = JSON.parse(init.body) as {
      readonly id: unknown;
      readonly method: string;
      readonly params?: readonly unknown[];
    };
    const forward = (): Promise<Response> => fetch(input, init);
    const answer = (result: unknown): Response => Response.json({ jsonrpc: '2.0', id, result });
    const call: Call = {
      method,
      params: params ?? [],
      forward,
      answer,
      silence: () =>
        new Promise((_resolve, reject) => {
          init.signal?.addEventListener('abort', () => reject(new DOMException('given up', 'TimeoutError')));
        }),
      refuse: (code, message) => Response.json({ jsonrpc: '2.0', id, error: { code, message } }),
      async rewritten(change) {
        const { result } = (await (await forward()).json()) as { readonly result: never };
        return answer(change(result));
      },
    };
    return fault(call) ?? forward();
  };
}

/** JSON-RPC failures, with the numbers that Solana's clients know. */

export const SANITIZE_FAILURE = 'Transaction failed to sanitize accounts offsets correctly';

export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  preflightFailure: -32002,
  signatureFailure: -32003,
  unsupportedVersion: -32015,
  minContextSlot: -32016,
} as const;

/** Becomes the `error` member of a JSON-RPC answer. */
export class RpcError extends Error {
  override readonly name: string = 'RpcError';
  readonly code: number;
  /** What Solana's clients read beside the message; absent for most. */
  readonly data: unknown;

  constructor(code: number, message: string, options: { readonly data?: unknown; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data;
  }

  static invalidParams(detail: string, cause?: unknown): RpcError {
    return new RpcError(RPC.invalidParams, detail, { cause });
  }
}

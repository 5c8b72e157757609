/** Statements of delivery: what hosts sign for visitors, so that owners can tell what hosts declare too little. */
export { NONCE_BYTES, createStatementSigner, grossOf, hourOf, readStatement, streamOf } from './statement.ts';
export type { Delivered, SignedStatement, SignerOptions, Statement, StatementSigner } from './statement.ts';

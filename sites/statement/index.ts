/** Statements of delivery: what hosts sign for visitors, so that owners can tell what hosts declare too little. */
export { STATEMENTS_SERVICE, createStatementsService, encodeBatchParams, sendStatements } from './batch.ts';
export { LATER, REFUSED, TAKEN, openInbox, readInbox } from './inbox.ts';
export type { Inbox, InboxOptions, Verdict } from './inbox.ts';
export { openOutbox } from './outbox.ts';
export type { Outbox, OutboxOptions } from './outbox.ts';
export { NONCE_BYTES, createStatementSigner, grossOf, hourOf, readStatement, streamOf } from './statement.ts';
export type { Delivered, SignedStatement, SignerOptions, Statement, StatementSigner } from './statement.ts';

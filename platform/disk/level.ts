/** LevelDB, opened one way: text keys, bytes as values. */
import { Level } from 'level';
import { RelaymintError, messageOf } from '../../core/errors.ts';

export type Database = Level<string, Uint8Array>;

/** Another process, or this one, has the database open. */
export class DatabaseLocked extends Error {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

/** @throws DatabaseLocked; otherwise what LevelDB itself says, of damage or of the disk. */
export async function openDatabase(directory: string): Promise<Database> {
  const database: Database = new Level(directory, { keyEncoding: 'utf8', valueEncoding: 'view' });
  try {
    await database.open();
    return database;
  } catch (error) {
    // The error only says that it did not open; its cause says why.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED'
      ? new DatabaseLocked(cause)
      : cause;
  }
}

/** FILE_IN_USE. `begin` is the start of the sentence: "The ledger in DIR is". */
export function inUse(begin: string, cause: unknown): RelaymintError {
  return new RelaymintError('FILE_IN_USE', `${begin} open in another process.`, {
    remedy: 'Stop that process, or give this one another data directory.',
    cause,
  });
}

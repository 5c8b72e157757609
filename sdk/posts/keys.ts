/** What a page keeps of it, in the browser's own database: the key itself cannot be read, by this page neither. */
import { RelaymintError } from '../../core/errors.ts';

export interface Kept {
  readonly author: string;
  readonly key: CryptoKey;
  /** Hex. */
  readonly publicKey: string;
  /** Absent: it was asked for, and is not there yet. */
  readonly permit?: Permit | undefined;
}

/** As the issuer sends it; hosts judge it. */
export interface Permit {
  readonly name: string;
  readonly author: string;
  readonly key: string;
  readonly since: number;
  readonly until: number;
  readonly form: string;
  readonly signature: string;
}

const DATABASE = 'relaymint-posting';
const STORE = 'keys';

/** What was asked for waits beside what counts: a visitor who says no keeps what there was. */
export type Place = 'counts' | 'asked';

export async function readKept(name: string, place: Place = 'counts'): Promise<Kept | undefined> {
  return (await inStore('readonly', (store) => store.get(keyOf(name, place)))) as Kept | undefined;
}

export async function writeKept(name: string, kept: Kept, place: Place = 'counts'): Promise<void> {
  await inStore('readwrite', (store) => store.put(kept, keyOf(name, place)));
}

export async function removeKept(name: string, place: Place = 'counts'): Promise<void> {
  await inStore('readwrite', (store) => store.delete(keyOf(name, place)));
}

function keyOf(name: string, place: Place): string {
  return place === 'counts' ? name : `${name} ${place}`;
}

/** @throws RelaymintError STORAGE_FAILED: private windows of some browsers keep nothing. */
async function inStore(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  try {
    const opening = indexedDB.open(DATABASE, 1);
    opening.addEventListener('upgradeneeded', () => void opening.result.createObjectStore(STORE));
    const database = (await settled(opening)) as IDBDatabase;
    try {
      const transaction = database.transaction(STORE, mode);
      const answer = await settled(work(transaction.objectStore(STORE)));
      // The page may be left at once: what is not committed then is lost.
      if (mode === 'readwrite') await committed(transaction);
      return answer;
    } finally {
      database.close();
    }
  } catch (cause) {
    throw new RelaymintError('STORAGE_FAILED', 'This browser keeps no key for this page.', {
      remedy: 'Allow the site to store data, or use an ordinary window.',
      cause,
    });
  }
}

function settled(request: IDBRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error ?? new Error('it says no more')));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve());
    transaction.addEventListener('abort', () => reject(transaction.error ?? new Error('it says no more')));
  });
}

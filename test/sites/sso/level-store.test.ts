import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe } from 'vitest';
import { silentLog } from '../../../core/ports.ts';
import { openLevelStore } from '../../../sites/sso/index.ts';
import { storeCompliance } from './store-compliance.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-records-'));
});
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));

describe('records in LevelDB', () => {
  storeCompliance(() => ({ isShared: false, open: (clock) => openLevelStore(folder, { clock, log: silentLog }) }));
});

/** A folder that is checked. */
import { checkSite, type CheckOptions, type CheckReport } from '../../../sites/check/index.ts';
import { temporaryFolder, writeTree, type Cleanup } from '../kit.ts';

/** `index.html` is there unless the files say otherwise. */
export async function folderWith(
  cleanup: Cleanup,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<string> {
  const folder = await temporaryFolder(cleanup);
  await writeTree(folder, { 'index.html': '<!doctype html><title>a</title>', ...files });
  return folder;
}

export async function checked(
  cleanup: Cleanup,
  files: Readonly<Record<string, string | Uint8Array>>,
  options: CheckOptions = {},
): Promise<CheckReport> {
  return await checkSite(await folderWith(cleanup, files), options);
}

/** "error missing about.html:3", one for each finding. */
export function brief({ findings }: CheckReport): string[] {
  return findings.map(
    ({ severity, code, file, line }) => `${severity} ${code} ${file}${line === undefined ? '' : `:${line}`}`,
  );
}

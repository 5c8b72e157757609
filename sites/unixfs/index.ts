/** Files and folders as blocks, and back. */
export { publishableFiles } from './folder.ts';
export type { FolderOptions, Skipped } from './folder.ts';
export { importPath, importSite } from './import.ts';
export type { ImportOptions, ImportProgress, ImportSummary } from './import.ts';
export { listFiles } from './tree.ts';
export type { ListedFile } from './tree.ts';
export { follow, openNode, readFile } from './unixfs.ts';
export type { DirectoryEntry, DirectoryNode, FileNode, ReadOptions, SiteNode, Trail } from './unixfs.ts';

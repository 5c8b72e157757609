/** Files and folders as blocks, and back. */
export { openFolder, publishableFiles } from './folder.ts';
export type { Folder, FolderEntry, FolderOptions, Skipped, SkipReason } from './folder.ts';
export { importPath, importSite } from './import.ts';
export type { ImportOptions, ImportProgress, ImportSummary, SiteImportOptions } from './import.ts';
export { proofOf } from './proof.ts';
export type { EntityBytes, ProofBlock, ProofOptions, Scope } from './proof.ts';
export { countFiles, listFiles } from './tree.ts';
export type { ListedFile } from './tree.ts';
export { follow, openNode, readFile } from './unixfs.ts';
export type { DirectoryEntry, DirectoryNode, FileNode, ReadOptions, SiteNode, SymlinkNode, Trail } from './unixfs.ts';

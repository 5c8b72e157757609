/** Sites as visitors will see them, before anything is published: the gateway's own code over folders and CAR files, without a node. */
export { openPreview } from './preview.ts';
export type { Preview, PreviewedSite, PreviewOptions } from './preview.ts';

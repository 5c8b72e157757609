/** What publishers do with a site before it is published, without a node: look at it as visitors will see it, and pack it. */
export { packSite } from './pack.ts';
export type { Packed, PackOptions } from './pack.ts';
export { openPreview } from './preview.ts';
export type { Preview, PreviewedSite, PreviewOptions } from './preview.ts';

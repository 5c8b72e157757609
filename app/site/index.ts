/**
 * What publishers do with a site before it is published, without a node: make one, look at it as visitors
 * will see it, and pack it.
 */
export { initSite } from './init.ts';
export type { InitOptions, NewSite } from './init.ts';
export { packSite } from './pack.ts';
export type { Packed, PackOptions } from './pack.ts';
export { TEMPLATES } from './template.ts';
export { openPreview } from './preview.ts';
export type { Preview, PreviewedSite, PreviewOptions } from './preview.ts';

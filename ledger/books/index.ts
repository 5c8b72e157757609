/** The books on disk: written twice, each copy checked. */
export { inspect, type Findings } from './findings.ts';
export { GroupedStore, type Change, type StoreOptions, type Written } from './store.ts';

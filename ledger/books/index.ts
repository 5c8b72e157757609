/** The books on disk: written twice, each copy checked. */
export { GroupedStore, inspect, type Change, type Findings, type StoreOptions, type Written } from './store.ts';

/** CAR files: blocks of many DAGs in one file (CARv1, as IPFS tools write it). */
export { openCar } from './car-file.ts';
export type { CarFile } from './car-file.ts';
export { carOf } from './write.ts';

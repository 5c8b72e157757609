import { describePlays } from './play/suite.ts';

describePlays([
  { seed: 1, firstSlot: 1n, title: 'on a new cluster' },
  { seed: 20_261_125, firstSlot: 431_000_000n, title: 'on a cluster as old as the present one' },
]);

import { describePlays } from './play/suite.ts';

describePlays([
  { seed: 3, firstSlot: 1n, title: 'on a new cluster' },
  { seed: 4_294_967_295, firstSlot: (1n << 32n) - 20_000n, title: 'until slots need more than 32 bits' },
]);

/** What an operator's shell says of a node of its own does not reach the nodes of a local marketplace. */
import { expect, it } from 'vitest';
import { childEnvironment } from '../../app/market/process.ts';

it('children keep the environment, without settings of nodes, and know that they are attached', () => {
  const shell = {
    PATH: '/bin',
    HOME: '/home/me',
    RELAYMINT_BOOTSTRAP: 'ID@/ip4/192.0.2.1/tcp/1',
    RELAYMINT_ANONYMIZE: 'tor',
  };
  expect(childEnvironment(shell)).toEqual({ PATH: '/bin', HOME: '/home/me', RELAYMINT_ATTACHED: '1' });
});

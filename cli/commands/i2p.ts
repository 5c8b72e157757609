/** `relaymint i2p ..`: the router of this machine, and a node's address in I2P. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import {
  formatEndpoint,
  garlicMultiaddr,
  parseEndpoint,
  persistentDestination,
  samVersion,
  type Endpoint,
} from '../../node/transport/index.ts';
import { grammar, nodeFolderSection, optional, type NodeFolder, type Section } from '../../app/config/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';
import { I2P_KEY_FILE } from '../../app/node/index.ts';

/** Where routers have SAM by default. */
const USUAL_SAM: Endpoint = { kind: 'tcp', host: '127.0.0.1', port: 7656 };

interface SamValues {
  /** Undefined: not named. */
  readonly i2pSam: Endpoint | undefined;
}

const samSection: Section<SamValues> = {
  i2pSam: optional(
    '--i2p-sam <place>',
    grammar(parseEndpoint),
    `the router's SAM: HOST:PORT of this machine or unix:/PATH (default of status: ${formatEndpoint(USUAL_SAM)})`,
  ),
};

const SAM_MILLIS = 15_000;

export function i2pCommand(program: Command): void {
  const i2p = program
    .command('i2p')
    .summary('check the I2P router of this machine, and show the I2P address of a node')
    .description('Nodes use I2P when you tell them where the router is: --i2p-sam 7656 --location i2p.');
  addSettings(addCommonOptions(i2p.command('status').summary('check that the router answers')), samSection)
    .description('Connects to the router over SAM, the protocol for applications.')
    .action(async (options: CommonOptions & SamValues) => {
      const output = createOutput(options.json === true);
      const { i2pSam = USUAL_SAM } = options;
      const sam = formatEndpoint(i2pSam);
      const version = await samVersion(i2pSam, AbortSignal.timeout(SAM_MILLIS));
      output.value({ sam, version });
      output.line(`The I2P router at ${sam} answers and speaks SAM ${version}.`);
    });
  const address = addCommonOptions(i2p.command('address').summary("show a node's address in I2P"));
  addSettings(addSettings(address, samSection), nodeFolderSection)
    .description(
      'The key is in the data folder of the node. If there is none, the router given with --i2p-sam makes one. The address never changes after that.',
    )
    .addHelpText('after', '\nExample:\n  relaymint i2p address --data ./net/relay-1\n')
    .action(async (options: CommonOptions & SamValues & NodeFolder) => {
      const output = createOutput(options.json === true);
      const file = path.join(options.data, I2P_KEY_FILE);
      const { i2pSam: sam = USUAL_SAM } = options;
      if (options.i2pSam === undefined && !existsSync(file)) {
        throw new RelaymintError('INVALID_CONFIG', `There is no key at ${file}, and no router was given to make one.`, {
          remedy: `The router that makes a key knows it. If yours is the one at ${formatEndpoint(sam)}, add --i2p-sam ${formatEndpoint(sam)}.`,
        });
      }
      using destination = await persistentDestination(file, sam, AbortSignal.timeout(SAM_MILLIS));
      const multiaddr = garlicMultiaddr(destination.garlic);
      output.value({ host: `${destination.garlic}.b32.i2p`, address: multiaddr });
      output.line(`${destination.garlic}.b32.i2p\n${multiaddr}`);
    });
}

/** `relaymint i2p ..`: the router of this machine, and a node's address in I2P. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { RelaymintError } from '../../core/errors.ts';
import {
  formatEndpoint,
  garlicMultiaddr,
  parseEndpoint,
  persistentDestination,
  samVersion,
  type Endpoint,
} from '../../node/transport/index.ts';
import { addCommonOptions, parsed, type CommonOptions } from '../options.ts';
import { defaultDataDir, parsePlace } from '../../app/config/index.ts';
import { createOutput } from '../output.ts';
import { I2P_KEY_FILE } from '../../app/node/index.ts';

interface I2pOptions extends CommonOptions {
  /** Undefined: not named. */
  readonly i2pSam?: Endpoint;
  readonly data: string;
}

/** Where routers have SAM by default. */
const USUAL_SAM: Endpoint = { kind: 'tcp', host: '127.0.0.1', port: 7656 };
const SAM_MILLIS = 15_000;

export function i2pCommand(program: Command): void {
  const i2p = program
    .command('i2p')
    .summary('check the I2P router of this machine, and show the I2P address of a node')
    .description('Nodes use I2P when you tell them where the router is: --i2p-sam 7656 --location i2p.');
  addCommonOptions(i2p.command('status').summary('check that the router answers'))
    .description('Connects to the router over SAM, the protocol for applications.')
    .addOption(samOption())
    .action(async (options: I2pOptions) => {
      const output = createOutput(options.json === true);
      const { i2pSam = USUAL_SAM } = options;
      const sam = formatEndpoint(i2pSam);
      const version = await samVersion(i2pSam, AbortSignal.timeout(SAM_MILLIS));
      output.value({ sam, version });
      output.line(`The I2P router at ${sam} answers and speaks SAM ${version}.`);
    });
  addCommonOptions(i2p.command('address').summary("show a node's address in I2P"))
    .description(
      'The key is in the data folder of the node. If there is none, the router given with --i2p-sam makes one. The address never changes after that.',
    )
    .addOption(samOption())
    .option('--data <dir>', "the node's data folder", parsed(parsePlace), defaultDataDir('relay'))
    .addHelpText('after', '\nExample:\n  relaymint i2p address --data ./net/relay-1\n')
    .action(async (options: I2pOptions) => {
      const output = createOutput(options.json === true);
      const file = path.join(path.resolve(options.data), I2P_KEY_FILE);
      const { i2pSam: sam = USUAL_SAM } = options;
      if (options.i2pSam === undefined && !existsSync(file)) {
        throw new RelaymintError('INVALID_CONFIG', `There is no key at ${file}, and no router was given to make one.`, {
          remedy: `The router that makes a key knows it. If yours is the one at ${formatEndpoint(sam)}, add --i2p-sam ${formatEndpoint(sam)}.`,
        });
      }
      using destination = await persistentDestination(file, sam, AbortSignal.timeout(SAM_MILLIS));
      const address = garlicMultiaddr(destination.garlic);
      output.value({ host: `${destination.garlic}.b32.i2p`, address });
      output.line(`${destination.garlic}.b32.i2p\n${address}`);
    });
}

function samOption(): Option {
  return new Option(
    '--i2p-sam <place>',
    "the router's SAM: HOST:PORT of this machine or unix:/PATH (default of status: 127.0.0.1:7656)",
  )
    .env('RELAYMINT_I2P_SAM')
    .argParser(parsed(parseEndpoint));
}

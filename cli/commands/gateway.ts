/** `relaymint gateway`: serves .web3 sites to browsers and pays the relays and hosts. */
import type { Command } from 'commander';
import { MAX_RELAYS } from '../../core/limits.ts';
import { SELLS_NOTHING, addNodeOptions, collect, siteLimitOption, wholeNumber, type NodeOptions } from '../options.ts';
import { addOutboundOptions, addPeerOptions, type OutboundOptions, type PeerOptions } from '../outbound-options.ts';
import { runNode } from './run-node.ts';

interface GatewayOptions extends NodeOptions, OutboundOptions, PeerOptions {
  readonly hops: number;
  readonly port: number;
  readonly address: string;
  readonly host: readonly string[];
  readonly watch?: string;
}

export function gatewayCommand(program: Command): void {
  const command = program
    .command('gateway')
    .summary('serve sites to browsers, paying for what visitors fetch')
    .description(
      'Resolves names on the ledger, fetches content through circuits of paid relays, verifies every block and serves\neach site on an origin of its own: demo.web3 is http://demo-web3.localhost:PORT/.',
    );
  addPeerOptions(addOutboundOptions(addNodeOptions(command, 'gateway')))
    .option('--hops <n>', `paid relays in front of the host, 1 to ${MAX_RELAYS}`, wholeNumber(1, MAX_RELAYS), 3)
    .addOption(siteLimitOption())
    .option('--port <n>', 'where browsers connect; 0 for any free port', wholeNumber(0, 65_535), 8402)
    .option('--address <ip>', 'address to listen on', '127.0.0.1')
    .option('--host <name>', 'answer to this host name too (repeatable)', collect(String), [])
    .option('--watch <dir>', 'show the figures of the nodes whose data folders lie here, too')
    .addHelpText('after', '\nExample:\n  relaymint gateway --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n')
    .action((options: GatewayOptions) =>
      runNode({
        role: 'gateway',
        options,
        relayPrice: undefined,
        windowPrice: SELLS_NOTHING,
        tillSlots: undefined,
        prepare: async () => undefined,
        open: async (node) => {
          const { openGateway } = await import('../../app/roles/gateway.ts');
          const gateway = await openGateway(node, {
            hops: options.hops,
            port: options.port,
            address: options.address,
            hosts: options.host,
            watch: options.watch,
          });
          return { ready: { gateway: gateway.url }, closer: gateway };
        },
        describe: (_node, _addresses, ready) =>
          `The gateway is up at ${(ready as { gateway: string }).gateway}\nCtrl-C stops it.`,
      }),
    );
}

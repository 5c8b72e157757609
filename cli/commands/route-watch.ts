/** `relaymint route watch`: a name's updates as they come, without a gateway. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { isRelaymintError } from '../../core/errors.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { flagsOnly, name as anyName, toggle, type ValuesOf } from '../../app/config/index.ts';
import { baseSection, gateway as gatewayRole, site as siteRole, type BaseValues } from '../../app/roles/index.ts';
import type * as LiveModule from '../../app/roles/live-updates.ts';
import type { FeedView, SignedEntry } from '../../sites/feed/index.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { printable } from '../../core/printable.ts';
import { createOutput, type Output } from '../output.ts';
import { openSiteNode } from '../site-node.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { timeText } from './site-history.ts';

const watchSection = flagsOnly({
  once: toggle('--once', 'print the newest update and end; the exit code is 1 if there is none that counts'),
  relays: gatewayRole.settings.relays,
});

type WatchOptions = CommonOptions & BaseValues & ValuesOf<typeof watchSection>;

export function routeWatchCommand(route: Command): void {
  const command = route
    .command('watch')
    .summary('follow the updates of a name')
    .description(
      'Follows the updates of a name at the hosts that keep it, over paid circuits and without a gateway, until Ctrl-C. Each is verified; one that is\n' +
        'older than what was seen is not shown, whichever host has it. It says when the newest counts no more and nothing newer came.',
    )
    .argument('<name>', 'the name', argumentOf(anyName))
    .addHelpText(
      'after',
      '\nExample:\n  relaymint route watch ferry.route --bootstrap NODEID@/ip4/203.0.113.7/tcp/4001\n',
    );
  addSettings(addCommonOptions(command), watchSection);
  addSettings(command, baseSection(siteRole)).action(run);
}

async function run(name: string, options: WatchOptions): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await openSiteNode(options, lifecycle.signal));
  const { watchUpdates } = await load();
  const { view } = stack.use(await watchUpdates(node, name, options.relays));
  try {
    await view.complete(lifecycle.signal);
  } catch (error) {
    // No host answers now. Who watches waits for one that does.
    if (options.once === true || lifecycle.signal.aborted || !isRelaymintError(error, 'NO_ROUTE')) throw error;
    process.stderr.write(`relaymint: ${error.message}\n`);
  }
  const [newest] = view.entries();
  if (options.once === true) {
    if (newest !== undefined) tell(output, name, newest);
    else {
      output.value({ event: 'none', name });
      output.line(`${name} has no update that counts.`);
      process.exitCode = 1;
    }
    return;
  }
  using _changes = view.onChange(teller(output, name, view));
  await lifecycle.ended;
}

/** Says what is new now, and whenever it is called. */
function teller(output: Output, name: string, view: FeedView): () => void {
  let last: number | undefined;
  const look = (): void => {
    const [newest] = view.entries();
    if (newest?.entry.sequence === last) return;
    last = newest?.entry.sequence;
    if (newest !== undefined) tell(output, name, newest);
    else {
      output.value({ event: 'stale', name });
      output.line(`${name}: the newest update counts no more.`);
    }
  };
  look();
  return look;
}

function tell(output: Output, name: string, { entry }: SignedEntry): void {
  const { sequence, created, expires, mediaType = '', content = new Uint8Array(0) } = entry;
  const said = Buffer.from(content);
  // Text as it is; anything else would be spoiled by it.
  const isText = said.equals(Buffer.from(said.toString()));
  output.value({
    event: 'update',
    name,
    sequence,
    created,
    expires,
    mediaType,
    ...(isText ? { text: said.toString() } : { base64: said.toString('base64') }),
  });
  output.line(
    `${sequence}  ${timeText(created)}  ${isText ? printable(said.toString()) : `${said.length} bytes of ${mediaType}`}`,
  );
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function load(): Promise<typeof LiveModule> {
  return import('../../app/roles/live-updates.ts');
}

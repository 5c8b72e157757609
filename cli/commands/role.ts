/** The command of a role: opens its node, says ready, runs until told to end, closes. */
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import type { Command } from 'commander';
import { formatCredits } from '../../core/units.ts';
import { startControlServer } from '../../app/control/index.ts';
import { controlHandlers, openNode, type LastSettling, type RunningNode } from '../../app/node/index.ts';
import {
  baseSection,
  earnerSection,
  settingsOf,
  type BaseValues,
  type EarnerValues,
  type Role,
  type RoleFinish,
} from '../../app/roles/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { addCommonOptions, type CommonOptions } from '../options.ts';
import { createLog, createOutput } from '../output.ts';
import { addSettings } from '../settings.ts';

type RoleOptions<Own> = CommonOptions & BaseValues & Partial<EarnerValues> & Own;

export function roleCommand<Own>(program: Command, role: Role<Own>): Command {
  const command = program.command(role.name).summary(role.summary).description(role.description);
  addSettings(addSettings(addCommonOptions(command), role.settings, role.name), baseSection(role));
  if (role.earns) addSettings(command, earnerSection);
  return command
    .addHelpText('after', `\nExample:\n  ${role.example}\n`)
    .action((options: RoleOptions<Own>) => runRole(role, options));
}

/** Resolves when the node has ended cleanly. */
async function runRole<Own>(role: Role<Own>, options: RoleOptions<Own>): Promise<void> {
  const output = createOutput(options.json === true);
  using lifecycle = watchLifecycle();
  await using stack = new AsyncDisposableStack();
  const settings = settingsOf(role, options, (label) => createLog(options.logLevel, label));
  const onLastSettling = ({ unsettled, until }: LastSettling): void => {
    output.value({ event: 'settling', unsettled: unsettled.toString(), until: until.getTime() });
    output.line(
      `Waiting for the ledger to settle ${formatCredits(unsettled)} credits, until ${clockText(until)} at most. Ctrl-C again ends it now.`,
    );
  };
  const node = stack.use(await openNode(settings, lifecycle.signal, onLastSettling));
  lifecycle.leaves(() => leftText(node, settings.dataDir));
  const running = stack.use(await role.start(node, options));
  const addresses = await node.announce(lifecycle.signal);
  const fields = await running.announced?.();
  const stop = (): void => lifecycle.end('asked to by its control port');
  const handlers = controlHandlers({ node, addresses, figures: () => running.figures?.() ?? {}, stop });
  stack.use(await startControlServer(settings.dataDir, handlers, settings.log));
  output.value({
    event: 'ready',
    role: role.name,
    label: settings.label,
    nodeId: node.keys.identity.nodeId,
    wallet: node.wallet.address,
    addresses,
    ...fields,
  });
  output.line(running.describe(addresses));
  const endWith = async (finished: Promise<RoleFinish>): Promise<void> => {
    const { value, line } = await finished;
    output.value(value);
    output.line(`${line}.`);
    lifecycle.end('it has done what it was run for');
  };
  if (running.finished !== undefined) void endWith(running.finished);
  await lifecycle.ended;
  output.line('Stopping: paying what is due, settling, closing.');
}

function clockText(at: Date): string {
  return at.toTimeString().slice(0, 8);
}

/** What is left when it ends at once. */
function leftText({ settlement }: RunningNode, dataDir: string): string {
  const unsettled = settlement.unsettled();
  if (unsettled === 0n) return 'Stopped at once. Nothing was left to settle.';
  return `Stopped at once. ${formatCredits(unsettled)} credits are not settled: the receipts are kept in ${dataDir} and settled after the next start.`;
}

/** `relaymint channel`: the credit lines that a wallet pays, and those that pay it. */
import path from 'node:path';
import type { Command } from 'commander';
import { isRelaymintError, RelaymintError } from '../../core/errors.ts';
import type { LedgerAddress } from '../../core/ids.ts';
import { U64_MAX, addAmounts, amount, formatCredits, formatSol, lamports, type Amount } from '../../core/units.ts';
import type { ChannelState } from '../../ledger/contract.ts';
import { callControl, runningNode, type ControlFetch, type ControlFile } from '../../app/control/index.ts';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { credits, flagsOnly, optional, standard, toggle, wallet, type ValuesOf } from '../../app/config/index.ts';
import { walletFile, type WalletOptions } from '../options.ts';
import { counted, createOutput } from '../output.ts';
import { addSettings, argumentOf } from '../settings.ts';
import { closeChannels, type ClosedChannels } from '../../ledger/channel/index.ts';
import { delegateAddress } from '../../app/node/index.ts';
import { createPolicy } from '../../node/transport/index.ts';
import {
  channelTable,
  channelValue,
  closesText,
  leftIn,
  named,
  totalLeft,
  type SidedChannel,
} from './channel-table.ts';
import { openWallet, transact, walletSubcommand, type Figures, type OpenedWallet } from './transact.ts';

const openSection = flagsOnly({
  delegate: optional(
    '--delegate <address>',
    wallet,
    'the key that will sign its receipts (default: delegate.json beside the wallet, created if missing)',
  ),
  opening: optional(
    '--opening <credits>',
    credits,
    'stake on top of the deposit, which comes back if the payee returns it (default: exactly what its till asks)',
  ),
  maxOpening: optional(
    '--max-opening <credits>',
    credits,
    "highest stake that the payee's till may ask (default: as much as the deposit)",
  ),
});

const topUpSection = flagsOnly({
  opening: standard(
    '--opening <credits>',
    credits,
    'further stake, which widens the window that the payee grants',
    '0',
  ),
});

const closeSection = flagsOnly({
  all: toggle('--all', 'every channel that the wallet pays'),
  wait: toggle('--wait', 'wait until the challenge period is over'),
});

type OpenOptions = WalletOptions & ValuesOf<typeof openSection>;
type TopUpOptions = WalletOptions & ValuesOf<typeof topUpSection>;
type CloseCommandOptions = WalletOptions & ValuesOf<typeof closeSection>;

export function channelCommand(program: Command): void {
  const channel = program
    .command('channel')
    .summary('deposits from which a payee is paid')
    .description(
      'A channel holds a deposit for one payee, which is paid from it by signed receipts. Nodes open and fill the channels ' +
        'they need by themselves; these commands do it by hand, and take back what is left.',
    );

  addSettings(walletSubcommand(channel, 'open', 'open a channel to a payee'), openSection)
    .argument('<payee>', "the payee's wallet, which must have a till", argumentOf(wallet))
    .argument('<credits>', 'the deposit', argumentOf(credits))
    .action(open);

  addSettings(walletSubcommand(channel, 'top-up', "add to a channel's deposit"), topUpSection)
    .argument('<channel>', 'its id, or the first characters')
    .argument('<credits>', 'how many credits; 0 to add only to the opening payment', argumentOf(credits))
    .action(topUp);

  walletSubcommand(channel, 'list', "list a wallet's open channels, as payer and as payee").action(list);

  walletSubcommand(channel, 'claim', 'collect what is left of channels that payees closed')
    .description(
      'A payee may close a channel. What was left in it is minted to its payer at once, or waits while the payer has no credit\naccount. This command creates the account if it is missing and collects what waits, for this wallet or another.',
    )
    .argument('[payer]', 'wallet whose claim to collect (default: this one)', argumentOf(wallet))
    .action(claim);

  addSettings(walletSubcommand(channel, 'close', 'close channels and take back what is left in them'), closeSection)
    .description(
      'Requests the close. During the challenge period the payee settles the receipts it holds. When that is over, run the command\nagain to take back what is left; with --wait, one run does both. With --all, a node that runs on the data folder closes its\nchannels, and pays for nothing new until it is started again.',
    )
    .argument('[channel...]', 'channel ids, or their first characters')
    .action(close);
}

async function open(payee: LedgerAddress, deposit: Amount, options: OpenOptions): Promise<void> {
  await using opened = await openWallet(options);
  const delegate = options.delegate ?? (await delegateAddress(path.dirname(walletFile(options))));
  let channel: ChannelState | undefined;
  await transact({
    options,
    opened,
    figures: async (): Promise<Figures> => (channel === undefined ? {} : { deposit: channel.deposit }),
    work: async () => {
      channel = await opened.wallet.openChannel(payee, delegate, {
        deposit,
        opening: options.opening,
        maxOpening: options.maxOpening ?? (options.opening === undefined ? deposit : undefined),
      });
      return {
        done: `Opened channel ${channel.id}\n  to ${payee}, receipts signed by ${delegate}.`,
        value: { channel: channelValue({ side: 'pays', channel }) },
      };
    },
  });
}

async function topUp(id: string, value: Amount, options: TopUpOptions): Promise<void> {
  await using opened = await openWallet(options);
  const channel = named(await paidChannels(opened), id);
  await transact({
    options,
    opened,
    figures: async (): Promise<Figures> => {
      const now = await opened.ledger.channel(channel.till, channel.slot);
      return now?.id === channel.id ? { deposit: now.deposit } : {};
    },
    work: async () => {
      await opened.wallet.topUp(channel, value, options.opening);
      const burned = options.opening === 0n ? '' : ` and ${formatCredits(options.opening)} to its opening payment`;
      return {
        done: `Added ${formatCredits(value)} credits${burned} to channel ${channel.id}.`,
        value: { channel: channel.id },
      };
    },
  });
}

async function claim(payer: LedgerAddress | undefined, options: WalletOptions): Promise<void> {
  await using opened = await openWallet(options);
  const { ledger, wallet } = opened;
  const owner = payer ?? wallet.address;
  await transact({
    options,
    opened,
    work: async () => {
      const waiting = await ledger.claim(owner);
      await wallet.payClaim(owner);
      const [credits, sol] = [waiting?.amount ?? amount(0n), waiting?.lamports ?? lamports(0n)];
      return {
        done: `${formatCredits(credits)} credits and ${formatSol(sol)} SOL of closed channels went to ${owner}.`,
        value: { payer: owner, amount: credits.toString(), lamports: sol.toString() },
      };
    },
  });
}

async function list(options: WalletOptions): Promise<void> {
  const output = createOutput(options.json === true);
  await using opened = await openWallet(options);
  const { ledger, wallet } = opened;
  const [paid, till] = await Promise.all([paidChannels(opened), ledger.till(wallet.address)]);
  const channels: readonly SidedChannel[] = [
    ...paid.map((channel) => ({ side: 'pays' as const, channel })),
    ...(till?.channels ?? []).map((channel) => ({ side: 'earns' as const, channel })),
  ];
  output.value({ address: wallet.address, channels: channels.map(channelValue) });
  if (channels.length === 0) {
    output.line(`${wallet.address} has no open channel. "relaymint channel open" opens one.`);
    return;
  }
  const [ours, theirs] = (['pays', 'earns'] as const).map((side) =>
    totalLeft(channels.filter((each) => each.side === side)),
  );
  output.line(`${wallet.address}, credits\n\n${channelTable(channels, Date.now())}\n`);
  output.line(
    `${formatCredits(ours ?? totalLeft([]))} credits of ours are left in channels, ${formatCredits(theirs ?? totalLeft([]))} of others in ours.`,
  );
}

async function close(ids: readonly string[], options: CloseCommandOptions): Promise<void> {
  if (ids.length > 0 === (options.all === true)) {
    throw new RelaymintError('INVALID_ARGUMENT', 'No channels to close were named.', {
      remedy: 'Give their ids from "relaymint channel list", or --all.',
    });
  }
  using lifecycle = watchLifecycle();
  await using opened = await openWallet(options);
  const node = await nodeOf(options, opened);
  if (node !== undefined && options.all !== true) throw inUse(node);
  const paid = await paidChannels(opened);
  const chosen = new Set(ids.map((id) => named(paid, id).id));
  const chosenNow = async (): Promise<readonly ChannelState[]> =>
    (await paidChannels(opened)).filter(({ id }) => options.all === true || chosen.has(id));
  const progress = createOutput(options.json === true);
  await transact({
    options,
    opened,
    figures: async (): Promise<Figures> => {
      return { inChannels: (await chosenNow()).reduce((sum, one) => sum + leftIn(one), 0n) };
    },
    work: async () => {
      const byNode = node === undefined ? NONE_CLOSED : await closedByNode(node);
      if (node !== undefined) {
        progress.line(`The node that runs on ${node.dataDir} pays for nothing new until it is started again.`);
      }
      const byUs = await closeChannels(await chosenNow(), {
        reader: opened.ledger,
        wallet: opened.wallet,
        signal: lifecycle.signal,
        patienceSeconds: options.wait === true ? U64_MAX : 0n,
        onStep: (step, { id }) => progress.line(`${step === 'closed' ? 'Closed' : 'Requested the close of'} ${id}.`),
      });
      const result: ClosedChannels = {
        closed: byUs.closed + byNode.closed,
        returned: addAmounts(byUs.returned, byNode.returned),
        pending: byUs.pending,
      };
      return { done: closedText(result), value: closedValue(result) };
    },
  });
}

interface PayingNode {
  readonly dataDir: string;
  readonly control: ControlFile;
  readonly fetcher: ControlFetch;
}

type Closed = Pick<ClosedChannels, 'closed' | 'returned'>;
const NONE_CLOSED: Closed = { closed: 0, returned: amount(0n) };

/** The node that runs on the wallet's folder and pays from its channels. */
async function nodeOf(options: WalletOptions, { wallet }: OpenedWallet): Promise<PayingNode | undefined> {
  const dataDir = path.resolve(options.data ?? path.dirname(walletFile(options)));
  const fetcher = createPolicy({ transports: [], outbound: 'loopback' }).fetch('control');
  const running = await runningNode(dataDir, fetcher);
  return running?.wallet === wallet.address ? { dataDir, control: running.control, fetcher } : undefined;
}

/** It opens no other from then on. What takes long it leaves to us. */
async function closedByNode({ control, fetcher }: PayingNode): Promise<Closed> {
  try {
    const { closed, returned } = await callControl(fetcher, control, 'close');
    return { closed, returned: amount(BigInt(returned)) };
  } catch (error) {
    if (isRelaymintError(error, 'TIMEOUT')) return NONE_CLOSED;
    throw error;
  }
}

function inUse({ dataDir }: PayingNode): RelaymintError {
  return new RelaymintError(
    'FILE_IN_USE',
    `The node that runs on ${dataDir} pays from these channels, and would open others in their place.`,
    { remedy: 'Stop it first, or add --all: it then pays for nothing new until it is started again.' },
  );
}

function closedText({ closed, returned, pending }: ClosedChannels): string {
  const [next] = pending.toSorted((a, b) => Number((a.closeAt ?? 0n) - (b.closeAt ?? 0n)));
  const came = `Closed ${counted(closed, 'channel')}, ${formatCredits(returned)} credits came back.`;
  if (next === undefined) return closed === 0 ? 'There is no channel to close.' : came;
  const wait = `${counted(pending.length, 'channel')} can be closed ${closesText(next, Date.now())}: run this again then, or add --wait.`;
  return closed === 0 ? wait : `${came}\n${wait}`;
}

function closedValue({ closed, returned, pending }: ClosedChannels): object {
  return {
    closed,
    returned: returned.toString(),
    pending: pending.map((channel) => channelValue({ side: 'pays', channel })),
  };
}

function paidChannels({ ledger, wallet }: OpenedWallet): Promise<readonly ChannelState[]> {
  return ledger.channelsOf(wallet.address);
}

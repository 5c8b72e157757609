/** Over what a node says that its accounts are paid. */
import { expect, it } from 'vitest';
import { nodeId, type NodeId } from '../../core/ids.ts';
import { MAX_ACCOUNTS } from '../../core/limits.ts';
import { pairsOf, watchTransports } from '../../app/node/stats.ts';
import type { RunningNode } from '../../app/node/node.ts';
import type { Link } from '../../node/link/index.ts';
import { channelState, seed } from '../ledger/accounting/pair.ts';

const link = (peer: NodeId, transport: string): Link => ({ peer, transport }) as Link;

/** A node of which only links and accounts are asked. */
class Node {
  readonly #open: Link[];
  #listener: (link: Link) => void = () => {};
  constructor(...open: readonly Link[]) {
    this.#open = [...open];
  }
  readonly links = {
    links: (): Link[] => this.#open,
    onLink: (listener: (made: Link) => void): (() => void) => {
      this.#listener = listener;
      return () => {};
    },
  };
  made(peer: NodeId, transport: string): void {
    this.#listener(link(peer, transport));
  }
  paying(...peers: readonly NodeId[]): RunningNode {
    const account = (peer: NodeId) => ({
      role: 'payer',
      peer,
      channel: channelState(),
      live: false,
      up: 0n,
      down: 0n,
      due: 0n,
      signed: 0n,
    });
    return { book: { peers: () => peers.map(account) } } as unknown as RunningNode;
  }
}

const [early, late] = [nodeId(seed('early')), nodeId(seed('late'))];

it('is the last link of each, the one that was there before somebody asked too, and also when it is over', () => {
  const node = new Node(link(early, 'tor'));
  const transports = watchTransports(node as unknown as RunningNode);
  node.made(late, 'tcp');
  node.made(late, 'i2p');
  const channels = new Map([[channelState().id, channelState()]]);
  const pairs = pairsOf(node.paying(early, late), channels, transports);
  expect(pairs.map(({ peer, transport }) => [peer, transport])).toEqual([
    [early, 'tor'],
    [late, 'i2p'],
  ]);
});

it('is kept for as many as there are accounts, however many strangers come and go', () => {
  const node = new Node();
  const transports = watchTransports(node as unknown as RunningNode);
  const strangers = Array.from({ length: MAX_ACCOUNTS + 5 }, (_, index) => `stranger ${index}` as NodeId);
  for (const stranger of strangers) node.made(stranger, 'tor');
  expect(strangers.filter((stranger) => transports.get(stranger) !== undefined)).toEqual(strangers.slice(5));
});

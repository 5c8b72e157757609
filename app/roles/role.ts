/**
 * A role: what a node is run for. It declares its settings, what it asks of the node, and what it does once the node is open. The command
 * line, the environment and the help follow from it: a new role is one file, and its line in `ROLES`.
 */
import path from 'node:path';
import type { Log } from '../../core/ports.ts';
import {
  assertSafe,
  defaultDataDir,
  ledgerSection,
  nodeSection,
  outboundSection,
  peerSection,
  reachSection,
  tillSection,
  type LedgerPlace,
  type NodeSettings,
  type NodeTerms,
  type NodeValues,
  type OutboundValues,
  type PeerValues,
  type ReachValues,
  type Section,
  type TillValues,
} from '../config/index.ts';
import type { DeclaredPurpose } from '../../node/transport/index.ts';
import type { RunningNode } from '../node/index.ts';

export interface Role<Own> {
  /** Of the command; a node says it in its stats. */
  readonly name: string;
  /** A line for the list of commands. */
  readonly summary: string;
  readonly description: string;
  readonly example: string;
  /** True if others dial it and pay it: it then takes the settings of its addresses and of its till. */
  readonly earns: boolean;
  /** Its own settings, beside those of every node. */
  readonly settings: Section<Own>;
  /** What it opens connections for, beside what every node does (`declarePurpose`): `node.policy` refuses any other. */
  readonly purposes?: readonly DeclaredPurpose[];
  /** What it asks of the node. */
  terms(own: Own): NodeTerms;
  /** Adds what it does to a node that is open and not announced yet. */
  start(node: RunningNode, own: Own): Promise<RunningRole>;
}

/** Disposed before its node. */
export interface RunningRole extends AsyncDisposable {
  /** Runs once the node is announced. @returns fields to add to the ready event. */
  announced?(): Promise<object>;
  /** Lines for people once it runs. @param addresses where others dial the node */
  describe(addresses: readonly string[]): string;
  /** What it did since its start, for `relaymint stats`. */
  figures?(): Readonly<Record<string, number>>;
  /** Resolves when it has done what it was run for: its node then ends. */
  readonly finished?: Promise<RoleFinish>;
}

/** What is said at the end, for scripts and for people. */
export interface RoleFinish {
  readonly value: object;
  readonly line: string;
}

/** What every node is opened with. */
export type BaseValues = NodeValues & LedgerPlace & OutboundValues & PeerValues;
/** Each is undefined for a role that does not earn. */
export type EarnerValues = ReachValues & TillValues;

export function baseSection(role: Pick<Role<unknown>, 'name'>): Section<BaseValues> {
  return { ...nodeSection(role.name), ...ledgerSection, ...outboundSection, ...peerSection };
}

export const earnerSection: Section<EarnerValues> = { ...reachSection, ...tillSection };

/**
 * What a node of a role is opened with.
 * @throws RelaymintError UNSAFE_CONFIG, INVALID_CONFIG when the values do not go together.
 */
export function settingsOf<Own>(
  role: Pick<Role<Own>, 'name' | 'earns' | 'purposes' | 'terms'>,
  values: BaseValues & Partial<EarnerValues> & Own,
  log: (label: string) => Log,
): NodeSettings {
  const label = values.label ?? role.name;
  const earner = role.earns ? (values as EarnerValues) : undefined;
  const settings: NodeSettings = {
    role: role.name,
    label,
    dataDir: path.resolve(values.data ?? defaultDataDir(role.name)),
    node: values,
    ledger: values,
    outbound: values,
    peers: values,
    reach: earner,
    till: earner,
    terms: role.terms(values),
    purposes: role.purposes ?? [],
    log: log(label),
  };
  assertSafe(settings);
  return settings;
}

/** A node with a hidden address that is not anonymous: its operator is told what still shows. */
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AsyncDisposableStack } from '@whatwg-node/disposablestack';
import { silentLog } from '../../core/ports.ts';
import { pricePerMiB } from '../../core/units.ts';
import { EMBEDDED_PROGRAM_ID } from '../../ledger/solana/index.ts';
import {
  nodeSection,
  outboundSection,
  peerSection,
  reachSection,
  valuesOf,
  type NodeSettings,
} from '../../app/config/index.ts';
import { openNode } from '../../app/node/index.ts';
import { temporaryFolder } from '../e2e/marketplace.ts';

const stack = new AsyncDisposableStack();
let folder: string;
let nodes = 0;

beforeAll(async () => {
  folder = stack.use(await temporaryFolder()).path;
});
afterAll(() => stack.disposeAsync());

/** What a relay warns of when it opens. Nothing leaves this machine: it is not announced. */
async function warnings(locations: string, ledgerUrl: string, anonymize: 'tor' | undefined): Promise<string[]> {
  const warned: string[] = [];
  nodes += 1;
  const outbound = {
    ...valuesOf(outboundSection, { loopbackOnly: true, torSocks: `unix:${path.join(folder, 'no tor')}` }),
    anonymize,
  };
  const settings: NodeSettings = {
    role: 'relay',
    label: 'relay',
    dataDir: path.join(folder, String(nodes)),
    node: valuesOf(nodeSection('relay')),
    ledger: { ledger: ledgerUrl, program: EMBEDDED_PROGRAM_ID },
    outbound,
    peers: valuesOf(peerSection),
    reach: valuesOf(reachSection, { location: locations }),
    till: undefined,
    terms: { relayPrice: pricePerMiB(1n), windowPrice: pricePerMiB(1n) },
    purposes: [],
    log: { ...silentLog, warn: (_fields, message) => void warned.push(message) },
  };
  await (await openNode(settings))[Symbol.asyncDispose]();
  return warned;
}

it.each([
  ['onion:80', 'https://rpc.example/', undefined, true],
  ['onion:80', 'http://127.0.0.1:1/', undefined, false],
  ['UNREACHABLE', 'https://rpc.example/', undefined, false],
  ['AUTODETECT,onion:80', 'https://rpc.example/', undefined, false],
  ['onion:80', 'https://rpc.example/', 'tor', false],
] as const)(
  'at %s with the ledger %s, anonymize %s: the direct way to the ledger is warned of: %s',
  async (...given) => {
    const [locations, ledgerUrl, anonymize, warned] = given;
    const direct = (await warnings(locations, ledgerUrl, anonymize)).filter((text) =>
      text.includes('it reaches the ledger directly'),
    );
    expect(direct).toHaveLength(warned ? 1 : 0);
  },
);

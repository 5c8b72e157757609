/** `npm run bench -- sso`: how many people an issuer lets in, beside the library that it is made of. */
import type { Command } from 'commander';
import { watchLifecycle } from '../../app/lifecycle.ts';
import { count, flagsOnly, speechSection, standard, type ValuesOf } from '../../app/config/index.ts';
import { UNKNOWN_RUNTIME } from '../../cli/commands/sso.ts';
import { createOutput, createStatus, table, withoutLine } from '../../cli/output.ts';
import { addSettings } from '../../cli/settings.ts';
import { percentile } from '../path/figures.ts';
import type * as MeasureModule from './measure.ts';
import type { Measured } from './measure.ts';
import { KINDS } from './protocol.ts';

const MIB = 1_048_576;

const ssoSection = flagsOnly({
  json: speechSection().json,
  logins: standard('--logins <n>', count(1, 15_000), 'logins and refreshes of each, after a warm-up', '400'),
  grants: standard(
    '--grants <n>',
    count(1, 10_000_000),
    'what sites were allowed, for the figures of memory',
    '100000',
  ),
});

type SsoOptions = ValuesOf<typeof ssoSection>;

export function ssoBenchCommand(program: Command): void {
  const command = program
    .command('sso')
    .summary('logins and refreshes of an issuer, and its memory with 100,000 grants')
    .description(
      'An unchanged OpenID Connect client signs people in at an issuer, each with a wallet of their own, and at the library of ' +
        'which the issuer is made, which keeps everything in memory and lets everybody in. They take turns.',
    );
  addSettings(command, ssoSection)
    .addHelpText('after', '\nSee docs/benchmarks.md for how to read the figures.\n')
    .action(run);
}

async function run({ json, logins, grants }: SsoOptions): Promise<void> {
  const output = createOutput(json === true);
  using lifecycle = watchLifecycle();
  const { signal } = lifecycle;
  const status = createStatus(output.json);
  try {
    const { measure } = await load();
    const measured = await measure({ logins, grants, signal, onProgress: (what) => status.show(what) });
    status.clear();
    const rows = rowsOf(measured);
    const memory = memoryOf(measured, grants);
    output.value({ bench: 'sso', rows, memory });
    output.line(describe(rows, memory));
  } finally {
    status.clear();
  }
}

interface Row {
  readonly name: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the library's in the same run. */
  readonly ofLibrary: number;
}

function rowsOf({ logins, refreshes }: Measured): readonly Row[] {
  return Object.entries({ logins, refreshes }).flatMap(([what, kinds]) =>
    KINDS.map((kind) => {
      const perSecond = (one: (typeof KINDS)[number]): number => kinds[one].millis.length / kinds[one].seconds;
      const { millis } = kinds[kind];
      return {
        name: `${kind}-${what}`,
        perSecond: perSecond(kind),
        p50Ms: percentile(millis, 0.5),
        p99Ms: percentile(millis, 0.99),
        ofLibrary: perSecond(kind) / perSecond('library'),
      };
    }),
  );
}

interface Memory {
  readonly grants: number;
  readonly beforeMiB: number;
  readonly writtenMiB: number;
  readonly readMiB: number;
  readonly bytesPerGrant: number;
}

function memoryOf({ memory: { before, written, read } }: Measured, grants: number): Memory {
  const most = Math.max(written, read);
  return {
    grants,
    beforeMiB: before / MIB,
    writtenMiB: written / MIB,
    readMiB: read / MIB,
    bytesPerGrant: (most - before) / grants,
  };
}

function describe(rows: readonly Row[], memory: Memory): string {
  const cells = rows.map(({ name, perSecond, p50Ms, p99Ms, ofLibrary }) => [
    name,
    perSecond.toFixed(1),
    p50Ms.toFixed(1),
    p99Ms.toFixed(1),
    ofLibrary.toFixed(2),
  ]);
  return [
    table([['', 'a second', 'p50 ms', 'p99 ms', 'of the library'], ...cells], [1, 2, 3, 4]),
    '',
    `Memory of the issuer: ${memory.beforeMiB.toFixed(0)} MiB; ${memory.writtenMiB.toFixed(0)} MiB with ${memory.grants} grants written, ${memory.readMiB.toFixed(0)} MiB after each was read: ${memory.bytesPerGrant.toFixed(0)} bytes a grant.`,
  ].join('\n');
}

/** Loaded when it is needed. (The compiler leaves an import() beside a `using` as it is.) */
function load(): Promise<typeof MeasureModule> {
  return withoutLine(UNKNOWN_RUNTIME, () => import('./measure.ts'));
}

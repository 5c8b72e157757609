/** The configuration of our own tor. It holds no secret: tor makes its keys and its cookie itself. */
import type { Bridges } from './bridges.ts';

export interface TorrcOptions {
  readonly directory: string;
  /** Process that tor must not outlive. */
  readonly owner: number;
  /** For programs that cannot use unix sockets; undefined: none. */
  readonly socksPort: number | undefined;
  readonly bridges: Bridges | undefined;
  /** Program of each pluggable transport. */
  readonly transportPrograms: ReadonlyMap<string, string>;
  /** The user's own lines. */
  readonly extra: readonly string[];
}

/** Streams with different user names share no circuit; onion failures say what they are. */
const SOCKS_FLAGS = 'IsolateSOCKSAuth ExtendedErrors';

export function torrcText(options: TorrcOptions): string {
  const { directory, bridges } = options;
  const quoted = (name: string): string => `"${`${directory}/${name}`.replace(/["\\]/g, '\\$&')}"`;
  return [
    `DataDirectory ${quoted('data')}`,
    `SocksPort unix:${quoted('socks')} ${SOCKS_FLAGS}`,
    ...(options.socksPort === undefined ? [] : [`SocksPort 127.0.0.1:${options.socksPort} ${SOCKS_FLAGS}`]),
    `ControlSocket unix:${quoted('control')}`,
    'CookieAuthentication 1',
    'ClientOnly 1',
    'ShutdownWaitLength 0',
    'Log notice stdout',
    `__OwningControllerProcess ${options.owner}`,
    ...(bridges === undefined
      ? []
      : [
          'UseBridges 1',
          ...[...options.transportPrograms].map(([name, file]) => `ClientTransportPlugin ${name} exec ${file}`),
          ...bridges.lines.map((line) => `Bridge ${line}`),
        ]),
    ...options.extra,
    '',
  ].join('\n');
}

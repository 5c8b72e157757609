/** Bridge lines, as people get them by mail or from bridges.torproject.org: with or without the word Bridge, with comments. */
import { isIP } from 'node:net';
import { RelaymintError } from '../../../core/errors.ts';

export interface Bridges {
  /** Without the word Bridge. */
  readonly lines: readonly string[];
  /** Pluggable transports that they need, for example obfs4. */
  readonly transports: readonly string[];
}

const MAX_BRIDGES = 64;
const MAX_LINE = 1024;

/** @throws RelaymintError INVALID_CONFIG naming the line. */
export function parseBridges(text: string): Bridges {
  const lines: string[] = [];
  const transports = new Set<string>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim().replace(/^bridge\s+/i, '');
    if (line === '' || line.startsWith('#')) continue;
    const [first = '', ...rest] = line.split(/\s+/);
    const transport = /^[a-z][a-z0-9_]*$/i.test(first) ? first : undefined;
    const [address = '', fingerprint] = transport === undefined ? [first, ...rest] : rest;
    const extra = (transport === undefined ? rest : rest.slice(1)).slice(fingerprint === undefined ? 0 : 1);
    if (
      line.length > MAX_LINE ||
      !isAddress(address) ||
      (fingerprint !== undefined && !/^[0-9A-F]{40}$/i.test(fingerprint)) ||
      !extra.every((word) => /^[\w-]+=\S+$/.test(word))
    ) {
      throw new RelaymintError('INVALID_CONFIG', `Line ${index + 1} is not a bridge: "${line.slice(0, 80)}".`, {
        remedy: 'Write [TRANSPORT] ADDRESS:PORT [FINGERPRINT] [NAME=VALUE ..], one per line.',
      });
    }
    if (transport !== undefined) transports.add(transport.toLowerCase());
    lines.push(line);
  }
  if (lines.length === 0 || lines.length > MAX_BRIDGES) {
    throw new RelaymintError('INVALID_CONFIG', `There are ${lines.length} bridges; 1 to ${MAX_BRIDGES} can be used.`, {
      remedy: 'Put one bridge on each line.',
    });
  }
  return { lines, transports: [...transports] };
}

function isAddress(text: string): boolean {
  const [, host = '', port = ''] = /^\[?([0-9a-f.:]+?)\]?:(\d{1,5})$/i.exec(text) ?? [];
  return isIP(host) !== 0 && Number(port) >= 1 && Number(port) <= 65_535;
}

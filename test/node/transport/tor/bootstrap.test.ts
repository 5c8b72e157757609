/** A tor of our own that ends while it starts, and what is left of one that ended: with a program that only looks like tor. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../../core/ports.ts';
import { startTorDaemon, type TorDaemon } from '../../../../node/transport/tor/daemon.ts';
import { claim, release, runningDaemon } from '../../../../node/transport/tor/pid-file.ts';

const signal = new AbortController().signal;

/** Answers every command over its control socket, and ends at the last one that a starting tor is asked. */
const DIES_AT_GETINFO = `#!${process.execPath}
const net = require('net');
const path = require('path');
net.createServer((socket) => {
  socket.setEncoding('utf8').on('error', () => {}).on('data', (text) => {
    for (const line of text.split('\\r\\n').filter(Boolean)) {
      if (line.startsWith('GETINFO')) socket.end(() => {
        console.log('[err] out of luck');
        process.exit(1);
      });
      else if (line.startsWith('PROTOCOLINFO')) socket.write('250-AUTH METHODS=NULL\\r\\n250 OK\\r\\n');
      else socket.write('250 OK\\r\\n');
    }
  });
}).listen(path.join(path.dirname(process.argv.at(-1)), 'control'));
`;

describe('a tor of our own', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'rm-bootstrap-'));
    await mkdir(path.join(directory, 'bin'));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.useRealTimers();
    await rm(directory, { recursive: true, force: true });
  });

  const start = async (program: string): Promise<TorDaemon> => {
    await writeFile(path.join(directory, 'bin', 'tor'), program, { mode: 0o700 });
    vi.stubEnv('PATH', `${path.join(directory, 'bin')}:${process.env['PATH'] ?? ''}`);
    return startTorDaemon({ directory: path.join(directory, 'data'), log: silentLog, signal });
  };

  it('that ends at once is not looked for any longer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await expect(start('#!/bin/sh\nexit 1\n')).rejects.toMatchObject({ code: 'TOR_BOOTSTRAP_FAILED' });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that goes away while it reports its progress fails the start, and nothing else', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
    try {
      await expect(start(DIES_AT_GETINFO)).rejects.toMatchObject({
        code: 'TOR_BOOTSTRAP_FAILED',
        message: expect.stringContaining('out of luck') as string,
      });
      // Unhandled rejections are told after the microtasks of a turn.
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('unhandledRejection', note);
      for (const other of others) process.on('unhandledRejection', other);
    }
    expect(unhandled).toEqual([]);
  });

  describe('is known by its pid file', () => {
    const file = (): string => path.join(directory, 'relaymint.pid');

    it('which names the process that made it until it is released', async () => {
      await claim(directory);
      expect(await runningDaemon(directory)).toBe(process.pid);
      await release(directory);
      expect(await runningDaemon(directory)).toBeUndefined();
    });

    it('unless the id belongs to another process by now', async () => {
      const stranger = spawn('sleep', ['60']);
      await once(stranger, 'spawn');
      await writeFile(file(), `${stranger.pid} 1\n`);
      expect(await runningDaemon(directory)).toBeUndefined();
      await claim(directory);
      expect((await readFile(file(), 'utf8')).split(/\s/)[0]).toBe(String(process.pid));
      stranger.kill();
    });

    it('and without a start time only if its control socket takes connections', async () => {
      await writeFile(file(), `${process.ppid}\n`);
      expect(await runningDaemon(directory)).toBeUndefined();
      const server = createServer((socket) => socket.end()).listen(path.join(directory, 'control'));
      await once(server, 'listening');
      expect(await runningDaemon(directory)).toBe(process.ppid);
      await expect(claim(directory)).rejects.toMatchObject({ code: 'FILE_IN_USE' });
      server.close();
    });
  });
});

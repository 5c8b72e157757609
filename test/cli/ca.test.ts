/** `relaymint ca`, as people and scripts run it. */
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from './program.ts';

let folder: string;
let env: Readonly<Record<string, string>>;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'relaymint-ca-'));
  env = { RELAYMINT_CA: path.join(folder, 'ca') };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ca = (...args: string[]): ReturnType<typeof run> => run(['ca', ...args], { env });

describe('relaymint ca', () => {
  it('makes an authority once, and shows the certificate and never the key', async () => {
    const none = await ca('show');
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('[FILE_NOT_FOUND]') as unknown]);
    const file = path.join(folder, "ana's ca.crt");
    const exported = await ca('export', file);
    const text = await readFile(file, 'utf8');
    const { fingerprint256, subject } = new X509Certificate(text);
    const title = subject.replace('CN=', '');
    expect(exported.code).toBe(0);
    expect(text).toMatch(/^-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n$/);
    expect((await stat(path.join(folder, 'ca', 'ca.pem'))).mode & 0o777).toBe(0o600);
    const shown = await ca('show');
    const again = await ca('export', '--json', path.join(folder, 'again.crt'));
    expect(shown.stdout).toContain(fingerprint256);
    expect(JSON.parse(again.stdout)).toMatchObject({ fingerprint: fingerprint256, title });
    // As a shell takes it.
    expect(exported.stdout).toContain(
      `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n "${title}" -i '${folder}/ana'\\''s ca.crt'`,
    );
    const key = /-----BEGIN PRIVATE KEY-----\n(\S+)/.exec(
      await readFile(path.join(folder, 'ca', 'ca.pem'), 'utf8'),
    )?.[1];
    const all = [exported, shown, again].map(({ stdout, stderr }) => stdout + stderr).join('') + text;
    expect([all.includes('PRIVATE'), all.includes(key ?? 'no key')]).toEqual([false, false]);
  });

  it('says where the proxy of the gateway is, and what a browser takes that asks nobody for it', async () => {
    await ca('export', path.join(folder, 'ca.crt'));
    const shown = await ca('show', '--full', '8500', '--address', '::1');
    expect(shown.stdout).toContain('autoconfig-url http://[::1]:8500/proxy.pac');
    expect(shown.stdout).not.toContain('8403');
    const { pac, pacData } = JSON.parse((await ca('show', '--json')).stdout) as { pac: string; pacData: string };
    expect([pac, await (await fetch(pacData)).text()]).toEqual([
      'http://127.0.0.1:8403/proxy.pac',
      expect.stringContaining("'PROXY 127.0.0.1:8403'"),
    ]);
    // What a shell takes apart is in quotes.
    expect((await ca('show')).stdout).toContain(`--proxy-pac-url='${pacData}'`);
    const told = await run(['ca', 'show', '--json'], { env: { ...env, RELAYMINT_GATEWAY_FULL: '8600' } });
    expect(JSON.parse(told.stdout)).toMatchObject({ pac: 'http://127.0.0.1:8600/proxy.pac' });
  });

  it('removes it only when that is meant, also when it is damaged, and says how browsers forget it', async () => {
    await ca('export', path.join(folder, 'ca.crt'));
    const unsure = await ca('remove');
    expect([unsure.code, unsure.stderr]).toEqual([1, expect.stringContaining('Add --yes') as unknown]);
    await writeFile(path.join(folder, 'ca', 'ca.pem'), 'damaged');
    for (const command of [['show'], ['export', path.join(folder, 'ca.crt')]]) {
      const { code, stderr } = await ca(...command);
      expect([code, stderr]).toEqual([1, expect.stringContaining('relaymint ca remove') as unknown]);
    }
    expect(await readFile(path.join(folder, 'ca', 'ca.pem'), 'utf8')).toBe('damaged');
    const removed = await ca('remove', '--yes');
    expect([removed.code, await readdir(path.join(folder, 'ca'))]).toEqual([0, []]);
    for (const way of ['certutil -d sql:$HOME/.pki/nssdb -D', 'Firefox', 'delete-certificate -t', '-delstore Root'])
      expect(removed.stdout).toContain(way);
    expect(JSON.parse((await ca('remove', '--yes', '--json')).stdout)).toMatchObject({ event: 'absent' });
  });
});

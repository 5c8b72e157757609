/** The file that an issuer's whole trust hangs on: damaged, shown to others, made twice at once. */
import { chmod, copyFile, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AHEAD_MILLIS, SIGNS_MILLIS, openSecrets, type SecretsPlace } from '../../../sites/sso/secrets.ts';
import { MovedClock, openPlace, startIssuer, type Place } from './kit.ts';

const ISSUER = new URL('https://id.example.org');

let place: Place;
let clock: MovedClock;
let at: SecretsPlace;

beforeEach(async () => {
  place = await openPlace();
  clock = new MovedClock();
  at = { directory: place.directory, issuer: ISSUER, clock };
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

async function file(): Promise<string> {
  const [found = ''] = (await readdir(place.directory)).filter((name) => name.endsWith('.json'));
  return path.join(place.directory, found);
}

describe("S27: the issuer's secrets", () => {
  it('S27 are readable by nobody else, when made and when keys are turned, and otherwise refused', async () => {
    await openSecrets(at);
    expect((await stat(await file())).mode & 0o777).toBe(0o600);
    clock.ahead = SIGNS_MILLIS - AHEAD_MILLIS + 1;
    await openSecrets(at);
    expect((await stat(await file())).mode & 0o777).toBe(0o600);
    await chmod(await file(), 0o640);
    await expect(openSecrets(at)).rejects.toMatchObject({ code: 'KEY_FILE_UNSAFE' });
  });

  it('S27 are the same for two that begin at once, and stay what subjects are made of when keys are turned', async () => {
    const [one, two] = await Promise.all([openSecrets(at), openSecrets(at)]);
    expect(two).toStrictEqual(one);
    clock.ahead = 3 * SIGNS_MILLIS;
    const later = await openSecrets(at);
    expect(later.subjects).toStrictEqual(one.subjects);
    expect(later.cookies).toBe(one.cookies);
  });

  it('S25 of one issuer are not taken by another, wherever they are put', async () => {
    await openSecrets(at);
    const first = await file();
    await using elsewhere = await openPlace();
    const other = { directory: elsewhere.directory, issuer: new URL('https://id.example.net'), clock };
    await openSecrets(other);
    const [name = ''] = await readdir(elsewhere.directory);
    await copyFile(first, path.join(elsewhere.directory, name));
    await expect(openSecrets(other)).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
  });

  it('S27 that are damaged are refused with a reason that quotes none of them', async () => {
    const kept = await openSecrets(at);
    const whole = await readFile(await file(), 'utf8');
    const parsed = JSON.parse(whole) as { keys: { jwk: Record<string, string> }[] };
    const [first, ...others] = parsed.keys;
    const { d: _left, ...without } = first?.jwk ?? {};
    const modulus = `AAAA${first?.jwk['n']?.slice(4) ?? ''}`;
    const damages = [
      '',
      whole.slice(0, -2),
      whole.replace('"version":1', '"version":2'),
      JSON.stringify({ ...parsed, subjects: '' }),
      JSON.stringify({ ...parsed, cookies: 'short' }),
      JSON.stringify({ ...parsed, keys: [] }),
      JSON.stringify({ ...parsed, keys: [{ ...first, jwk: without }, ...others] }),
      JSON.stringify({ ...parsed, keys: [{ ...first, jwk: { ...first?.jwk, n: modulus } }, ...others] }),
    ];
    for (const damaged of damages) {
      await writeFile(await file(), damaged);
      const told = await openSecrets(at).then(
        () => 'nothing',
        (error: unknown) => error,
      );
      expect(told).toMatchObject({ code: 'INVALID_ENCODING' });
      expect(String(told)).not.toContain(kept.cookies);
    }
  });

  it('S27 refused, no issuer begins', async () => {
    await using running = await startIssuer({ place });
    expect(running.url.port).toBe(String(place.port));
    await running[Symbol.asyncDispose]();
    await writeFile(await file(), '{}');
    await expect(startIssuer({ place })).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
  });
});

/** The authority of full mode: what it may vouch for, whatever it signs, and what becomes of its file. */
import { once } from 'node:events';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { connect, createServer } from 'node:tls';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extensions,
  GeneralName,
  GeneralSubtree,
  KeyUsage,
  KeyUsageFlags,
  NameConstraints,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_nameConstraints,
  id_kp_codeSigning,
  id_kp_serverAuth,
  type Extension,
  type TBSCertificate,
} from '@peculiar/asn1-x509';
import { afterEach, describe, expect, it } from 'vitest';
import { AUTHORITY_MILLIS } from '../../../core/limits.ts';
import { systemClock } from '../../../core/ports.ts';
import { unixMillis } from '../../../core/units.ts';
import { createP256, p256Public, p256Secret, p256Sign } from '../../../platform/keys/p256.ts';
import { pem } from '../../../platform/keys/pem.ts';
import { authorityCertificate, leafCertificate } from '../../../sites/full/certificate.ts';
import { openAuthority, readAuthority, removeAuthority } from '../../../sites/full/index.ts';
import { Cleanup, temporaryFolder } from '../kit.ts';
import { stolenKey } from './kit.ts';

const DAY = 86_400_000;
const soon = (): { from: ReturnType<typeof unixMillis>; until: ReturnType<typeof unixMillis> } => ({
  from: unixMillis(systemClock.now() - DAY),
  until: unixMillis(systemClock.now() + DAY),
});

describe('the authority of full mode', () => {
  const cleanup = new Cleanup();
  afterEach(() => cleanup.run());

  const place = async (): Promise<{ directory: string; file: string; clock: typeof systemClock }> => {
    const directory = path.join(await temporaryFolder(cleanup), 'new', 'ca');
    return { directory, file: path.join(directory, 'ca.pem'), clock: systemClock };
  };

  it('is made once, in a file for its owner alone', async () => {
    const at = await place();
    expect(await readAuthority(at)).toBe(undefined);
    const both = await Promise.all([openAuthority(at), openAuthority(at)]);
    const again = await openAuthority(at);
    expect(new Set([...both, again].map(({ fingerprint }) => fingerprint)).size).toBe(1);
    expect((await stat(at.file)).mode & 0o777).toBe(0o600);
    expect(again.certificate).not.toContain('PRIVATE');
    expect(JSON.stringify(again)).not.toContain('PRIVATE');
  });

  it.each(['example.com', 'film.video', 'harbour.map', 'localhost', 'web3.example.com', 'notweb3'])(
    'cannot vouch for %s, even if somebody has its key',
    async (host) => {
      const at = await place();
      const { certificate } = await openAuthority(at);
      expect(await trusts(host, certificate, await stolenKey(at.directory))).toBe('permitted subtree violation');
    },
  );

  it.each(['news.web3', 'alice.sso', 'dawn.image', 'ferry.route'])('vouches for %s', async (host) => {
    const at = await place();
    const { certificate } = await openAuthority(at);
    expect(await trusts(host, certificate, await stolenKey(at.directory))).toBe('trusted');
  });

  it.each([
    ['cut', (whole: Buffer) => Promise.resolve(whole.subarray(0, whole.length - 100))],
    ['of nothing', () => Promise.resolve(Buffer.alloc(0))],
    ['something else', () => Promise.resolve(Buffer.from('hello'))],
    ['with the key of another', (whole: Buffer) => Promise.resolve(withKey(createP256(), certificateOf(whole)))],
    [
      'that of an authority that may vouch for anything',
      () => Promise.resolve(ownMade((all) => void all.splice(all.indexOf(the(all, id_ce_nameConstraints)), 1))),
    ],
    [
      'that of an authority that may vouch for more',
      () => Promise.resolve(ownMade((all) => allow(the(all, id_ce_nameConstraints), 'com'))),
    ],
    [
      'that of one whose constraints may be passed over',
      () => Promise.resolve(ownMade((all) => Object.assign(the(all, id_ce_nameConstraints), { critical: false }))),
    ],
    [
      'that of one that may have authorities below it',
      () =>
        Promise.resolve(ownMade((all) => say(the(all, id_ce_basicConstraints), new BasicConstraints({ cA: true })))),
    ],
    [
      'that of one whose key does more than sign certificates',
      () =>
        Promise.resolve(
          ownMade((all) =>
            say(the(all, id_ce_keyUsage), new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature)),
          ),
        ),
    ],
    [
      'that of one that vouches for programs',
      () =>
        Promise.resolve(
          ownMade((all) =>
            say(the(all, id_ce_extKeyUsage), new ExtendedKeyUsage([id_kp_serverAuth, id_kp_codeSigning])),
          ),
        ),
    ],
    ['that of one by another name', () => Promise.resolve(ownMade((_all, { subject }) => void subject.pop()))],
    ['that of a name', () => Promise.resolve(ofName())],
  ])('says that its file is %s, and leaves it alone', async (_what, change) => {
    const at = await place();
    await openAuthority(at);
    const damaged = await change(await readFile(at.file));
    await writeFile(at.file, damaged);
    await expect(openAuthority(at)).rejects.toMatchObject({ code: 'INVALID_ENCODING', remedy: /relaymint ca remove/ });
    expect((await readFile(at.file)).equals(damaged)).toBe(true);
    expect(await removeAuthority(at.directory)).toBe(true);
    expect(await removeAuthority(at.directory)).toBe(false);
  });

  it('is not used when others can read it, or when its time is over', async () => {
    const at = await place();
    const { until } = await openAuthority(at);
    const later = { now: () => until };
    await expect(openAuthority({ ...at, clock: later })).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
    await chmod(at.file, 0o640);
    await expect(openAuthority(at)).rejects.toMatchObject({ code: 'KEY_FILE_UNSAFE' });
  });

  it('is taken from a copy', async () => {
    const at = await place();
    await openAuthority(at);
    await writeFile(
      at.file,
      ownMade(() => undefined),
    );
    expect((await openAuthority(at)).file).toBe(at.file);
  });

  it('signs for no longer than it lives', async () => {
    const at = await place();
    const { until } = await openAuthority(at);
    const nearly = await openAuthority({ ...at, clock: { now: () => unixMillis(until - DAY) } });
    expect(nearly.issue('news.web3', p256Public(createP256())).until).toBe(until);
    expect(until).toBeGreaterThan(systemClock.now() + AUTHORITY_MILLIS - DAY);
  });
});

function certificateOf(whole: Buffer): Buffer {
  return Buffer.from(whole.toString().replace(/^[^]*?(?=-----BEGIN CERTIFICATE)/, ''));
}

/** An authority as ours, but for what `change` does to its extensions and the rest of it. */
function ownMade(change: (extensions: Extension[], body: TBSCertificate) => unknown): Buffer {
  const key = createP256();
  const certificate = AsnConvert.parse(authorityCertificate(key, soon()), Certificate);
  const { tbsCertificate } = certificate;
  const all = [...(tbsCertificate.extensions ?? [])];
  change(all, tbsCertificate);
  tbsCertificate.extensions = new Extensions(all);
  const body = new Uint8Array(AsnConvert.serialize(tbsCertificate));
  certificate.signatureValue = Uint8Array.from(p256Sign(key, body)).buffer;
  return withKey(key, pem('CERTIFICATE', new Uint8Array(AsnConvert.serialize(certificate))));
}

function the(extensions: readonly Extension[], id: string): Extension {
  const found = extensions.find(({ extnID }) => extnID === id);
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found;
}

function say(extension: Extension, value: unknown): void {
  extension.extnValue = new OctetString(AsnConvert.serialize(value));
}

function allow(extension: Extension, domain: string): void {
  const constraints = AsnConvert.parse(extension.extnValue.buffer, NameConstraints);
  constraints.permittedSubtrees?.push(new GeneralSubtree({ base: new GeneralName({ dNSName: domain }) }));
  say(extension, constraints);
}

function ofName(): Buffer {
  const key = createP256();
  return withKey(key, pem('CERTIFICATE', leafCertificate(key, 'news.web3', p256Public(key), soon())));
}

function withKey(key: ReturnType<typeof createP256>, certificate: Buffer): Buffer {
  return Buffer.concat([pem('PRIVATE KEY', p256Secret(key)), certificate]);
}

/** What Node, which trusts the authority, says of a server with a certificate that its key signed. */
async function trusts(host: string, authority: string, stolen: ReturnType<typeof createP256>): Promise<string> {
  const key = createP256();
  const cert = pem('CERTIFICATE', leafCertificate(stolen, host, p256Public(key), soon()));
  const server = createServer({ key: pem('PRIVATE KEY', p256Secret(key)), cert });
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: host,
    ca: authority,
  });
  try {
    return await once(socket, 'secureConnect').then(
      () => 'trusted',
      ({ message }: Error) => message,
    );
  } finally {
    socket.destroy();
    server.close();
  }
}

import { X509Certificate, createPublicKey, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../../core/codec.ts';
import { createNodeKey, readNodeKey } from '../../../platform/keys/key-file.ts';
import { selfSigned } from '../../../node/link/certificate.ts';
import { pem } from '../../../platform/keys/pem.ts';
import { ED25519 } from '../../../platform/keys/der.ts';
import { identityFromSeed, verifySignature } from '../../../platform/keys/identity.ts';

describe('a node identity', () => {
  it('is the key of the seed (RFC 8032, test 1)', () => {
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    using identity = identityFromSeed(seed);
    expect(toHex(identity.publicKey)).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    expect(identity.nodeId).toBe('FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z');
    const signature = identity.sign(new Uint8Array(0));
    expect(toHex(signature).slice(0, 32)).toBe('e5564300c360ac729086e2cc806e828a');
    expect(verifySignature(identity.publicKey, new Uint8Array(0), signature)).toBe(true);
    expect(verifySignature(identity.publicKey, Uint8Array.of(1), signature)).toBe(false);
  });

  it('signs nothing once disposed', () => {
    const identity = identityFromSeed(randomBytes(32));
    identity[Symbol.dispose]();
    expect(() => identity.sign(new Uint8Array(1))).toThrow(TypeError);
    expect(() => identity.exportKey()).toThrow(TypeError);
    expect(() => identityFromSeed(new Uint8Array(31))).toThrow(TypeError);
  });

  it('has a certificate that others can read and check', () => {
    for (let i = 0; i < 20; i += 1) {
      using identity = identityFromSeed(randomBytes(32));
      const certificate = new X509Certificate(pem('CERTIFICATE', selfSigned(identity)));
      expect(ED25519.rawPublic(certificate.publicKey)).toEqual(identity.publicKey);
      expect(certificate.verify(certificate.publicKey)).toBe(true);
      expect(certificate.subject).toBe('CN=relaymint');
      const key = createPublicKey(pem('PRIVATE KEY', identity.exportKey()).toString());
      expect(ED25519.rawPublic(key)).toEqual(identity.publicKey);
    }
  });
});

describe('a node key file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'node-key-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('is written once, readable only by its owner, and read back', async () => {
    const path = join(folder, 'node.key');
    const created = await createNodeKey(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readNodeKey(path)).nodeId).toBe(created.nodeId);
    const before = await readFile(path);
    await expect(createNodeKey(path)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(['node.key']);
  });

  it('is refused when others can read it, when it is not a key, and when it is missing', async () => {
    const open = join(folder, 'open.key');
    await createNodeKey(open);
    await chmod(open, 0o640);
    await expect(readNodeKey(open)).rejects.toMatchObject({ code: 'KEY_FILE_UNSAFE' });
    const junk = join(folder, 'junk.key');
    for (const size of [0, 47, 48, 49, 5000]) {
      await writeFile(junk, randomBytes(size), { mode: 0o600 });
      await expect(readNodeKey(junk)).rejects.toMatchObject({ code: 'INVALID_ENCODING' });
    }
    await expect(readNodeKey(join(folder, 'none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(createNodeKey(join(folder, 'no', 'such'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});

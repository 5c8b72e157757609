/** The X.509 certificates of full mode (RFC 5280): one authority that can vouch for names of ours and nothing else, and the names'. */
import { createHash, randomBytes, type KeyObject } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  NameConstraints,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_nameConstraints,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
} from '@peculiar/asn1-x509';
import { OWN_TLDS } from '../../core/name.ts';
import type { UnixMillis } from '../../core/units.ts';
import { p256Public, p256Sign } from '../../platform/keys/p256.ts';

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
/** At most 20 octets, and positive. */
const SERIAL_BYTES = 16;
/** RFC 2606: nobody has an address there. */
const NOBODY = 'invalid';

export interface Lifetime {
  readonly from: UnixMillis;
  readonly until: UnixMillis;
}

/**
 * What the authority may vouch for. A form of name that is not mentioned would be free, so each form that a certificate for TLS may have is:
 * of DNS names ours alone, no IP address, and no mail address or URI but below a host that there cannot be.
 */
function nameConstraints(): Buffer {
  const only = (base: Partial<GeneralName>): GeneralSubtree => new GeneralSubtree({ base: new GeneralName(base) });
  return der(
    new NameConstraints({
      permittedSubtrees: new GeneralSubtrees([
        ...OWN_TLDS.map((tld) => only({ dNSName: tld })),
        only({ rfc822Name: NOBODY }),
        only({ uniformResourceIdentifier: NOBODY }),
      ]),
      excludedSubtrees: new GeneralSubtrees([only({ iPAddress: '0.0.0.0/0' }), only({ iPAddress: '::/0' })]),
    }),
  );
}

/** DER of the authority's own certificate, signed by itself. */
export function authorityCertificate(key: KeyObject, lifetime: Lifetime): Buffer {
  return signed(key, authorityBody(p256Public(key), ownPart(lifetime)));
}

/** Whether it says of that key what `authorityCertificate` says, and nothing more, whatever its number and its time. @throws Error when it is no certificate. */
export function isAuthorityCertificate(certificate: Uint8Array, key: KeyObject): boolean {
  const { tbsCertificate: found } = AsnConvert.parse(certificate, Certificate);
  return der(found).equals(der(authorityBody(p256Public(key), found)));
}

function authorityBody(spki: Buffer, own: OwnPart): TBSCertificate {
  const subject = authorityName(spki);
  return body(own, { spki, subject, issuer: subject }, [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: true, pathLenConstraint: 0 })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.keyCertSign)),
    // Of those that it signs for: servers of TLS, no mail and no programs.
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth])),
    new Extension({ extnID: id_ce_nameConstraints, critical: true, extnValue: new OctetString(nameConstraints()) }),
    extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyId(spki))),
  ]);
}

/** DER of a certificate for one host name. `key`: the authority's. `spki`: of whoever answers there. */
export function leafCertificate(key: KeyObject, host: string, spki: Buffer, lifetime: Lifetime): Buffer {
  const own = p256Public(key);
  const parties = { spki, subject: new Name([]), issuer: authorityName(own) };
  const extensions = [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
    extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
    extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth])),
    // Critical, because there is no subject.
    extension(id_ce_subjectAltName, true, new SubjectAlternativeName([new GeneralName({ dNSName: host })])),
    extension(
      id_ce_authorityKeyIdentifier,
      false,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyId(own)) }),
    ),
    extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyId(spki))),
  ];
  return signed(key, body(ownPart(lifetime), parties, extensions));
}

/** What no two certificates have in common. */
type OwnPart = Pick<TBSCertificate, 'serialNumber' | 'validity'>;

interface Parties {
  /** The key that it is about. */
  readonly spki: Buffer;
  readonly subject: Name;
  readonly issuer: Name;
}

function ownPart({ from, until }: Lifetime): OwnPart {
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return {
    serialNumber: bufferOf(serial),
    validity: new Validity({ notBefore: new Date(from), notAfter: new Date(until) }),
  };
}

function body(
  { serialNumber, validity }: OwnPart,
  { spki, subject, issuer }: Parties,
  extensions: Extension[],
): TBSCertificate {
  return new TBSCertificate({
    version: Version.v3,
    serialNumber,
    signature: algorithm(),
    issuer,
    validity,
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    extensions: new Extensions(extensions),
  });
}

function signed(key: KeyObject, tbsCertificate: TBSCertificate): Buffer {
  return der(
    new Certificate({
      tbsCertificate,
      signatureAlgorithm: algorithm(),
      signatureValue: bufferOf(p256Sign(key, der(tbsCertificate))),
    }),
  );
}

function algorithm(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
}

/** Which of several it is shows in lists of browsers; nothing of the machine is in it. */
function authorityName(spki: Buffer): Name {
  const text = `Relaymint names on this machine ${keyId(spki).subarray(0, 4).toString('hex')}`;
  return new Name([
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: COMMON_NAME, value: new AttributeValue({ utf8String: text }) }),
    ]),
  ]);
}

/** Method 1 of RFC 7093. */
function keyId(spki: Buffer): Buffer {
  const { subjectPublicKey } = AsnConvert.parse(spki, SubjectPublicKeyInfo);
  return createHash('sha256').update(Buffer.from(subjectPublicKey)).digest().subarray(0, 20);
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(der(value)) });
}

function der(value: unknown): Buffer {
  return Buffer.from(AsnConvert.serialize(value));
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

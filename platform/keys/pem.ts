/** Keys and certificates as text, the way TLS wants them. */

const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');

/** PEM in a buffer that the caller can wipe, unlike a string. */
export function pem(label: 'CERTIFICATE' | 'PRIVATE KEY', content: Uint8Array): Buffer {
  const text = base64(content);
  const out = Buffer.concat([
    Buffer.from(`-----BEGIN ${label}-----\n`, 'latin1'),
    text,
    Buffer.from(`-----END ${label}-----\n`, 'latin1'),
  ]);
  text.fill(0);
  return out;
}

/** Lines of 64 characters, padded. */
function base64(content: Uint8Array): Buffer {
  const characters = Math.ceil(content.length / 3) * 4;
  const out = Buffer.alloc(characters + Math.ceil(characters / 64), '\n');
  let at = 0;
  for (let i = 0; i < content.length; i += 3) {
    const group = ((content[i] ?? 0) << 16) | ((content[i + 1] ?? 0) << 8) | (content[i + 2] ?? 0);
    for (let digit = 0; digit < 4; digit += 1) {
      const padding = i + digit > content.length;
      out[at] = padding ? 0x3d : (BASE64[(group >> (18 - 6 * digit)) & 63] ?? 0);
      at += 1;
    }
    if ((i / 3) % 16 === 15) at += 1;
  }
  return out;
}

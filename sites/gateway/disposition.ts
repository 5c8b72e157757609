/** Content-Disposition: under which name a browser saves what it gets (RFC 6266). */

/** @param filename well-formed text: it came out of an address. */
export function disposition(kind: 'inline' | 'attachment', filename: string): string {
  const plain = Array.from(filename, (letter) => (/^[\x20-\x7e]$/.test(letter) ? letter : '_')).join('');
  const quoted = `${kind}; filename="${plain.replaceAll(/["\\/]/g, '_')}"`;
  return plain === filename ? quoted : `${quoted}; filename*=UTF-8''${extended(filename)}`;
}

/** RFC 8187: what `encodeURIComponent` leaves as it is and that is no attr-char is escaped too. */
function extended(filename: string): string {
  return encodeURIComponent(filename).replaceAll(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

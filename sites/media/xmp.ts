/** Whose a picture is, as it stands in the picture itself: an XMP packet in the words of Dublin Core and of XMP Rights Management. */

export interface Rights {
  readonly creator: string;
  readonly copyright?: string | undefined;
  /** Where the licence is. */
  readonly url?: string | undefined;
}

export function rightsXmp({ creator, copyright, url }: Rights): string {
  const lines = [
    `<dc:creator><rdf:Seq><rdf:li>${escaped(creator)}</rdf:li></rdf:Seq></dc:creator>`,
    ...(copyright === undefined
      ? []
      : [`<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">${escaped(copyright)}</rdf:li></rdf:Alt></dc:rights>`]),
    '<xmpRights:Marked>True</xmpRights:Marked>',
    ...(url === undefined ? [] : [`<xmpRights:WebStatement>${escaped(url)}</xmpRights:WebStatement>`]),
  ];
  return [
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>',
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/">',
    ...lines,
    '</rdf:Description></rdf:RDF></x:xmpmeta>',
    '<?xpacket end="r"?>',
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Where XMP begins in a JPEG file (XMP, part 3, section 1.1.3). */
const SIGNATURE = Buffer.from('http://ns.adobe.com/xap/1.0/\0', 'latin1');

/** The same JPEG with a packet in it: behind the head by which it is known as JFIF, if it has one. */
export function withXmp(jpeg: Uint8Array, packet: string): Uint8Array {
  const content = Buffer.concat([SIGNATURE, Buffer.from(packet)]);
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(content.length + 2, 2);
  const hasJfif = jpeg[2] === 0xff && jpeg[3] === 0xe0;
  const at = hasJfif ? 4 + (((jpeg[4] ?? 0) << 8) | (jpeg[5] ?? 0)) : 2;
  return Buffer.concat([jpeg.subarray(0, at), head, content, jpeg.subarray(at)]);
}

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

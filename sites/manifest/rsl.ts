/** The licence of a manifest in the words that programs look for: RSL 1.0 (https://rslstandard.org/rsl). */
import type { LicenceTerms, Manifest } from './contract.ts';

export const RSL_TYPE = 'application/rsl+xml';

/** undefined: the manifest has no licence. */
export function rslOf({ licence, copyright, creator }: Manifest): string | undefined {
  if (licence === undefined) return undefined;
  const { permits, prohibits, payment, url } = licence;
  const standard = url === undefined ? '' : `\n        <standard>${escaped(url)}</standard>\n      `;
  const rules = [
    ...rulesOf('permits', permits),
    ...rulesOf('prohibits', prohibits),
    `<payment type="${payment}">${standard}</payment>`,
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>
<rsl xmlns="https://rslstandard.org/rsl">
  <content url="/">
    <license>
      ${rules.join('\n      ')}
    </license>
    <copyright>${escaped(copyright ?? creator)}</copyright>
  </content>
</rsl>
`;
}

function rulesOf(what: 'permits' | 'prohibits', terms: LicenceTerms): readonly string[] {
  return (['usage', 'user', 'geo'] as const).flatMap((type) =>
    terms[type].length === 0 ? [] : [`<${what} type="${type}">${terms[type].join(',')}</${what}>`],
  );
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

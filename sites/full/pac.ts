/**
 * The file by which a browser knows what goes to the proxy (PAC): names of ours and nothing else, so that the rest of what somebody reads
 * never passes us. There is no second way for names: were the proxy gone, a resolver would be told what somebody wanted to read.
 */
import { OWN_TLDS } from '../../core/name.ts';

/** @param proxy host and port, as in an address */
export function proxyAutoConfig(proxy: string): string {
  return `function FindProxyForURL(url, host) {
  var labels = host.toLowerCase().replace(/\\.$/, '').split('.');
  var endings = ${JSON.stringify(OWN_TLDS)};
  return labels.length > 1 && endings.indexOf(labels[labels.length - 1]) >= 0 ? 'PROXY ${proxy}' : 'DIRECT';
}
`;
}

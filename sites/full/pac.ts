/**
 * The file by which a browser knows what goes to the proxy (PAC): names of ours and nothing else, so that the rest of what somebody reads
 * never passes us. There is no second way for names: were the proxy gone, a resolver would be told what somebody wanted to read.
 */
import { isIPv6 } from 'node:net';
import { OWN_TLDS } from '../../core/name.ts';
import type { ListenAt } from '../../platform/listen.ts';

export const PAC_PATH = '/proxy.pac';
export const PAC_TYPE = 'application/x-ns-proxy-autoconfig';

/** Of the proxy that listens there. */
export function proxyAutoConfig(at: ListenAt): string {
  return `function FindProxyForURL(url, host) {
  var labels = host.toLowerCase().replace(/\\.$/, '').split('.');
  var endings = ${JSON.stringify(OWN_TLDS)};
  return labels.length > 1 && endings.indexOf(labels[labels.length - 1]) >= 0 ? 'PROXY ${hostOf(at)}' : 'DIRECT';
}
`;
}

/** Where the proxy serves it. By number: whoever listens at the other of a machine's two addresses is another. */
export function pacUrlAt(at: ListenAt): string {
  return `http://${hostOf(at)}${PAC_PATH}`;
}

/** The file itself as an address: nobody serves it, so that nobody can serve another in its place. */
export function pacAsUrl(at: ListenAt): string {
  return `data:${PAC_TYPE};base64,${Buffer.from(proxyAutoConfig(at)).toString('base64')}`;
}

function hostOf({ address, port }: ListenAt): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

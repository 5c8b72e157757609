/** What a browser asks the proxy of full mode for. Whatever is not exactly a name of ours is for nobody. */
import { nameOfFullHost } from '../../core/name.ts';

/** `CONNECT news.web3:443`. undefined for any other host, port or form. */
export function nameOfTunnel(target: string): string | undefined {
  const [, host] = /^([a-z0-9-]{1,63}\.[a-z0-9]{1,16}):443$/i.exec(target) ?? [];
  return host === undefined ? undefined : nameOfFullHost(host);
}

/** `GET http://news.web3/path`: the same at the name's own origin. undefined for any other host, port or form. */
export function secureAddressOf(target: string): string | undefined {
  const [, host, rest = ''] =
    /^http:\/\/([a-z0-9-]{1,63}\.[a-z0-9]{1,16})(?::80)?([/?][\x21-\x7e]*)?$/i.exec(target) ?? [];
  const name = host === undefined ? undefined : nameOfFullHost(host);
  return name === undefined
    ? undefined
    : `https://${name}${rest.startsWith('?') ? '/' : ''}${rest === '' ? '/' : rest}`;
}

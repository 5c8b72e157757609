/** Asks this machine's resolver. Not for anonymous nodes: an anonymizing network looks names up itself. */
import { lookup } from 'node:dns/promises';
import { RelaymintError, messageOf } from '../../core/errors.ts';

/** The IP addresses of a name. @throws RelaymintError CONNECTION_REFUSED when it has none. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (cause) {
    throw new RelaymintError('CONNECTION_REFUSED', `The name ${host} cannot be resolved (${messageOf(cause)}).`, {
      cause,
    });
  }
}

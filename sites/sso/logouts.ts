/**
 * Telling a site's server that somebody left (OpenID Connect Back-Channel Logout 1.0). The library does so where a person signs out; here is what
 * it may be told to, and telling it when a person ends at /account what the site was allowed.
 */
import type Provider from 'oidc-provider';
import type { AdapterPayload } from 'oidc-provider';
import type { Log } from '../../core/ports.ts';
import { clientName, isLoopback } from './clients.ts';
import type { HeldGrant } from './records.ts';

/**
 * A client that registers is anybody, and we post there what it names: so only to where its visitors are sent back to, at the same port. To this
 * machine only an issuer of this machine posts (`tellsThisMachine`); whoever signs in there is on it, and saw where they go.
 */
export function wrongInLogout(metadata: AdapterPayload, tellsThisMachine: boolean): string | undefined {
  const { backchannel_logout_uri: uri, redirect_uris: redirects = [] } = metadata;
  if (uri === undefined) return undefined;
  const field = 'backchannel_logout_uri';
  if (!URL.canParse(uri)) return `${field} is no address`;
  const url = new URL(uri);
  if (url.username !== '' || url.password !== '' || url.hash !== '') return `${field} is not taken: write it plainly`;
  const isHere = isLoopback(url.hostname);
  const isTaken = url.protocol === 'https:' ? !isHere : url.protocol === 'http:' && isHere && tellsThisMachine;
  if (!isTaken) return `${field} is not taken: use https`;
  const isOwn = redirects.some((redirect) => new URL(redirect).origin === url.origin);
  return isOwn ? undefined : `${field} is not taken: it has to be at the host and port of redirect_uris`;
}

export const NOT_TOLD = 'a site was not told that somebody left';

/** What the library has, and its types do not. */
interface Told {
  backchannelLogout(accountId: string, sid?: string): Promise<void>;
}

/** What was ended, and for which of the person's visits there. */
export interface Ended extends Pick<HeldGrant, 'clientId' | 'accountId'> {
  readonly sids: readonly string[];
}

export interface LogoutsOptions {
  readonly provider: () => Provider;
  readonly log: Log;
}

/** Nobody waits for it: a site that does not answer is not told again. */
export class Logouts implements AsyncDisposable {
  readonly #options: LogoutsOptions;
  readonly #telling = new Set<Promise<void>>();
  #isClosing = false;

  constructor(options: LogoutsOptions) {
    this.#options = options;
  }

  /** One site after another, so that nobody takes all the turns. */
  tell(ended: readonly Ended[]): void {
    const telling = this.#tellAll(ended).finally(() => this.#telling.delete(telling));
    this.#telling.add(telling);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#telling);
  }

  async #tellAll(ended: readonly Ended[]): Promise<void> {
    for (const [told, one] of ended.entries()) {
      if (this.#isClosing) {
        this.#options.log.warn({ left: ended.length - told }, NOT_TOLD);
        return;
      }
      try {
        await this.#tell(one);
      } catch (err) {
        this.#options.log.warn({ err, client: one.clientId }, NOT_TOLD);
      }
    }
  }

  async #tell({ clientId, accountId, sids }: Ended): Promise<void> {
    // Sites by their names have no server that listens.
    if (clientName(clientId) !== undefined) return;
    const client = await this.#options.provider().Client.find(clientId);
    if (client?.backchannelLogoutUri === undefined) return;
    const told = client as typeof client & Told;
    // A token without a visit's number means all visits of that person.
    if (client.backchannelLogoutSessionRequired !== true) await told.backchannelLogout(accountId);
    else for (const sid of sids) await told.backchannelLogout(accountId, sid);
  }
}

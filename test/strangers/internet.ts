/** A small internet on loopback: names with addresses of the public, and sites behind them that speak TLS under their own names. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { RequestListener } from 'node:http';
import { createConnection, type AddressInfo, type Socket } from 'node:net';
import type { Policy } from '../../node/transport/index.ts';

export interface TestSite {
  /** Connections that came to it. */
  readonly connections: () => number;
}

type Network = Pick<Policy, 'anonymize' | 'resolve' | 'connect'>;

/** What a policy is to who fetches. What it connects calls itself by the address that was asked for, as it would out there. */
export class Internet implements Network, AsyncDisposable {
  readonly anonymize = false;
  /** Addresses of a name, the next answer each time; the last one stays. */
  readonly names: Map<string, (readonly string[])[]> = new Map();
  /** Where connections go that ask for another. */
  readonly lies: Map<string, string> = new Map();
  readonly looked: string[] = [];
  readonly dialed: string[] = [];
  readonly #certificate: { readonly key: string; readonly cert: string };
  readonly #servers = new Map<string, Server>();

  /** `hosts`: for which there is a certificate. */
  constructor(hosts: readonly string[]) {
    this.#certificate = certificateFor(hosts);
  }

  get authorities(): readonly string[] {
    return [this.#certificate.cert];
  }

  readonly resolve = (host: string): Promise<readonly string[]> => {
    this.looked.push(host);
    const answers = this.names.get(host) ?? [[]];
    const [answer = []] = answers;
    if (answers.length > 1) answers.shift();
    return Promise.resolve(answer);
  };

  async connect(_purpose: string, { host, port }: { host: string; port: number }): Promise<Socket> {
    this.dialed.push(`${host}:${port}`);
    const server = this.#servers.get(`${host}:${port}`);
    if (server === undefined) throw new Error(`nobody listens at ${host} port ${port}`);
    const socket = createConnection({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    await once(socket, 'connect');
    Object.defineProperty(socket, 'remoteAddress', { value: this.lies.get(host) ?? host });
    return socket;
  }

  /** A site at an address. */
  async open(address: string, answer: RequestListener, port: number = 443): Promise<TestSite> {
    let connections = 0;
    const server = createServer(this.#certificate, answer);
    server.on('connection', () => (connections += 1));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#servers.set(`${address}:${port}`, server);
    return { connections: () => connections };
  }

  /** The same with a name, which has that address alone. */
  async site(host: string, address: string, answer: RequestListener): Promise<TestSite> {
    this.names.set(host, [[address]]);
    return await this.open(address, answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.values()) {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
  }
}

/** PEM of a key and of a certificate that says of itself that it is good for these hosts. */
function certificateFor(hosts: readonly string[]): { readonly key: string; readonly cert: string } {
  const names = hosts.map((host) => `DNS:${host}`).join(',');
  const made = execFileSync(
    'openssl',
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout - -out - -subj /CN=test -addext'
      .split(' ')
      .concat(`subjectAltName=${names}`),
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const part = (what: string): string =>
    new RegExp(`-----BEGIN ${what}-----[^-]+-----END ${what}-----\n`).exec(made)?.[0] ?? '';
  return { key: part('PRIVATE KEY'), cert: part('CERTIFICATE') };
}

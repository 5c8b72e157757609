/** Where a node listens and what it publishes, out of --listen, --announce and --location. */
import { RelaymintError } from '../../core/errors.ts';
import {
  garlicMultiaddr,
  onionMultiaddr,
  onionOfTorrcService,
  type Location,
  type TorrcService,
} from '../../node/transport/index.ts';

export interface Places {
  /** In order; `publish`: what it turns out to listen on goes into the offer. */
  readonly listen: readonly { readonly address: string; readonly publish: boolean }[];
  /** Goes into the offer as it is. */
  readonly announce: readonly string[];
  readonly torrcServices: readonly TorrcService[];
}

interface PlaceSettings {
  readonly listen: readonly string[];
  readonly announce: readonly string[];
  readonly locations: readonly Location[];
}

/** Every network card of this machine. */
const ANYWHERE = '/ip4/0.0.0.0/tcp/0';

/** @throws RelaymintError FILE_NOT_FOUND when a torrc's service is not there yet. */
export async function placesOf(
  { listen, announce, locations }: PlaceSettings,
  own: { readonly onion: string; readonly garlic: string | undefined },
): Promise<Places> {
  if (locations.length === 0) {
    return {
      listen: listen.map((address) => ({ address, publish: announce.length === 0 })),
      announce,
      torrcServices: [],
    };
  }
  const auto = locations.some(({ kind }) => kind === 'autodetect');
  const places: Places['listen'][number][] = (auto && listen.length === 0 ? [ANYWHERE] : listen).map((address) => ({
    address,
    publish: auto,
  }));
  const hints = [...announce];
  const torrcServices: TorrcService[] = [];
  for (const location of locations) {
    if (location.kind === 'onion') places.push({ address: onionMultiaddr(own.onion, location.port), publish: true });
    if (location.kind === 'torrc') {
      torrcServices.push(location);
      places.push({ address: onionMultiaddr(await onionOfTorrcService(location), location.port), publish: true });
    }
    if (location.kind === 'i2p') {
      if (own.garlic === undefined) {
        throw new RelaymintError('INVALID_CONFIG', 'The location i2p needs an I2P router.', {
          remedy: 'Give its SAM port, usually --i2p-sam 7656 (to install a router: apt-get install i2pd).',
        });
      }
      places.push({ address: garlicMultiaddr(own.garlic), publish: true });
    }
    if (location.kind === 'hint') hints.push(location.address);
  }
  return { listen: places, announce: hints, torrcServices };
}

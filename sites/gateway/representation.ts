/**
 * In which form content is wanted: as files and pages, or as blocks that the client verifies by itself. Parameters of the address
 * come before headers (IPFS path gateway specification).
 */
import type { Request } from 'express';
import { RelaymintError } from '../../core/errors.ts';
import type { EntityBytes, Scope } from '../unixfs/index.ts';

export type Representation =
  /** `type`: the media type to name, whatever the file is called. */
  | { readonly form: 'tree'; readonly type?: string }
  | { readonly form: 'raw' }
  | { readonly form: 'tar' }
  | {
      readonly form: 'car';
      readonly scope: Scope;
      readonly bytes: EntityBytes | undefined;
      /** Blocks that occur again are sent again. */
      readonly duplicates: boolean;
    };

export const RAW = 'application/vnd.ipld.raw';
export const CAR = 'application/vnd.ipld.car';
export const TAR = 'application/x-tar';
/** Forms of content that is no file and no folder. */
const OTHERS = /^(?:dag-json|dag-cbor|ipns-record)$/;
const SCOPES: readonly Scope[] = ['block', 'entity', 'all'];

/**
 * @param isSite a page of a name may use the parameter for something of its own: a word that is no form is left to it.
 * @throws RelaymintError NOT_ACCEPTABLE (nothing of ours has that form), INVALID_ARGUMENT (a parameter is malformed).
 */
export function representationOf(request: Request, isSite: boolean): Representation {
  const accepted = acceptedOf(request.headers.accept);
  const format = parameter(request, 'format') ?? accepted?.format;
  if (format === undefined) return { form: 'tree' };
  if (format === 'raw' || format === 'tar') return { form: format };
  if (format === 'json' || format === 'cbor') return { form: 'tree', type: `application/${format}` };
  if (format === 'car') return carOf(request, accepted?.parameters ?? new Map());
  if (OTHERS.test(format)) {
    throw new RelaymintError('NOT_ACCEPTABLE', `Files and folders have no form "${format}".`, {
      remedy: 'Ask for raw, car or tar.',
    });
  }
  if (isSite) return { form: 'tree' };
  throw malformed('format', format);
}

function carOf(request: Request, accepted: ReadonlyMap<string, string>): Representation {
  const version = parameter(request, 'car-version') ?? accepted.get('version') ?? '1';
  if (version !== '1') throw malformed('car-version', version);
  const scope = parameter(request, 'dag-scope') ?? 'all';
  if (!isScope(scope)) throw malformed('dag-scope', scope);
  const bytes = parameter(request, 'entity-bytes');
  return {
    form: 'car',
    scope,
    bytes: bytes === undefined ? undefined : entityBytes(bytes),
    duplicates: (parameter(request, 'car-dups') ?? accepted.get('dups')) === 'y',
  };
}

/** The first media type of the header that names a form. */
function acceptedOf(
  header = '',
): { readonly format: string; readonly parameters: ReadonlyMap<string, string> } | undefined {
  for (const range of header.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const format = formatOf(type.toLowerCase());
    if (format === undefined) continue;
    const said = new Map(parameters.map((text) => splitAt(text, '=')));
    if (Number(said.get('q') ?? 1) > 0) return { format, parameters: said };
  }
  return undefined;
}

function formatOf(type: string): string | undefined {
  if (type === RAW) return 'raw';
  if (type === CAR) return 'car';
  if (type === TAR) return 'tar';
  const [, other] = /^application\/vnd\.ip(?:ld|fs)\.([a-z-]+)$/.exec(type) ?? [];
  return other !== undefined && OTHERS.test(other) ? other : undefined;
}

/** `from:to`, of which `to` may be `*`. */
function entityBytes(text: string): EntityBytes {
  const match = /^(-?\d{1,15}):(-?\d{1,15}|\*)$/.exec(text);
  if (match === null) throw malformed('entity-bytes', text);
  const [, from, to] = match;
  return { from: Number(from), to: to === '*' ? undefined : Number(to) };
}

/** A parameter of the address. Of several of the same name the first counts. */
export function parameter(request: Request, name: string): string | undefined {
  const value: unknown = request.query[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' ? first : undefined;
}

function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
}

function malformed(name: string, value: string): RelaymintError {
  return new RelaymintError('INVALID_ARGUMENT', `The parameter ${name} cannot be "${value.slice(0, 40)}".`, {
    remedy: 'Ask without it.',
  });
}

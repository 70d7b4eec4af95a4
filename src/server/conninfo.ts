import { WalholdError } from '../base/errors.ts';

/** Connection parameters by libpq's names, as written; the last of a name counts. */
export type ConnectionParameters = ReadonlyMap<string, string>;

/**
 * Reads what `-d` takes (libpq, 34.1.1): a URI, `key=value` words, or the bare name of a database. Names are not judged here.
 * Throws `usage`; the text, which may hold a password, is never repeated.
 */
export function parseConnectionString(text: string): ConnectionParameters {
  if (/^postgres(?:ql)?:\/\//.test(text)) return parseUri(text);
  if (text.includes('=')) return parseWords(text);
  return new Map(text === '' ? [] : [['dbname', text]]);
}

/** `host=/tmp port=5433 password='it\'s'`: blanks around `=` are allowed, a backslash takes the next character as it is. */
function parseWords(text: string): ConnectionParameters {
  const found = new Map<string, string>();
  const pattern = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\[^])*)'|((?:[^\s\\']|\\[^])(?:[^\s\\]|\\[^])*)?)(?=\s|$)/y;
  while (pattern.lastIndex < text.trimEnd().length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw wrong(`its word at character ${at + 1} is not "key=value"`);
    const [, key = '', quoted, plain] = match;
    found.set(key, (quoted ?? plain ?? '').replace(/\\([^])/g, '$1'));
  }
  return found;
}

/** `postgresql://user:password@host:port,host2/dbname?key=value`, every part optional and percent-encoded. */
function parseUri(text: string): ConnectionParameters {
  const match = /^postgres(?:ql)?:\/\/(?:([^/?@]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?([^]*))?$/.exec(text);
  if (match === null) throw wrong('it is no URI of PostgreSQL');
  const [, owner, places = '', database, query] = match;
  const found = new Map<string, string>();
  const set = (key: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') found.set(key, decoded(value));
  };
  const colon = owner?.indexOf(':') ?? -1;
  set('user', colon < 0 ? owner : owner?.slice(0, colon));
  set('password', colon < 0 ? undefined : owner?.slice(colon + 1));
  const split = places.split(',').map(splitPlace);
  if (split.some(({ host }) => host !== '')) set('host', split.map(({ host }) => host).join(','));
  if (split.some(({ port }) => port !== '')) set('port', split.map(({ port }) => port).join(','));
  set('dbname', database);
  for (const pair of query === undefined || query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw wrong('a parameter of the URI is not "key=value"');
    set(decoded(pair.slice(0, equals)), pair.slice(equals + 1));
  }
  return found;
}

/** A host in brackets is an IPv6 address. */
function splitPlace(place: string): { host: string; port: string } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::([0-9]*))?$/.exec(place);
  if (match === null) throw wrong('it names no valid host and port');
  return { host: match[1] ?? match[2] ?? '', port: match[3] ?? '' };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('it has a wrong percent-encoding');
  }
}

function wrong(detail: string): WalholdError {
  return new WalholdError('usage', 'could not read the connection string', {
    detail,
    hint: 'Write it as for psql: "host=/var/run/postgresql user=postgres" or "postgresql://user@host/dbname".',
  });
}

/** Where a server is and who asks, by libpq's rules: connection string, `PG*` variables, defaults, in this order. */
import { userInfo } from 'node:os';
import { WalholdError } from '../base/errors.ts';
import { parseConnectionString, type ConnectionParameters } from './conninfo.ts';

export interface ServerAddress {
  /** Tried in order. A host that begins with `/` is the directory of a Unix socket. */
  places: readonly { host: string; port: number }[];
  user: string;
  database: string;
  /** As given; `undefined`: to be looked for in `passwordFile`. */
  password: string | undefined;
  passwordFile: string | undefined;
  applicationName: string;
  /** Command-line options for the server, as PGOPTIONS. */
  options: string | undefined;
  connectTimeoutMs: number;
  tls: TlsSettings;
}

export interface TlsSettings {
  mode: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  rootCertificate: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
}

const APPLICATION_NAME = 'walhold';
const DEFAULT_PORT = 5432;
/** Every cluster has it, unless somebody dropped it. */
const DATABASE = 'postgres';
/** libpq waits for ever by default; a backup at night shall not. */
const CONNECT_TIMEOUT_S = 30;
/** Debian's libpq looks in the first, PostgreSQL's own in the second. */
const SOCKET_DIRECTORIES = ['/var/run/postgresql', '/tmp'];

/** The variables of libpq for the parameters that are honoured here. */
const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  application_name: 'PGAPPNAME',
  options: 'PGOPTIONS',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
};

/** What a standby's primary_conninfo is full of, and what changes nothing here. */
const PASSED_OVER: ReadonlySet<string> = new Set(
  (
    'channel_binding client_encoding fallback_application_name gssdelegation gsslib keepalives keepalives_count ' +
    'keepalives_idle keepalives_interval krbsrvname load_balance_hosts max_protocol_version min_protocol_version ' +
    'replication scram_client_key scram_server_key ssl_max_protocol_version ssl_min_protocol_version sslcertmode ' +
    'sslcompression sslsni tcp_user_timeout'
  ).split(' '),
);

/** Values that ask for nothing special of parameters that are not honoured. */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  gssencmode: ['disable', 'prefer'],
  target_session_attrs: ['any'],
  requiressl: ['0'],
  sslnegotiation: ['postgres'],
};

export interface AddressInput {
  /** What `-d` or the like was given. */
  connectionString: string | undefined;
  environment: Readonly<Record<string, string | undefined>>;
  /** Whether a file exists; for the default socket's directory and TLS files. */
  exists: (path: string) => boolean;
}

/** Throws `usage` for parameters that are unknown, wrong, or asked for something this program cannot do. */
export function serverAddress({ connectionString = '', environment, exists }: AddressInput): ServerAddress {
  const given = parseConnectionString(connectionString);
  for (const [name, value] of given) refuseUnknown(name, value);
  const service = environment['PGSERVICE'];
  if (service !== undefined && service !== '') throw unsupported('service (PGSERVICE)');
  const value = (name: string): string | undefined => valueOf(name, given, environment);
  const home = environment['HOME'];
  const user = value('user') ?? userInfo().username;
  return {
    places: placesOf(value, exists),
    user,
    database: value('dbname') ?? DATABASE,
    password: value('password'),
    passwordFile: value('passfile') ?? (home === undefined ? undefined : `${home}/.pgpass`),
    applicationName: value('application_name') ?? APPLICATION_NAME,
    options: value('options'),
    connectTimeoutMs: whole('connect_timeout', value('connect_timeout') ?? String(CONNECT_TIMEOUT_S), 0, 86_400) * 1000,
    tls: {
      mode: tlsMode(value('sslmode') ?? 'prefer'),
      rootCertificate: value('sslrootcert') ?? ifThere(home, '.postgresql/root.crt', exists),
      certificate: value('sslcert') ?? ifThere(home, '.postgresql/postgresql.crt', exists),
      key: value('sslkey') ?? ifThere(home, '.postgresql/postgresql.key', exists),
    },
  };
}

/** An empty value counts as none, as in libpq. */
function valueOf(
  name: string,
  given: ConnectionParameters,
  environment: AddressInput['environment'],
): string | undefined {
  const variable = VARIABLES[name];
  const own = given.get(name);
  if (own !== undefined && own !== '') return own;
  const inherited = variable === undefined ? undefined : environment[variable];
  return inherited === '' ? undefined : inherited;
}

function placesOf(
  value: (name: string) => string | undefined,
  exists: AddressInput['exists'],
): { host: string; port: number }[] {
  const hosts = (value('hostaddr') ?? value('host') ?? '').split(',');
  const ports = (value('port') ?? '').split(',');
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw new WalholdError('usage', `could not match ${ports.length} port numbers to ${hosts.length} hosts`);
  }
  return hosts.map((host, index) => {
    const text = (ports.length === 1 ? ports[0] : ports[index]) ?? '';
    const port = text === '' ? DEFAULT_PORT : whole('port', text, 1, 65_535);
    const there = SOCKET_DIRECTORIES.find((directory) => exists(`${directory}/.s.PGSQL.${port}`));
    return { host: host === '' ? (there ?? SOCKET_DIRECTORIES[0] ?? '/tmp') : host, port };
  });
}

function refuseUnknown(name: string, value: string): void {
  if (Object.hasOwn(VARIABLES, name) || PASSED_OVER.has(name)) return;
  const harmless = Object.hasOwn(HARMLESS, name) ? HARMLESS[name] : undefined;
  if (harmless === undefined) throw unsupported(name);
  if (value !== '' && !harmless.includes(value)) throw unsupported(`${name}=${value.slice(0, 40)}`);
}

function tlsMode(mode: string): TlsSettings['mode'] {
  switch (mode) {
    case 'disable':
    case 'allow':
    case 'prefer':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return mode;
    default:
      throw new WalholdError('usage', `invalid sslmode value: "${mode.slice(0, 40)}"`);
  }
}

function whole(name: string, text: string, min: number, max: number): number {
  const number = /^[0-9]{1,9}$/.test(text) ? Number(text) : -1;
  if (number >= min && number <= max) return number;
  throw new WalholdError('usage', `invalid value for connection parameter ${name}: "${text.slice(0, 40)}"`);
}

function ifThere(home: string | undefined, file: string, exists: AddressInput['exists']): string | undefined {
  const path = home === undefined ? undefined : `${home}/${file}`;
  return path !== undefined && exists(path) ? path : undefined;
}

function unsupported(name: string): WalholdError {
  return new WalholdError(
    'usage',
    `connection parameter ${name.slice(0, 80)} is unknown or not supported by this version`,
    {
      hint: 'Connect to the server itself, with host, port, user, dbname, password, passfile and the ssl parameters.',
    },
  );
}

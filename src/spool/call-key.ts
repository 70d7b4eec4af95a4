/**
 * All that decides whether a worker's answer may be believed by a call, as one line of text. The launchers in `bin/` build the same
 * line with nothing but what every shell has built in, and compare; `test/unit/launcher-key.test.ts` holds both together.
 *
 * Fields are separated by tabs, and how many there are is fixed by the count of arguments, so that no two calls share a line. The first
 * one ends with `+` when the variables of settings are among them. Mostly none of these is set: then it ends with `-` and they are left
 * out, since some shells read a line byte by byte.
 */
export interface Call {
  program: 'walhold-push' | 'walhold-fetch';
  version: string;
  /** The first three lines of `postmaster.pid`: its process, the data directory, when it started. Nothing outlives a restart. */
  run: PostmasterLines;
  /** The whole command line; what stands before the file's own arguments belongs to the key. */
  argv: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  /** The variables that settings have; see `setting-name.ts`. */
  settingVariables: readonly string[];
}

export type PostmasterLines = readonly [pid: string, dataDirectory: string, start: string];

/** How many arguments at the end name the file. */
export const OPERANDS: Readonly<Record<Call['program'], number>> = { 'walhold-push': 1, 'walhold-fetch': 2 };

/** What else decides which store is meant, as whom, and as of when: what the SDKs read. Never a secret: the line lies in a file. */
export const STORE_VARIABLES: readonly string[] = [
  'HOME',
  'AWS_PROFILE',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_ACCESS_KEY_ID',
  'AWS_ROLE_ARN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'GOOGLE_CLOUD_PROJECT',
  'STORAGE_EMULATOR_HOST',
  'HTTPS_PROXY',
  'https_proxy',
  // By it a moment without a zone is read.
  'TZ',
];

/** In every key. */
export const KEPT_VARIABLES: readonly string[] = ['WALHOLD_CONFIG', ...STORE_VARIABLES];

/** The names in the key's order, the launchers' too. */
export function keyVariables(settingVariables: readonly string[]): string[] {
  return [...KEPT_VARIABLES, ...settingVariables];
}

/** `undefined`: something holds a control character, and no answer is ever given to such a call. */
export function callKey(options: Call): string | undefined {
  const { program, version, run, argv, environment, settingVariables } = options;
  const words = argv.slice(0, -OPERANDS[program]);
  const valuesOf = (names: readonly string[]): string[] => names.map((name) => environment[name] ?? '');
  const settings = valuesOf(settingVariables);
  const isSet = settings.some((value) => value !== '');
  const call = [`${program} ${version} ${isSet ? '+' : '-'}`, ...run, String(argv.length), ...words];
  const fields = [...call, ...valuesOf(KEPT_VARIABLES), ...(isSet ? settings : [])];
  // eslint-disable-next-line no-control-regex -- a tab would pass for the end of a field, a newline for the end of the line
  return fields.some((field) => /[\u0000-\u001f\u007f]/.test(field)) ? undefined : fields.join('\t');
}

/**
 * The file that a call is about, where it asks as a server does: a push with `pg_wal/NAME` as `%p`, a fetch of a segment to
 * `pg_wal/RECOVERYXLOG`. `undefined`: nobody serves it.
 */
export function servedName(program: Call['program'], argv: readonly string[]): string | undefined {
  const path = argv.at(-1) ?? '';
  if (program === 'walhold-push') return /^pg_wal\/([0-9A-Za-z.]{1,64})$/.exec(path)?.[1];
  return path === 'pg_wal/RECOVERYXLOG' ? /^[0-9A-F]{24}$/.exec(argv.at(-2) ?? '')?.[0] : undefined;
}

/**
 * The one table of settings: it drives parsing, `--help`, `walhold config`, the documents and the sample's test.
 *
 * `perRepository` settings exist once for `repo` and again for each `repoN` (`repo2_s3_endpoint`); a later repository does not
 * inherit the first one's. `since` names the feature of settings that this version knows but cannot honour: those are refused.
 */
export type SettingType =
  | { kind: 'text' }
  | { kind: 'wal-file' }
  | { kind: 'repository' }
  | { kind: 'path'; absolute?: true }
  | { kind: 'boolean' }
  | { kind: 'choice'; of: readonly string[] }
  | { kind: 'integer'; min: number; max: number }
  | { kind: 'bytes'; min: number; max: number }
  | { kind: 'duration'; minMs: number; maxMs: number };

export interface Setting {
  name: string;
  type: SettingType;
  /** As the operator would write it; `undefined`: not set. */
  default: string | undefined;
  help: string;
  perRepository?: true;
  /** What this version lacks; a value from any source is then "not supported by this version". */
  lacking?: string;
}

const DAY_MS = 86_400_000;
const GIB = 1024 ** 3;

const text = { kind: 'text' } as const;
const path = { kind: 'path' } as const;
const duration = (minMs: number, maxMs: number = 36_500 * DAY_MS): SettingType => ({ kind: 'duration', minMs, maxMs });
const bytes = (min: number): SettingType => ({ kind: 'bytes', min, max: 1024 * GIB });

export const SETTINGS: readonly Setting[] = [
  {
    name: 'repo',
    type: { kind: 'repository' },
    default: undefined,
    help: 'where to store: file:///path, s3://bucket/prefix or gs://bucket/prefix; repo2 to repo9 name further repositories',
  },
  { name: 's3_endpoint', type: text, default: undefined, perRepository: true, help: 'URL of an S3-compatible server' },
  { name: 's3_region', type: text, default: undefined, perRepository: true, help: 'region of the bucket' },
  {
    name: 's3_path_style',
    type: { kind: 'boolean' },
    default: 'off',
    perRepository: true,
    help: 'address the bucket in the path, not in the host name',
  },
  {
    name: 's3_profile',
    type: text,
    default: undefined,
    perRepository: true,
    help: 'profile of the shared AWS configuration files',
  },
  {
    name: 's3_ca_file',
    type: path,
    default: undefined,
    perRepository: true,
    help: 'PEM file of certificate authorities to trust for the endpoint',
  },
  {
    name: 's3_kms_key',
    type: text,
    default: undefined,
    perRepository: true,
    help: 'KMS key for server-side encryption',
  },
  {
    name: 's3_storage_class',
    type: text,
    default: undefined,
    perRepository: true,
    help: 'storage class of new objects',
  },
  {
    name: 'gcs_endpoint',
    type: text,
    default: undefined,
    perRepository: true,
    help: 'URL of a GCS-compatible server',
  },
  {
    name: 'gcs_key_file',
    type: path,
    default: undefined,
    perRepository: true,
    help: 'service account key; application default credentials otherwise',
  },
  {
    name: 'gcs_kms_key',
    type: text,
    default: undefined,
    perRepository: true,
    help: 'KMS key for server-side encryption',
  },
  {
    name: 'lock_mode',
    type: { kind: 'choice', of: ['none', 'bucket', 'governance', 'compliance'] },
    default: 'none',
    perRepository: true,
    help: 'immutability asked of the store for every object',
  },
  {
    name: 'lock_period',
    type: duration(1000),
    default: undefined,
    perRepository: true,
    help: 'how long objects stay locked, from their writing',
  },
  {
    name: 'lock_max',
    type: duration(1000),
    default: '365d',
    perRepository: true,
    help: 'the longest that lock extend may set',
  },
  {
    name: 'compress_level',
    type: { kind: 'integer', min: -50, max: 19 },
    default: '1',
    help: 'zstd level; negative is faster',
  },
  {
    name: 'part_size',
    type: bytes(1024 ** 2),
    default: '1GB',
    help: 'where a part of a backup ends; whole parts are not copied again when it is resumed',
  },
  {
    name: 'age_recipients',
    type: text,
    default: undefined,
    perRepository: true,
    lacking: 'encryption',
    help: 'age public keys, or a file of them: everything stored is encrypted to them',
  },
  {
    name: 'age_identity_file',
    type: path,
    default: undefined,
    lacking: 'encryption',
    help: 'private key, for reading',
  },
  {
    name: 'jobs',
    type: { kind: 'integer', min: 1, max: 64 },
    default: undefined,
    help: 'parallel workers; default: the number of cores, at most 8',
  },
  { name: 'push_ahead', type: bytes(0), default: '1GB', help: 'how much ready WAL may be in flight' },
  { name: 'fetch_ahead', type: bytes(0), default: '256MB', help: 'how much WAL to keep fetched in advance' },
  {
    name: 'worker_idle',
    type: duration(0),
    default: '5min',
    help: 'how long the background worker lives with nothing to do',
  },
  { name: 'request_timeout', type: duration(100, DAY_MS), default: '30s', help: 'deadline of one request to a store' },
  { name: 'push_timeout', type: duration(100, DAY_MS), default: '60s', help: 'deadline of one push' },
  {
    name: 'on_unreachable',
    type: { kind: 'choice', of: ['auto', 'stop', 'absent'] },
    default: 'auto',
    help: 'what fetch does when a store cannot be reached; absent is dangerous: an outage then ends recovery',
  },
  {
    name: 'unreachable_timeout',
    type: duration(0),
    default: '30s',
    help: 'budget for a whole outage before a standby goes on without the archive',
  },
  {
    name: 'allow_gap',
    type: { kind: 'wal-file' },
    default: undefined,
    help: 'the one missing segment at which WAL may end',
  },
  { name: 'gap_grace', type: duration(0, DAY_MS), default: '10s', help: 'how long a hole may be an upload in flight' },
  {
    name: 'spool_path',
    type: path,
    default: 'pg_wal/pgsql_tmp.walhold',
    help: 'where notes between calls lie; relative to the data directory',
  },
  {
    name: 'retention_window',
    type: duration(0),
    default: undefined,
    perRepository: true,
    help: 'keep what is needed to recover to any moment of this window',
  },
  {
    name: 'retention_full',
    type: { kind: 'integer', min: 1, max: 10_000 },
    default: '2',
    perRepository: true,
    help: 'keep at least so many full backups',
  },
  {
    name: 'log_level',
    type: { kind: 'choice', of: ['error', 'warning', 'info', 'debug'] },
    default: 'info',
    help: 'least severe message to log',
  },
  { name: 'log_format', type: { kind: 'choice', of: ['text', 'json'] }, default: 'text', help: 'form of log lines' },
  {
    name: 'metrics_file',
    type: { kind: 'path', absolute: true },
    default: undefined,
    help: 'Prometheus text file to keep up to date; node_exporter reads names that end in .prom',
  },
];

/** `repo2` … `repo9`: how many repositories there may be. */
export const MAX_REPOSITORIES = 9;

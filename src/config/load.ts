/** The whole of configuration: settings gathered from their sources, then understood together. */
import { availableParallelism } from 'node:os';
import { WalholdError } from '../base/errors.ts';
import type { LogLevel } from '../base/log.ts';
import type { S3Settings, StoreSettings } from '../store/open-store.ts';
import type { Config, EffectiveSetting, RepositoryConfig } from './config.ts';
import { DEFAULT_CONFIG_FILE, gatherSettings, placeOf, type LoadInput } from './gather.ts';
import { parseRepositoryUrl } from './repository-url.ts';
import { findSetting } from './setting-name.ts';
import { parseSettingValue } from './setting-value.ts';
import { MAX_REPOSITORIES } from './settings.ts';

export interface Loaded {
  config: Config;
  /** The file that was read; `undefined` if there was none at the default place. */
  configFile: string | undefined;
  /** To be logged once. */
  warnings: readonly string[];
}

/** Throws `config` or `unsupported`. */
export function loadConfig(input: LoadInput): Loaded {
  const { settings, configFile, warnings } = gatherSettings(input);
  return { config: configOf(settings), configFile, warnings };
}

function configOf(settings: ReadonlyMap<string, EffectiveSetting>): Config {
  const text = (name: string): string | undefined => settings.get(name)?.value;
  const value = <T extends string | number | boolean>(name: string): T => {
    const found = settings.get(name)?.value ?? '';
    const parsed = parseSettingValue(findSetting(name)?.setting.type ?? { kind: 'text' }, found);
    if (!parsed.ok) throw new WalholdError('config', `bad value for ${name}`, { detail: parsed.message });
    return parsed.value as T;
  };
  return {
    repositories: repositoriesOf(settings),
    compressLevel: value('compress_level'),
    jobs: text('jobs') === undefined ? Math.min(8, availableParallelism()) : value('jobs'),
    pushAheadBytes: value('push_ahead'),
    fetchAheadBytes: value('fetch_ahead'),
    workerIdleMs: value('worker_idle'),
    requestTimeoutMs: value('request_timeout'),
    pushTimeoutMs: value('push_timeout'),
    onUnreachable: value<'auto' | 'stop' | 'absent'>('on_unreachable'),
    unreachableTimeoutMs: value('unreachable_timeout'),
    allowGap: text('allow_gap'),
    gapGraceMs: value('gap_grace'),
    spoolPath: value('spool_path'),
    logLevel: value<LogLevel>('log_level'),
    logFormat: value<'text' | 'json'>('log_format'),
    effective: [...settings.values()],
  };
}

function repositoriesOf(settings: ReadonlyMap<string, EffectiveSetting>): [RepositoryConfig, ...RepositoryConfig[]] {
  const found: RepositoryConfig[] = [];
  for (let number = 1; number <= MAX_REPOSITORIES; number++) {
    const repository = repositoryOf(number, settings);
    if (repository !== undefined) found.push(repository);
  }
  const [first, ...others] = found;
  if (first === undefined || first.number !== 1) {
    throw new WalholdError('config', 'no repository is configured', {
      detail: 'the setting repo is missing',
      hint: `Set repo in ${DEFAULT_CONFIG_FILE}, WALHOLD_REPO or --repo, for example repo = 's3://bucket/prefix'.`,
    });
  }
  for (const other of others) refuseTwins(first, others, other);
  return [first, ...others];
}

function refuseTwins(first: RepositoryConfig, others: RepositoryConfig[], other: RepositoryConfig): void {
  const twin = [first, ...others].find((one) => one.number < other.number && sameStore(one.store, other.store));
  if (twin === undefined) return;
  throw new WalholdError(
    'config',
    `repo${other.number} and repo${twin.number === 1 ? '' : twin.number} are the same place`,
    {
      hint: 'Two repositories protect only if they are two.',
    },
  );
}

function sameStore(a: StoreSettings, b: StoreSettings): boolean {
  if (a.scheme === 'file' && b.scheme === 'file') return a.path === b.path;
  if (a.scheme === 's3' && b.scheme === 's3') {
    return a.bucket === b.bucket && a.prefix === b.prefix && a.endpoint === b.endpoint;
  }
  return false;
}

function repositoryOf(number: number, settings: ReadonlyMap<string, EffectiveSetting>): RepositoryConfig | undefined {
  const own = number === 1 ? '' : `repo${number}_`;
  const name = number === 1 ? 'repo' : `repo${number}`;
  const s3 = [...settings.values()].filter(
    (one) => one.name.startsWith(`${own}s3_`) && one.source.kind !== 'default' && one.value !== undefined,
  );
  const url = settings.get(name);
  if (url?.value === undefined) {
    const [orphan] = s3;
    if (orphan === undefined || number === 1) return undefined;
    throw new WalholdError('config', `${placeOf(orphan)}: ${orphan.name} is set, but ${name} is not`, {
      hint: `Set ${name}, or remove ${orphan.name}.`,
    });
  }
  const place = parseRepositoryUrl(url.value, `${name} (${placeOf(url)})`);
  if (place.scheme === 'file') {
    const [stray] = s3;
    if (stray === undefined) return { number, url: url.value, store: place };
    throw new WalholdError(
      'config',
      `${placeOf(stray)}: ${stray.name} has no meaning for ${name}, a file:// repository`,
      {
        hint: `Remove ${stray.name}.`,
      },
    );
  }
  const text = (suffix: string): string | undefined => settings.get(`${own}s3_${suffix}`)?.value;
  const endpoint = text('endpoint');
  if (endpoint !== undefined) refuseBadEndpoint(endpoint, `${own}s3_endpoint`);
  const style = parseSettingValue({ kind: 'boolean' }, text('path_style') ?? 'off');
  const store: S3Settings = { ...place, pathStyle: style.ok && style.value === true };
  assign(store, 'endpoint', endpoint);
  assign(store, 'region', text('region'));
  assign(store, 'profile', text('profile'));
  assign(store, 'caFile', text('ca_file'));
  assign(store, 'kmsKey', text('kms_key'));
  assign(store, 'storageClass', text('storage_class'));
  return { number, url: url.value, store };
}

function refuseBadEndpoint(endpoint: string, name: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const detail =
    url === undefined || !['http:', 'https:'].includes(url.protocol)
      ? `"${endpoint}" is no http or https URL`
      : url.username !== '' || url.password !== ''
        ? 'it holds credentials; those come from the environment or the shared AWS files only'
        : undefined;
  if (detail === undefined) return;
  throw new WalholdError('config', `bad value for ${name}`, {
    detail,
    hint: 'Write it whole, for example https://minio.example:9000.',
  });
}

function assign(
  store: S3Settings,
  key: 'endpoint' | 'region' | 'profile' | 'caFile' | 'kmsKey' | 'storageClass',
  value: string | undefined,
): void {
  if (value !== undefined) store[key] = value;
}

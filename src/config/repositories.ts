/** What the settings of each `repoN` come to. */
import { WalholdError } from '../base/errors.ts';
import type { GcsSettings, S3Settings, StoreSettings } from '../store/open-store.ts';
import type { EffectiveSetting, LockPolicy, RepositoryConfig, RetentionPolicy } from './config.ts';
import { DEFAULT_CONFIG_FILE, placeOf } from './gather.ts';
import { parseRepositoryUrl, type RepositoryPlace } from './repository-url.ts';
import { settingValue } from './setting-value.ts';
import { MAX_REPOSITORIES } from './settings.ts';

type Settings = ReadonlyMap<string, EffectiveSetting>;

/** In the order of their numbers. Throws `config`, also where `repo` itself is missing. */
export function repositoriesOf(settings: Settings): [RepositoryConfig, ...RepositoryConfig[]] {
  const [first, ...others] = repositoriesSet(settings);
  if (first?.number !== 1) throw missingRepository();
  return [first, ...others];
}

/** Those for which there is a URL, whether or not the first is among them. Throws `config`. */
export function repositoriesSet(settings: Settings): RepositoryConfig[] {
  const found: RepositoryConfig[] = [];
  for (let number = 1; number <= MAX_REPOSITORIES; number++) {
    const repository = repositoryOf(number, settings);
    if (repository !== undefined) found.push(repository);
  }
  for (const one of found) refuseTwins(found, one);
  return found;
}

/** The complaint about settings without `repo`. */
export function missingRepository(): WalholdError {
  return new WalholdError('config', 'no repository is configured', {
    detail: 'the setting repo is missing',
    hint: `Set repo in ${DEFAULT_CONFIG_FILE}, WALHOLD_REPO or --repo, for example repo = 's3://bucket/prefix'.`,
  });
}

function refuseTwins(all: readonly RepositoryConfig[], other: RepositoryConfig): void {
  const twin = all.find((one) => one.number < other.number && sameStore(one.store, other.store));
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
  if (a.scheme === 'file' || b.scheme === 'file')
    return a.scheme === 'file' && b.scheme === 'file' && a.path === b.path;
  return a.scheme === b.scheme && a.bucket === b.bucket && a.prefix === b.prefix && a.endpoint === b.endpoint;
}

/** One repository's settings, by the name that they have for `repo`. */
class OwnSettings {
  readonly #settings: Settings;
  readonly #prefix: string;

  constructor(settings: Settings, number: number) {
    this.#settings = settings;
    this.#prefix = number === 1 ? '' : `repo${number}_`;
  }

  /** As `repo2_lock_mode`. */
  name(setting: string): string {
    return this.#prefix + setting;
  }

  text(setting: string): string | undefined {
    return this.#settings.get(this.name(setting))?.value;
  }

  value<T extends string | number | boolean>(setting: string): T | undefined {
    const text = this.text(setting);
    return text === undefined ? undefined : settingValue<T>(this.name(setting), text);
  }

  /** By somebody, not by default. */
  isSet(setting: string): boolean {
    const found = this.#settings.get(this.name(setting));
    return found?.value !== undefined && found.source.kind !== 'default';
  }

  /** The first of its settings that somebody set. */
  anySet(): EffectiveSetting | undefined {
    return [...this.#settings.values()].find(
      ({ name, value, source }) => name.startsWith(this.#prefix) && value !== undefined && source.kind !== 'default',
    );
  }
}

function repositoryOf(number: number, settings: Settings): RepositoryConfig | undefined {
  const own = new OwnSettings(settings, number);
  const name = number === 1 ? 'repo' : `repo${number}`;
  const url = settings.get(name);
  if (url?.value === undefined) {
    const orphan = number === 1 ? undefined : own.anySet();
    if (orphan === undefined) return undefined;
    throw new WalholdError('config', `${placeOf(orphan)}: ${orphan.name} is set, but ${name} is not`, {
      hint: `Set ${name}, or remove ${orphan.name}.`,
    });
  }
  const place = parseRepositoryUrl(url.value, `${name} (${placeOf(url)})`);
  if (place.scheme === 'file' && url.source.kind !== 'flag') refuseBucketLock(own);
  return { number, url: url.value, store: storeOf(place, own), lock: lockOf(own), retention: retentionOf(own) };
}

/** Settings of another scheme count for nothing: `--repo` on the command line may name a directory in place of the file's bucket. */
function storeOf(place: RepositoryPlace, own: OwnSettings): StoreSettings {
  switch (place.scheme) {
    case 'file':
      return place;
    case 's3': {
      const store: S3Settings = { ...place, scheme: 's3', pathStyle: own.value<boolean>('s3_path_style') ?? false };
      return Object.assign(
        store,
        set('endpoint', endpointOf(own, 's3_endpoint')),
        set('region', own.text('s3_region')),
        set('profile', own.text('s3_profile')),
        set('caFile', own.text('s3_ca_file')),
        set('kmsKey', own.text('s3_kms_key')),
        set('storageClass', own.text('s3_storage_class')),
      );
    }
    case 'gs': {
      const store: GcsSettings = { ...place, scheme: 'gs' };
      return Object.assign(
        store,
        set('endpoint', endpointOf(own, 'gcs_endpoint')),
        set('keyFile', own.text('gcs_key_file')),
        set('kmsKey', own.text('gcs_kms_key')),
      );
    }
  }
}

function set<K extends string>(key: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, string>);
}

/** A flag that names a directory in place of the file's bucket may well be there to read it. */
function refuseBucketLock(own: OwnSettings): void {
  const mode = own.name('lock_mode');
  if (own.text('lock_mode') !== 'bucket') return;
  throw new WalholdError('config', `${mode} = bucket needs a bucket`, {
    detail: 'a directory has no default that locks its files',
    hint: `Set ${mode} = governance or compliance, which are the same for files.`,
  });
}

function lockOf(own: OwnSettings): LockPolicy | undefined {
  const mode = own.value<'none' | LockPolicy['mode']>('lock_mode') ?? 'none';
  if (mode === 'none') return undefined;
  const periodMs = own.value<number>('lock_period');
  const maxMs = own.value<number>('lock_max') ?? 0;
  const period = own.name('lock_period');
  if (periodMs === undefined) {
    throw new WalholdError('config', `${own.name('lock_mode')} = ${mode} needs ${period}`, {
      hint: `Set ${period} to how long objects stay locked from their writing, for example ${period} = 30d.`,
    });
  }
  const { windowMs } = retentionOf(own);
  if (windowMs !== undefined && periodMs < windowMs) {
    throw new WalholdError('config', `${period} is shorter than ${own.name('retention_window')}`, {
      detail: `locks of ${own.text('lock_period')} end before the window of ${own.text('retention_window')} does`,
      hint: `Raise ${period}, or shorten the window.`,
    });
  }
  if (periodMs > maxMs) {
    throw new WalholdError('config', `${period} is longer than ${own.name('lock_max')}`, {
      detail: `${own.text('lock_period')} against ${own.text('lock_max')}`,
      hint: `Raise ${own.name('lock_max')}, or shorten ${period}.`,
    });
  }
  return { mode, periodMs, maxMs };
}

/** Who sets a number of backups alone wants these, and what leads on from them. */
function retentionOf(own: OwnSettings): RetentionPolicy {
  return {
    windowMs: own.value<number>('retention_window') ?? (own.isSet('retention_full') ? 0 : undefined),
    fullBackups: own.value<number>('retention_full') ?? 2,
  };
}

function endpointOf(own: OwnSettings, setting: string): string | undefined {
  const endpoint = own.text(setting);
  if (endpoint === undefined) return undefined;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const detail =
    url === undefined || !['http:', 'https:'].includes(url.protocol)
      ? `"${endpoint}" is no http or https URL`
      : url.username !== '' || url.password !== ''
        ? "it holds credentials; those come from the environment or the provider's own files only"
        : undefined;
  if (detail === undefined) return endpoint;
  throw new WalholdError('config', `bad value for ${own.name(setting)}`, {
    detail,
    hint: 'Write it whole, for example https://minio.example:9000.',
  });
}

/** The whole of configuration: settings gathered from their sources, then understood together. */
import { availableParallelism } from 'node:os';
import type { LogLevel } from '../base/log.ts';
import type { Config, EffectiveSetting } from './config.ts';
import { gatherSettings, type LoadInput } from './gather.ts';
import { repositoriesOf } from './repositories.ts';
import { settingValue } from './setting-value.ts';

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
  const value = <T extends string | number | boolean>(name: string): T => settingValue<T>(name, text(name) ?? '');
  return {
    repositories: repositoriesOf(settings),
    compressLevel: value('compress_level'),
    partBytes: value('part_size'),
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
    metricsFile: text('metrics_file'),
    logLevel: value<LogLevel>('log_level'),
    logFormat: value<'text' | 'json'>('log_format'),
    effective: [...settings.values()],
  };
}

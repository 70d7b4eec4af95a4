import type { LogLevel } from '../base/log.ts';
import type { StoreSettings } from '../store/open-store.ts';
import type { LockRequest } from '../store/store.ts';

/** The effective settings, parsed: units resolved to milliseconds and bytes, repositories in order of their numbers. */
export interface Config {
  repositories: readonly [RepositoryConfig, ...RepositoryConfig[]];
  compressLevel: number;
  /** A part of a backup ends after the file with which it reaches this. */
  partBytes: number;
  jobs: number;
  pushAheadBytes: number;
  fetchAheadBytes: number;
  workerIdleMs: number;
  requestTimeoutMs: number;
  pushTimeoutMs: number;
  onUnreachable: 'auto' | 'stop' | 'absent';
  unreachableTimeoutMs: number;
  /** A segment's (or history file's) name, as given. */
  allowGap: string | undefined;
  gapGraceMs: number;
  /** Absolute, or relative to the data directory. */
  spoolPath: string;
  /** Absolute; `undefined`: none is kept. */
  metricsFile: string | undefined;
  logLevel: LogLevel;
  logFormat: 'text' | 'json';
  /** Every setting in the table's order, for `walhold config` and for `restore_command`. */
  effective: readonly EffectiveSetting[];
}

export interface RepositoryConfig {
  /** 1 for `repo`, 2 for `repo2`, … */
  number: number;
  /** As given, without secrets: for messages. */
  url: string;
  store: StoreSettings;
  /** `undefined`: nothing is locked. */
  lock: LockPolicy | undefined;
  retention: RetentionPolicy;
}

/** What every new object of a repository is locked with, and how far locks may be lengthened. */
export interface LockPolicy extends LockRequest {
  maxMs: number;
}

/** What is kept at least. */
export interface RetentionPolicy {
  /**
   * Any moment of the last so many ms stays recoverable; `undefined`: no retention is set, and then nothing is ever superseded; 0: only
   * a number of full backups is.
   */
  windowMs: number | undefined;
  fullBackups: number;
}

export type SettingSource =
  | { kind: 'default' }
  | { kind: 'file'; file: string; line: number }
  | { kind: 'environment'; variable: string }
  | { kind: 'flag'; flag: string };

export interface EffectiveSetting {
  /** `s3_endpoint`, `repo2_s3_endpoint`, … */
  name: string;
  /** As written; `undefined`: not set. */
  value: string | undefined;
  source: SettingSource;
}

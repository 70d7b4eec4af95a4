import type { Trace } from '../repository/traces.ts';
import type { DrillSummaryJson } from './drills-json.ts';
import type { BackupJson, GapJson, WindowJson } from './list.ts';
import type { WorkerJson } from './worker-status.ts';

/** The shape of `walhold status --json`. `null`: not known from here. */
export interface StatusJson {
  /** When this was found out. */
  at: string;
  rpoSeconds: number | null;
  rpoBytes: number | null;
  /** Who says what is safe: what is stored, or, while no repository answers, what the archiver was told. */
  rpoFrom: 'repositories' | 'archiver' | null;
  readyFiles: number | null;
  oldestReadySeconds: number | null;
  lastStored: { name: string; at: string } | null;
  lastBackup: BackupJson | null;
  windows: WindowJson[];
  gaps: GapJson[];
  /** The newest drill, and the newest that found all well; `null` also where there was none. */
  lastDrill: DrillSummaryJson | null;
  lastProven: DrillSummaryJson | null;
  nextLockExpiry: string | null;
  worker: WorkerJson;
  /** What the backup that runs on this data directory last said of itself. */
  backupInProgress: BackupInProgressJson | null;
  /** The last failure of either command, until its next success. */
  lastErrors: { push: ErrorJson | null; fetch: ErrorJson | null };
  outages: { pushRepositories: number[]; fetchWaitedSeconds: number | null };
  /** All that are configured, by number. */
  repositories: RepositoryJson[];
  /** Versions and delete markers of somebody else, as far as this call met them. */
  tampering: TraceJson[];
}

export interface BackupInProgressJson {
  pid: number;
  /** `null`: it has not got one yet. */
  id: string | null;
  since: string;
  at: string;
  phase: string;
  bytesDone: number;
  bytesTotal: number | null;
  rate: number | null;
  secondsLeft: number | null;
}

export interface RepositoryJson {
  /** Its number. */
  repository: number;
  url: string;
  /** It answered, and is what it should be. */
  ok: boolean;
  /** Why not. */
  error: string | null;
}

export interface TraceJson {
  /** Its number. */
  repository: number;
  kind: Trace['kind'];
  /** Its key. */
  object: string;
  version: string;
  at: string;
}

export interface ErrorJson {
  at: string;
  file: string;
  code: string;
  message: string;
  detail: string | null;
}

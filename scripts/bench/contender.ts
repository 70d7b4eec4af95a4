import type { Trial } from './measure.ts';
import type { Workload } from './workload.ts';

/** What is measured, in this order in every round. */
export const TASKS = ['push', 'fetch', 'backup', 'restore'] as const;

export type Task = (typeof TASKS)[number];

/** A tool that takes part. It leaves out the tasks it has no command for. */
export interface Contender {
  name: string;
  version: string;
  /** How it is set up, in a line for the table. */
  setup: string;
  /** The value of `archive_command` during its backup; without it WAL is not archived meanwhile. */
  archiveCommand?: string;
  /** Stores `pg_wal/NAME` of the running cluster. */
  push?(segment: string): Trial;
  /** Brings what {@link push} has stored to `target` below `scratch`, a data directory in recovery. */
  fetch?(segment: string, scratch: string, target: string): Trial;
  /** A full backup of the running cluster. */
  backup?(): Trial;
  /** The newest backup into `target`, an empty folder. */
  restore?(target: string): Trial;
  /** The folders that hold what {@link backup} has stored. */
  backupFolders(): readonly string[];
  /** Before each backup: away with the last one. */
  forget?(): Promise<void>;
}

/** Sets a contender up for a workload; `undefined` when this machine has not got it. */
export type Enter = (workload: Workload) => Promise<Contender | undefined>;

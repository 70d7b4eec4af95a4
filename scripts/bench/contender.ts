import type { Trial } from './measure.ts';
import type { Cluster } from '../../test/support/cluster.ts';

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
  restore?: (target: string) => Trial;
  /** What comes on top of the last {@link backup}, for those who have it. */
  incremental?: {
    backup(): Trial;
    /** Both as one, into an empty folder; without it {@link restore} does that. */
    restore?: (target: string) => Trial;
  };
  /** Gives a restored directory what a server needs besides to be started; without it nothing is needed. */
  complete?(target: string): Promise<void>;
  /** The folders that hold the backups have stored. */
  backupFolders(): readonly string[];
  /** Before each backup: away with the last one. */
  forget?(): Promise<void>;
}

/** Sets a contender up for a running cluster; `undefined` when this machine has not got it. */
export type Enter = (cluster: Cluster) => Promise<Contender | undefined>;

import type { Cluster } from '../../../test/support/cluster.ts';
import type { Tool } from '../figures.ts';
import type { Repository, StoreKind } from './repository.ts';

/** A tool that archives and recovers in PostgreSQL's way, by the two commands. */
export interface Archiver extends Tool {
  stores: readonly StoreKind[];
  /** Writes what it needs beside a cluster that is not running, whose data directory is there. */
  connect(cluster: Cluster, repository: Repository): Promise<Hooks>;
}

/** What a server needs to archive and to recover with it. */
export interface Hooks {
  archiveCommand: string;
  restoreCommand: string;
  /** To be in the server's environment. */
  env: Readonly<Record<string, string>>;
}

/** Sets a contender up; why this machine has not got it, when it has not. */
export type Enter = () => Promise<Archiver | { name: string; missing: string }>;

/** Both kinds, for tools that can. */
export const FILES_AND_S3: readonly StoreKind[] = ['files', 'S3'];

/** The two processes or threads that every tool gets which can use more than one. */
export const PROCESSES = 2;

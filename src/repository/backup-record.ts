/**
 * `backup.json`: what a backup is and where its bytes lie. Written last, so it is the commit: no record, no backup (FORMAT.md).
 *
 * Written by `formatBackupRecord`, read by `parseBackupRecord`. The SHA-256 of each file is not repeated here: it stands in
 * PostgreSQL's `backup_manifest`, whose own digest is here.
 */
import type { Lsn } from '../postgres/lsn.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { BackupId } from './layout.ts';

export interface BackupRecord {
  id: BackupId;
  /**
   * `incremental`: of relation files only blocks changed since the parent's `startLsn`, as members `INCREMENTAL.<name>` in PostgreSQL's
   * format (17's pg_combinebackup reads it); its manifest names these members.
   */
  type: 'full' | 'incremental';
  /** What an incremental backup builds on, itself possibly an incremental one; a full backup has none. */
  parent: BackupId | undefined;
  label: string;
  /** By the server's clock, ISO 8601 UTC with up to six decimals (`parseIso` of postgres/timestamp.ts reads it). */
  startedAt: string;
  /** Later than every commit before `stopLsn`: recovery to a time must not go before it. */
  stoppedAt: string;
  /** Kept until then at least, by `--keep`; `forever`: never given up. Absent: its turn decides. */
  keepUntil?: string | undefined;
  startLsn: Lsn;
  stopLsn: Lsn;
  timeline: TimelineId;
  server: ServerRecord;
  /** The cluster's databases when the backup ended, but for names that are not UTF-8. Absent: it was taken before they were written down. */
  databases?: readonly DatabaseRecord[] | undefined;
  /** Where the server's tablespaces lay. `oid` is the directory's name in `pg_tblspc`. */
  tablespaces: readonly TablespaceRecord[];
  /** Names of the first and the last segment that recovery from this backup needs; proven stored when this was written. */
  walRequired: { first: string; last: string };
  /** The plain `backup_manifest`; stored with a head of its own. */
  manifest: { sha256: string; bytes: number; storedBytes: number };
  /** Configuration from outside the data directory; `undefined`: all of it lay inside. */
  config: ConfigRecord | undefined;
  /** Pages whose checksums were wrong, let through by `--allow-bad-pages`; at most `MOST_BAD_PAGES` of them. */
  badPages: readonly BadPage[];
  badPageCount: number;
  /** All files' sizes together. */
  sizeBytes: number;
  /** All objects of the backup but this one. */
  storedBytes: number;
  /** `walhold 0.1.0`. */
  tool: string;
  host: string;
  /** Settings that shaped the backup, as text. */
  settings: Readonly<Record<string, string>>;
  parts: readonly PartRecord[];
}

/** The server at the time, from pg_control and SQL. Sizes in bytes. */
export interface ServerRecord {
  systemId: bigint;
  /** `15.17`, as the server prints it, distribution's suffix included. */
  version: string;
  major: number;
  controlVersion: number;
  catalogVersion: number;
  segmentBytes: number;
  blockBytes: number;
  blocksPerFile: number;
  dataChecksums: boolean;
  walLogHints: boolean;
  /** Taken from a standby. */
  inRecovery: boolean;
  /** The five settings that a server replaying this cluster's WAL must not undercut. */
  maxConnections: number;
  maxWorkerProcesses: number;
  maxWalSenders: number;
  maxPreparedXacts: number;
  maxLocksPerXact: number;
}

export interface DatabaseRecord {
  oid: number;
  name: string;
  /** Others can be made from it. */
  template: boolean;
}

export interface TablespaceRecord {
  oid: string;
  /** Absolute. */
  path: string;
}

/** `config.tar.zst`: built as a part is; its members are named by their absolute path without the leading slash. */
export interface ConfigRecord extends StoredRecord {
  /** Absolute paths; the main file is the one that the server was started with. Those inside the data directory are not here. */
  configFile: string | undefined;
  hbaFile: string | undefined;
  identFile: string | undefined;
  /** Every file in it, absolute. */
  files: readonly string[];
}

export interface BadPage {
  path: string;
  /** Counted in the relation's fork, as the server's messages do. */
  block: number;
}

export interface StoredRecord {
  /** The plain tar stream. */
  plainBytes: number;
  /** The whole object, its tail of `TAIL_BYTES` included. */
  storedBytes: number;
  /** SHA-256 in hex and CRC-32C of the stored bytes before the tail. */
  sha256: string;
  crc32c: number;
}

/** `part-<number>.tar.zst`. */
export interface PartRecord extends StoredRecord {
  number: number;
  /** In order and without gaps from byte 0 to the tail. */
  frames: readonly FrameRecord[];
}

/** One zstd frame: a run of whole tar members (directories and the tar's end are members without an entry here). */
export interface FrameRecord {
  /** In the object. */
  offset: number;
  storedBytes: number;
  plainBytes: number;
  files: readonly FileRecord[];
}

export interface FileRecord {
  /** Relative to the data directory, tablespaces as `pg_tblspc/<oid>/…`; a Buffer only where the name is not UTF-8. */
  path: string | Buffer;
  size: number;
  /** Where the file's content begins in the frame's plain bytes. */
  at: number;
}

/** More are counted, not listed. */
export const MOST_BAD_PAGES = 10_000;

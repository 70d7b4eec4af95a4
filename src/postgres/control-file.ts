import { crc32c } from '@node-rs/crc32';
import { lsn, type Lsn } from './lsn.ts';

/** Where the file lies below the data directory. */
export const CONTROL_FILE_PATH = 'global/pg_control';
/** Its size on disk (PG_CONTROL_FILE_SIZE); only the first 300 bytes or so mean anything. */
export const CONTROL_FILE_BYTES = 8192;

/** What `global/pg_control` says (ControlFileData, catalog/pg_control.h). Sizes in bytes. */
export interface ControlFile {
  readonly systemId: bigint;
  /** 1300 (PostgreSQL 13 to 16), 1700 or 1800. */
  readonly controlVersion: number;
  readonly catalogVersion: number;
  readonly state: ClusterState;
  readonly checkpoint: Lsn;
  readonly redo: Lsn;
  /** Of the latest checkpoint; plain numbers, since this file is not trusted to hold valid ones. */
  readonly checkpointTimeline: number;
  readonly previousTimeline: number;
  readonly fullPageWrites: boolean;
  /** 0/0 unless the cluster is, or was until its last shutdown, in recovery. */
  readonly minRecoveryPoint: Lsn;
  readonly minRecoveryPointTimeline: number;
  readonly backupStartPoint: Lsn;
  readonly backupEndRequired: boolean;
  readonly walLevel: 'minimal' | 'replica' | 'logical' | 'unknown';
  readonly walLogHints: boolean;
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedXacts: number;
  readonly maxLocksPerXact: number;
  readonly blockBytes: number;
  /** Blocks in one file of a relation: 131072 of 8 kB make 1 GiB. */
  readonly blocksPerFile: number;
  readonly walBlockBytes: number;
  readonly segmentBytes: number;
  /** 0: pages carry no checksums. */
  readonly dataChecksumVersion: number;
}

/** DBState, in its own order. */
export const CLUSTER_STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;
export type ClusterState = (typeof CLUSTER_STATES)[number] | 'unknown';

/**
 * `torn`: the CRC does not fit; a server may be writing it, so read again. `unsupported`: another format version; its
 * system identifier, which has the same place in all of them, is given unproven.
 */
export type ControlFileResult =
  | { readonly ok: true; readonly control: ControlFile }
  | { readonly ok: false; readonly reason: 'torn'; readonly message: string }
  | { readonly ok: false; readonly reason: 'short' | 'byte-order'; readonly message: string }
  | {
      readonly ok: false;
      readonly reason: 'unsupported';
      readonly message: string;
      readonly version: number;
      readonly systemId: bigint;
    };

/** Where the CRC lies, which all bytes before it must fit: 18 put one flag before the nonce. All else kept its place since 13. */
export const CONTROL_CRC_AT: ReadonlyMap<number, number> = new Map([
  [1300, 288],
  [1700, 288],
  [1800, 292],
]);

const WAL_LEVELS = ['minimal', 'replica', 'logical'] as const;

/** Reads `global/pg_control` of PostgreSQL 13 to 18, little-endian. Never throws. */
export function parseControlFile(file: Buffer): ControlFileResult {
  if (file.length < 296) {
    return {
      ok: false,
      reason: 'short',
      message: `pg_control has ${file.length} bytes, expected ${CONTROL_FILE_BYTES}`,
    };
  }
  const version = file.readUInt32LE(8);
  const crcAt = CONTROL_CRC_AT.get(version);
  if (crcAt === undefined) {
    if (version % 65536 === 0 && version !== 0) {
      return { ok: false, reason: 'byte-order', message: 'pg_control was written on a host with the other byte order' };
    }
    const message = `pg_control has format version ${version}, known here are ${[...CONTROL_CRC_AT.keys()].join(', ')}`;
    return { ok: false, reason: 'unsupported', message, version, systemId: file.readBigUInt64LE(0) };
  }
  if (crc32c(file.subarray(0, crcAt)) !== file.readUInt32LE(crcAt)) {
    return { ok: false, reason: 'torn', message: 'the checksum of pg_control does not fit its contents' };
  }
  return { ok: true, control: readFields(file) };
}

function readFields(file: Buffer): ControlFile {
  const u32 = (at: number): number => file.readUInt32LE(at);
  const position = (at: number): Lsn => lsn(file.readBigUInt64LE(at));
  return {
    systemId: file.readBigUInt64LE(0),
    controlVersion: u32(8),
    catalogVersion: u32(12),
    state: CLUSTER_STATES[u32(16)] ?? 'unknown',
    checkpoint: position(32),
    redo: position(40),
    checkpointTimeline: u32(48),
    previousTimeline: u32(52),
    fullPageWrites: file[56] !== 0,
    minRecoveryPoint: position(136),
    minRecoveryPointTimeline: u32(144),
    backupStartPoint: position(152),
    backupEndRequired: file[168] !== 0,
    walLevel: WAL_LEVELS[u32(172)] ?? 'unknown',
    walLogHints: file[176] !== 0,
    maxConnections: u32(180),
    maxWorkerProcesses: u32(184),
    maxWalSenders: u32(188),
    maxPreparedXacts: u32(192),
    maxLocksPerXact: u32(196),
    blockBytes: u32(216),
    blocksPerFile: u32(220),
    walBlockBytes: u32(224),
    segmentBytes: u32(228),
    dataChecksumVersion: u32(252),
  };
}

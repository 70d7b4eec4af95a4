/** A WAL file made ready to be stored: every field of it checked, described, compressed once for all repositories. */
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { Room } from '../base/room.ts';
import { parseBackupHistory } from '../postgres/backup-label.ts';
import { formatLsn } from '../postgres/lsn.ts';
import { parseHistory } from '../postgres/timeline-history.ts';
import { formatIso } from '../postgres/timestamp.ts';
import { checkSegment, describeFault, headerWarnings, parseWalHeader, type WalHeader } from '../postgres/wal-header.ts';
import type { PartialFile, SegmentFile, WalFile } from '../postgres/wal-name.ts';
import { commitTimes } from '../postgres/wal-records.ts';
import { sha256 } from '../stream/checksum.ts';
import { partialKey, walKey } from './layout.ts';
import { encodeObject, type Compress, type EncodedObject } from './object-codec.ts';
import type { ObjectAbout } from './object-head.ts';

export interface PreparedWal {
  file: WalFile;
  key: string;
  /** Of the cluster, as the file or pg_control says it. */
  systemId: bigint;
  plain: Buffer;
  encoded: EncodedObject;
  /** What is odd about it and no reason to refuse. */
  warnings: readonly string[];
}

export interface PrepareOptions {
  /** What pg_control says of the cluster that the file lies in; `undefined`: nothing is known of it. */
  cluster: { readonly systemId: bigint; readonly segmentBytes?: number } | undefined;
  /** Of zstd, or what does it. */
  level: number | Compress;
  by: string;
  at: Date;
  /** For the encoded object; without it memory of its own. */
  room?: Room;
}

/** Throws `bad-wal-header` (a segment), `bad-format` (a text), or `refused` (no telling whose it is). */
export function prepareWal(file: WalFile, plain: Buffer, options: PrepareOptions): PreparedWal {
  const found =
    file.kind === 'segment' || file.kind === 'partial'
      ? checkSegmentFile(file, plain, options)
      : checkText(file, plain, options);
  const { systemId, warnings } = found;
  const about: ObjectAbout = {
    kind: file.kind,
    name: file.name,
    systemId: String(systemId),
    by: options.by,
    at: options.at.toISOString(),
    ...found.about,
  };
  const digest = sha256(plain);
  const encoded = encodeObject(plain, about, options.level, digest, options.room);
  const key = file.kind === 'partial' ? partialKey(file, digest) : walKey(file);
  return { file, key, systemId, plain, encoded, warnings };
}

interface Checked {
  systemId: bigint;
  about: Partial<ObjectAbout>;
  warnings: string[];
}

function checkSegmentFile(file: SegmentFile | PartialFile, plain: Buffer, { cluster }: PrepareOptions): Checked {
  const parsed = parseWalHeader(plain);
  const faults = parsed.ok ? checkSegment(file, plain.length, parsed.header, cluster) : [parsed.fault];
  if (faults.length === 0 && parsed.ok) return describeSegment(file, plain, parsed.header);
  // The old timeline's last segment may be a recycled file that hardly was begun. Its name holds its digest, so it harms nobody, and
  // refusing it would hold up every file after it.
  const harmless = faults.every(({ field }) => !['system identifier', 'segment size', 'file size'].includes(field));
  if (file.kind === 'partial' && harmless && cluster !== undefined) {
    return { systemId: cluster.systemId, about: {}, warnings: faults.map(describeFault) };
  }
  throw new WalholdError('bad-wal-header', `could not store ${file.name}: it is not what its name says`, {
    detail: faults.map(describeFault).join('; '),
    hint: 'Look whether the file belongs to this cluster and is whole; nothing was stored.',
  });
}

function describeSegment(file: SegmentFile | PartialFile, plain: Buffer, header: WalHeader): Checked {
  const warnings = headerWarnings(header);
  const { systemId, pageAddress, major } = header;
  if (major === undefined) return { systemId, about: { startLsn: formatLsn(pageAddress) }, warnings };
  const walk = commitTimes(plain, header, pageAddress);
  const about: Partial<ObjectAbout> = { startLsn: formatLsn(pageAddress), endLsn: formatLsn(walk.endLsn) };
  const whole = walk.end !== 'garbage' && walk.end !== 'zeros';
  if (whole || file.kind === 'partial') about.commits = walk.commits + walk.aborts;
  else warnings.push(`its records end at ${formatLsn(walk.endLsn)}, before the end of the segment`);
  const first = walk.firstCommit === undefined ? undefined : formatIso(walk.firstCommit);
  const last = walk.lastCommit === undefined ? undefined : formatIso(walk.lastCommit);
  if (first !== undefined) about.firstCommitAt = first;
  if (last !== undefined) about.lastCommitAt = last;
  return { systemId, about, warnings };
}

function checkText(
  file: Exclude<WalFile, SegmentFile | PartialFile>,
  plain: Buffer,
  { cluster }: PrepareOptions,
): Checked {
  const text = plain.toString('utf8');
  if (file.kind === 'history' && parseHistory(file.timeline, text).entries.length === 0) {
    throw new WalholdError('bad-format', `could not store ${file.name}`, { detail: 'it names no parent timeline' });
  }
  if (cluster === undefined) {
    throw new WalholdError('refused', `could not tell which cluster ${file.name} belongs to`, {
      detail: 'no data directory with a pg_control lies above it',
      hint: 'Name the file by its path in pg_wal, or call from the data directory.',
    });
  }
  return { systemId: cluster.systemId, about: {}, warnings: file.kind === 'history' ? [] : labelWarnings(text) };
}

/** Nothing depends on a label, and its text is anybody's (it may imitate the lines around it): never a reason to refuse. */
function labelWarnings(text: string): string[] {
  try {
    parseBackupHistory(text);
    return [];
  } catch (error) {
    return [reasonOf(error)];
  }
}

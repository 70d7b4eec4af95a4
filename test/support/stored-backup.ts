import { createHash } from 'node:crypto';
import { lsn, type Lsn } from '../../src/postgres/lsn.ts';
import { ManifestWriter } from '../../src/postgres/backup-manifest.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { segmentName, segnoBefore, segnoOfLsn } from '../../src/postgres/wal-name.ts';
import { formatBackupRecord } from '../../src/repository/backup-record-format.ts';
import type { BackupRecord, FrameRecord, PartRecord, TablespaceRecord } from '../../src/repository/backup-record.ts';
import { commitKey, manifestKey, parseBackupId, partKey, type BackupId } from '../../src/repository/layout.ts';
import { encodeObject } from '../../src/repository/object-codec.ts';
import { formatTail } from '../../src/repository/object-head.ts';
import { crc32c, sha256 } from '../../src/stream/checksum.ts';
import { tarHeader, tarPadding } from '../../src/stream/tar-header.ts';
import { compressFrame } from '../../src/stream/zstd.ts';
import { SYSTEM_ID, type FileRepository } from './file-repository.ts';

export interface BackupOptions {
  id?: string;
  startLsn: Lsn;
  stopLsn: Lsn;
  stoppedAt?: string;
  timeline?: number;
  segmentBytes?: number;
  /** Each part's files; of the first two they share a frame. */
  parts?: readonly Contents[];
  tablespaces?: readonly TablespaceRecord[];
  /** From the third file of a part on; all in one unless told. */
  filesPerFrame?: number;
}

/** Files by path; with a slash at the end a directory. */
export type Contents = Readonly<Record<string, string | Buffer>>;

const SMALL: readonly Contents[] = [
  { PG_VERSION: '15\n', 'base/1/1259': 'a table'.repeat(500), 'base/1/empty': '' },
  { 'base/1/1247': 'another one'.repeat(2000), 'global/pg_control': 'x'.repeat(8192) },
];

/** Puts a whole small backup into the repository: parts, manifest, record. The record can be changed before it is written. */
export async function putBackup(
  repository: Pick<FileRepository, 'put'>,
  options: BackupOptions,
  change: (record: BackupRecord) => BackupRecord = (record) => record,
): Promise<BackupRecord> {
  const id = parseBackupId(options.id ?? '20261122T174500Z-full') as BackupId;
  const contents = options.parts ?? SMALL;
  const parts: PartRecord[] = [];
  for (const [index, files] of contents.entries()) {
    const { record, bytes } = makePart(id, index + 1, files, options.filesPerFrame);
    await repository.put(partKey(id, record.number), bytes);
    parts.push(record);
  }
  const manifest = Buffer.from(manifestText(contents, options));
  const about = { kind: 'backup-manifest' as const, name: `${id}/backup_manifest`, systemId: String(SYSTEM_ID) };
  const encoded = encodeObject(manifest, about, 1);
  await repository.put(manifestKey(id), encoded.bytes);
  const sized = { sha256: sha256(manifest), bytes: manifest.length, storedBytes: encoded.bytes.length };
  const record = change(recordOf(id, options, parts, sized));
  await repository.put(commitKey(id), formatBackupRecord(record));
  return record;
}

function makePart(
  id: BackupId,
  number: number,
  files: Contents,
  filesPerFrame = Infinity,
): { record: PartRecord; bytes: Buffer } {
  const entries = Object.entries(files).map(([path, text]) => ({ path, content: bytesOf(text) }));
  const frames: FrameRecord[] = [];
  const stored: Buffer[] = [];
  const plain = createHash('sha256');
  let plainBytes = 0;
  let offset = 0;
  const add = (bytes: Buffer, of: FrameRecord['files']): void => {
    const frame = compressFrame(bytes, 1);
    frames.push({ offset, storedBytes: frame.length, plainBytes: bytes.length, files: of });
    stored.push(Buffer.from(frame));
    plain.update(bytes);
    plainBytes += bytes.length;
    offset += frame.length;
  };
  const runs = [entries.slice(0, 2)];
  for (let from = 2; from < entries.length; from += filesPerFrame) runs.push(entries.slice(from, from + filesPerFrame));
  for (const run of runs.filter((each) => each.length > 0)) {
    const members = run.map(({ path, content }) => member(path, content));
    let at = 0;
    const listed = run.flatMap(({ path, content }, index) => {
      const { header, whole } = members[index] as ReturnType<typeof member>;
      const file = { path, size: content.length, at: at + header };
      at += whole.length;
      return path.endsWith('/') ? [] : [file];
    });
    add(Buffer.concat(members.map(({ whole }) => whole)), listed);
  }
  add(Buffer.alloc(1024), []);
  const bytes = Buffer.concat(stored);
  const digest = { sha256: sha256(bytes), crc32c: crc32c(bytes) };
  const tail = formatTail({
    format: 1,
    kind: 'backup-part',
    name: `${id}/part-${number}.tar.zst`,
    systemId: String(SYSTEM_ID),
    sha256: digest.sha256,
    bytes: plainBytes,
    storedBytes: bytes.length,
    storedCrc32c: digest.crc32c,
  });
  const record = { number, plainBytes, storedBytes: bytes.length + tail.length, ...digest, frames };
  return { record, bytes: Buffer.concat([bytes, tail]) };
}

function member(path: string, content: Buffer): { header: number; whole: Buffer } {
  const header = tarHeader({
    name: path.endsWith('/') ? path.slice(0, -1) : path,
    kind: path.endsWith('/') ? 'directory' : 'file',
    size: content.length,
    mode: 0o600,
    modifiedAt: 0,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
  });
  return { header: header.length, whole: Buffer.concat([header, content, Buffer.alloc(tarPadding(content.length))]) };
}

function manifestText(contents: readonly Contents[], options: BackupOptions): string {
  const writer = new ManifestWriter();
  let text = writer.head();
  for (const [path, content] of contents.flatMap((files) => Object.entries(files))) {
    if (path.endsWith('/')) continue;
    const bytes = bytesOf(content);
    text += writer.file({ path, size: bytes.length, modifiedAt: 0, sha256: sha256(bytes) });
  }
  const timeline = timelineId(options.timeline ?? 1);
  return text + writer.tail([{ timeline, startLsn: options.startLsn, endLsn: options.stopLsn }]);
}

function recordOf(
  id: BackupId,
  options: BackupOptions,
  parts: readonly PartRecord[],
  manifest: BackupRecord['manifest'],
): BackupRecord {
  const { startLsn, stopLsn, segmentBytes = 1024 * 1024 } = options;
  const timeline = timelineId(options.timeline ?? 1);
  const files = parts.flatMap(({ frames }) => frames.flatMap((frame) => frame.files));
  return {
    id,
    type: 'full',
    parent: undefined,
    label: 'made by a test',
    startedAt: options.stoppedAt ?? '2026-11-22T17:45:00Z',
    stoppedAt: options.stoppedAt ?? '2026-11-22T17:46:00Z',
    startLsn,
    stopLsn,
    timeline,
    server: {
      systemId: SYSTEM_ID,
      version: '15.17',
      major: 15,
      controlVersion: 1300,
      catalogVersion: 202209061,
      segmentBytes,
      blockBytes: 8192,
      blocksPerFile: 131072,
      dataChecksums: true,
      walLogHints: false,
      inRecovery: false,
      maxConnections: 100,
      maxWorkerProcesses: 8,
      maxWalSenders: 10,
      maxPreparedXacts: 0,
      maxLocksPerXact: 64,
    },
    tablespaces: options.tablespaces ?? [],
    walRequired: {
      first: segmentName(timeline, segnoOfLsn(startLsn, segmentBytes), segmentBytes),
      last: segmentName(timeline, segnoBefore(stopLsn, segmentBytes), segmentBytes),
    },
    manifest,
    config: undefined,
    badPages: [],
    badPageCount: 0,
    sizeBytes: files.reduce((sum, { size }) => sum + size, 0),
    storedBytes: parts.reduce((sum, { storedBytes }) => sum + storedBytes, manifest.storedBytes),
    tool: 'a test',
    host: 'here',
    settings: {},
    parts,
  };
}

function bytesOf(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content;
}

/** A position in a segment of 1 MiB. */
export function inSegment(segno: number, offset = 40): Lsn {
  return lsn(BigInt(segno) * 1024n * 1024n + BigInt(offset));
}

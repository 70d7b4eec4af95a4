import { formatLsn } from '../postgres/lsn.ts';
import type { BackupRecord, FileRecord, FrameRecord, PartRecord } from './backup-record.ts';
import { sealJson } from './sealed-json.ts';

/**
 * The document: JSON, one line for each field and each frame. Its last line is the SHA-256 of all bytes before that line, as in
 * PostgreSQL's manifest. Frames are arrays, since a cluster can have hundreds of thousands of files:
 * `[offset, storedBytes, plainBytes, path, size, at, path, size, at, …]`; a path that is not UTF-8 is `{"hex": "…"}`.
 */
export function formatBackupRecord(record: BackupRecord): Buffer {
  const lines = ['{'];
  for (const [name, value] of Object.entries(fieldsOf(record))) lines.push(`"${name}": ${JSON.stringify(value)},`);
  lines.push('"parts": [');
  for (const [index, part] of record.parts.entries()) {
    lines.push(...partLines(part, index === record.parts.length - 1));
  }
  lines.push('],');
  return sealJson(lines);
}

function fieldsOf(record: BackupRecord): Record<string, unknown> {
  const { parts: _, parent, config, server, startLsn, stopLsn, keepUntil, databases, ...plain } = record;
  return {
    format: 1,
    ...plain,
    ...(keepUntil === undefined ? {} : { keepUntil }),
    ...(databases === undefined ? {} : { databases }),
    parent: parent ?? null,
    startLsn: formatLsn(startLsn),
    stopLsn: formatLsn(stopLsn),
    server: { ...server, systemId: server.systemId.toString() },
    config: config ?? null,
  };
}

function partLines(part: PartRecord, last: boolean): string[] {
  const { frames, number, ...stored } = part;
  const head = JSON.stringify({ name: `part-${number}.tar.zst`, ...stored }).slice(0, -1);
  const rows = frames.map((frame, index) => `${frameLine(frame)}${index === frames.length - 1 ? '' : ','}`);
  return [`${head}, "frames": [`, ...rows, last ? ']}' : ']},'];
}

function frameLine(frame: FrameRecord): string {
  return JSON.stringify([frame.offset, frame.storedBytes, frame.plainBytes, ...frame.files.flatMap(fileCells)]);
}

function fileCells({ path, size, at }: FileRecord): unknown[] {
  return [typeof path === 'string' ? path : { hex: path.toString('hex') }, size, at];
}

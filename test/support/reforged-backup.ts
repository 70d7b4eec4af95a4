import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBackupRecord } from '../../src/repository/backup-record-format.ts';
import type { BackupRecord, FrameRecord, PartRecord } from '../../src/repository/backup-record.ts';
import { commitKey, partKey } from '../../src/repository/layout.ts';
import { formatTail } from '../../src/repository/object-head.ts';
import { crc32c, sha256 } from '../../src/stream/checksum.ts';
import { compressFrame, decompressFrames } from '../../src/stream/zstd.ts';
import { SYSTEM_ID, type FileRepository } from './file-repository.ts';

/** What an attacker does to one frame of a stored part: its plain bytes, and what the record says of it. */
export type Forge = (plain: Buffer, frame: FrameRecord) => { plain: Buffer; frame?: Partial<FrameRecord> } | undefined;

/** Rewrites the parts of a stored backup frame by frame, with a record, tails and digests that fit again. */
export async function reforge(repository: FileRepository, record: BackupRecord, forge: Forge): Promise<BackupRecord> {
  const parts: PartRecord[] = [];
  for (const part of record.parts) {
    const stored = await readFile(join(repository.root, partKey(record.id, part.number)));
    const made = reforgePart(record, part, stored, forge);
    await repository.put(partKey(record.id, part.number), made.bytes);
    parts.push(made.part);
  }
  const reforged = { ...record, parts };
  await repository.put(commitKey(record.id), formatBackupRecord(reforged));
  return reforged;
}

function reforgePart(
  record: BackupRecord,
  part: PartRecord,
  stored: Buffer,
  forge: Forge,
): { part: PartRecord; bytes: Buffer } {
  const frames: FrameRecord[] = [];
  const chunks: Buffer[] = [];
  let offset = 0;
  let plainBytes = 0;
  for (const frame of part.frames) {
    const bytes = stored.subarray(frame.offset, frame.offset + frame.storedBytes);
    const plain = decompressFrames(bytes, frame.plainBytes);
    const forged = forge(plain, frame);
    const next = Buffer.from(compressFrame(forged?.plain ?? plain, 1));
    const length = (forged?.plain ?? plain).length;
    frames.push({ ...frame, offset, storedBytes: next.length, plainBytes: length, ...forged?.frame });
    chunks.push(next);
    offset += next.length;
    plainBytes += frames.at(-1)?.plainBytes ?? 0;
  }
  const bytes = Buffer.concat(chunks);
  const digests = { sha256: sha256(bytes), crc32c: crc32c(bytes) };
  const tail = formatTail({
    format: 1,
    kind: 'backup-part',
    name: `${record.id}/part-${part.number}.tar.zst`,
    systemId: String(SYSTEM_ID),
    sha256: digests.sha256,
    bytes: plainBytes,
    storedBytes: bytes.length,
    storedCrc32c: digests.crc32c,
  });
  const storedBytes = bytes.length + tail.length;
  return {
    part: { number: part.number, plainBytes, storedBytes, ...digests, frames },
    bytes: Buffer.concat([bytes, tail]),
  };
}

/** Rewrites the header of the tar member that begins at `at`, with a checksum that fits again. */
export function forgeHeader(plain: Buffer, at: number, change: (header: Buffer) => void): Buffer {
  const forged = Buffer.from(plain);
  const header = forged.subarray(at, at + 512);
  change(header);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return forged;
}

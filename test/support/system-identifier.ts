import { crc32c } from '@node-rs/crc32';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CONTROL_CRC_AT, CONTROL_FILE_PATH, parseControlFile } from '../../src/postgres/control-file.ts';
import { parseWalName } from '../../src/postgres/wal-name.ts';

/** Of a page header that names the cluster (XLogLongPageHeaderData, access/xlog_internal.h); it has no checksum. */
const WAL_SYSTEM_ID_AT = 24;

/**
 * Gives a cluster in which no server ever ran a new system identifier, so that a copy is not taken for the cluster it was copied from.
 * It stands in the control file and on the first page of each WAL segment.
 */
export async function setSystemIdentifier(dataDir: string, systemId: bigint): Promise<void> {
  await changed(join(dataDir, CONTROL_FILE_PATH), (file) => {
    const crcAt = CONTROL_CRC_AT.get(file.readUInt32LE(8));
    if (crcAt === undefined) throw new Error('the control file is of an unknown version');
    file.writeBigUInt64LE(systemId, 0);
    file.writeUInt32LE(crc32c(file.subarray(0, crcAt)), crcAt);
    if (!parseControlFile(file).ok) throw new Error('the control file was spoiled');
  });
  const wal = join(dataDir, 'pg_wal');
  for (const name of (await readdir(wal)).filter((entry) => parseWalName(entry)?.kind === 'segment')) {
    await changed(join(wal, name), (page) => {
      const isWritten = page.readUInt16LE(0) !== 0;
      if (isWritten) page.writeBigUInt64LE(systemId, WAL_SYSTEM_ID_AT);
    });
  }
}

/** Writes the first 8 kB of a file anew, in place. */
async function changed(path: string, change: (bytes: Buffer) => void): Promise<void> {
  await using file = await open(path, 'r+');
  const bytes = Buffer.alloc(8192);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  if (bytesRead !== bytes.length) throw new Error(`${path} has ${bytesRead} bytes only`);
  change(bytes);
  await file.write(bytes, 0, bytes.length, 0);
}

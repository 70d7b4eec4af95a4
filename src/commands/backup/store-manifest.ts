import { encodeObject } from '../../repository/object-codec.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import { manifestKey, type BackupId } from '../../repository/layout.ts';
import { ManifestWriter, type ManifestWalRange } from '../../postgres/backup-manifest.ts';
import { createInAll } from './create-in-all.ts';
import type { BackupRun } from './backup-run.ts';
import type { CopiedFrame } from './thread-protocol.ts';

/** Readers of 17 know version 2, which names the cluster. */
const VERSION_2_MAJOR = 17;
/** Lines that become bytes together: one string of them all would be too long for a large cluster. */
const LINES = 10_000;

/** Writes PostgreSQL's `backup_manifest` of these files and stores it. */
export async function storeManifest(
  run: BackupRun,
  id: BackupId,
  { frames, range }: { frames: readonly CopiedFrame[]; range: ManifestWalRange },
): Promise<BackupRecord['manifest']> {
  const { control, facts } = run.source;
  const plain = manifestOf(frames, range, facts.major >= VERSION_2_MAJOR ? control.systemId : undefined);
  const about = {
    kind: 'backup-manifest' as const,
    name: `${id}/backup_manifest`,
    systemId: String(control.systemId),
    by: run.context.by,
    at: new Date(run.context.clock.now()).toISOString(),
  };
  const { head, bytes } = encodeObject(plain, about, run.context.config.compressLevel);
  await createInAll(run, manifestKey(id), bytes);
  return { sha256: head.sha256, bytes: head.bytes, storedBytes: bytes.length };
}

/** In memory of one piece, of which only what is written is ever used: pieces that are joined would be there twice. */
function manifestOf(frames: readonly CopiedFrame[], range: ManifestWalRange, systemId: bigint | undefined): Buffer {
  const writer = new ManifestWriter();
  let plain = Buffer.allocUnsafeSlow(mostBytes(frames));
  let used = 0;
  let lines = [writer.head(systemId)];
  const flush = (): void => {
    const text = lines.join('');
    lines = [];
    const bytes = Buffer.byteLength(text);
    if (used + bytes > plain.length) plain = Buffer.concat([plain.subarray(0, used)], 2 * (used + bytes));
    used += plain.write(text, used);
  };
  for (const { files } of frames) {
    for (const { path, ...file } of files) {
      lines.push(writer.file({ path: typeof path === 'string' ? path : Buffer.from(path), ...file }));
    }
    if (lines.length >= LINES) flush();
  }
  lines.push(writer.tail([range]));
  flush();
  return plain.subarray(0, used);
}

/** Of a line without its path, and about what the rest takes. */
const LINE_BYTES = 224;
const REST_BYTES = 4096;

/** In all but the oddest names a character is three bytes at most. */
function mostBytes(frames: readonly CopiedFrame[]): number {
  const ofFiles = frames.flatMap(({ files }) => files.map(({ path }) => LINE_BYTES + 3 * path.length));
  return ofFiles.reduce((sum, bytes) => sum + bytes, REST_BYTES);
}

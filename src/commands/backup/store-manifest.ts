import { encodeObject } from '../../repository/object-codec.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import { manifestKey, type BackupId } from '../../repository/layout.ts';
import { ManifestWriter, type ManifestWalRange } from '../../postgres/backup-manifest.ts';
import { createInAll } from './create-in-all.ts';
import type { BackupRun } from './backup-run.ts';
import type { CopiedFrame } from './thread-protocol.ts';

/** Readers of 17 know version 2, which names the cluster. */
const VERSION_2_MAJOR = 17;
/** Lines put together before they become bytes: one string of them all would be too long for a large cluster. */
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

function manifestOf(frames: readonly CopiedFrame[], range: ManifestWalRange, systemId: bigint | undefined): Buffer {
  const writer = new ManifestWriter();
  const pieces: Buffer[] = [];
  let lines = [writer.head(systemId)];
  const flush = (): void => {
    pieces.push(Buffer.from(lines.join(''), 'utf8'));
    lines = [];
  };
  for (const { files } of frames) {
    for (const { path, ...file } of files) {
      lines.push(writer.file({ path: typeof path === 'string' ? path : Buffer.from(path), ...file }));
    }
    if (lines.length >= LINES) flush();
  }
  lines.push(writer.tail([range]));
  flush();
  return Buffer.concat(pieces);
}

/** The parts of an interrupted backup, as every repository holds them: read in full, compared, and locked. */
import { mapParallel } from '../../../base/parallel.ts';
import { CONTROL_FILE_PATH } from '../../../postgres/control-file.ts';
import { fileKey, plainPath } from '../../../postgres/incremental-file.ts';
import { partKey, type BackupId } from '../../../repository/layout.ts';
import type { InterruptedBackup } from '../../../repository/interrupted-backup.ts';
import type { PageForm } from '../../../repository/member-pages.ts';
import { damaged } from '../../../repository/object-head.ts';
import type { Repository } from '../../../repository/repository.ts';
import { readStoredPart, type StoredPart } from '../../../repository/stored-part.ts';
import { crc32c } from '../../../stream/checksum.ts';
import { ensureLocked } from '../../../store/lock-proof.ts';
import type { Progress } from '../../progress/progress.ts';
import type { Refusal } from '../backup-type.ts';

export type InterruptedParts = Pick<InterruptedBackup, 'id' | 'parts' | 'partBytes'>;

export interface PartsReading {
  /** All that the backup goes into. */
  repositories: readonly Repository[];
  systemId: bigint;
  pages: PageForm;
  /** Of these the parent holds an older state: changed blocks of nothing else can be joined. */
  olderFiles: ReadonlySet<string>;
  jobs: number;
  progress: Pick<Progress, 'phase'>;
  signal: AbortSignal;
}

/**
 * Reads all of them. What only some repositories hold is brought to the others; nothing that is stored is left out: whoever extracts
 * the backup by hand takes all parts that lie there. The answer is why they cannot be used. Throws `damaged` for one that cannot be
 * trusted, `unlocked`, and what the stores say.
 */
export async function readParts(reading: PartsReading, found: InterruptedParts): Promise<StoredPart[] | Refusal> {
  let done = 0;
  reading.progress.phase('reading what is stored', { done: () => done, total: found.partBytes });
  const passed = (bytes: number): void => void (done += bytes);
  const parts = await mapParallel([...found.parts], reading.jobs, ([number, holders]) =>
    readPart({ ...reading, passed }, found.id, number, holders),
  );
  return whyUnusable(parts, reading.olderFiles) ?? parts;
}

interface PartReading extends PartsReading {
  passed: (bytes: number) => void;
}

async function readPart(
  reading: PartReading,
  id: BackupId,
  number: number,
  holders: readonly Repository[],
): Promise<StoredPart> {
  const [first, ...others] = holders;
  const object = partKey(id, number);
  if (first === undefined) throw damaged(object, 'nobody holds it');
  const part = await readFrom(reading, first, id, number);
  for (const other of others) {
    const same = await readFrom(reading, other, id, number);
    if (same.sha256 !== part.sha256) throw damaged(`${other.url}/${object}`, `${first.url} holds another one`);
  }
  for (const repository of reading.repositories) {
    if (!holders.includes(repository)) await fill(reading, object, part, { from: first, to: repository });
    else if (repository.lock !== undefined) await ensureLocked(repository.store, object, repository.lock, reading);
  }
  return part;
}

async function readFrom(
  reading: PartReading,
  repository: Repository,
  id: BackupId,
  number: number,
): Promise<StoredPart> {
  const part = await readStoredPart(repository, id, number, reading);
  if (part === undefined) throw damaged(`${repository.url}/${partKey(id, number)}`, 'it is not there any more');
  return part;
}

/** A repository that was down, or slower by a moment, when the backup was interrupted. */
async function fill(
  { signal }: PartsReading,
  key: string,
  part: StoredPart,
  { from, to }: { from: Repository; to: Repository },
): Promise<void> {
  const result = await to.store.create(key, { kind: 'stream', chunks: proven(from, key, part, signal) }, { signal });
  if (result === 'exists') throw damaged(`${to.url}/${key}`, 'somebody has just stored it');
}

/** What was read a moment ago: whatever else comes ends in an error, so that nothing becomes visible. */
async function* proven(
  { store, url }: Repository,
  key: string,
  part: StoredPart,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const opened = await store.open(key, { signal });
  const contentBytes = part.frames.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  let read = 0;
  let crc = 0;
  for await (const chunk of opened?.chunks ?? []) {
    crc = crc32c(chunk.subarray(0, Math.max(0, contentBytes - read)), crc);
    read += chunk.length;
    yield chunk;
  }
  if (read !== part.storedBytes || crc !== part.crc32c)
    throw damaged(`${url}/${key}`, 'it has changed since it was read');
}

/** Members of the part that makes the rest a backup: its end, which came too early. */
const LAST_PART: ReadonlySet<string> = new Set(['backup_label', 'tablespace_map', CONTROL_FILE_PATH]);

function whyUnusable(parts: readonly StoredPart[], olderFiles: ReadonlySet<string>): Refusal | undefined {
  const seen = new Set<string>();
  for (const { number, frames } of parts) {
    if ((frames.at(-1)?.members.length ?? 1) > 0) return { why: `part ${number} has no end of its own` };
    for (const member of frames.flatMap(({ members }) => members)) {
      if (member.kind === 'directory') continue;
      const key = fileKey(member.path);
      const plain = typeof member.path === 'string' ? plainPath(member.path) : undefined;
      if (plain !== undefined && !olderFiles.has(plain)) {
        return { why: `part ${number} holds changes of ${plain}, of which there is no older state` };
      }
      if (typeof member.path === 'string' && LAST_PART.has(member.path)) return { why: 'its end is stored already' };
      if (seen.has(key)) return { why: `two parts hold ${JSON.stringify(member.path.toString())}` };
      seen.add(key);
      // Torn by the server's write, or damaged: its file tells, if it is copied again.
      if (member.badBlocks.length > 0) return { why: `part ${number} holds pages with wrong checksums` };
    }
  }
  return undefined;
}

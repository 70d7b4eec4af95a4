import type { BackupRecord, FileRecord, FrameRecord, PartRecord } from '../../repository/backup-record.ts';
import type { ReadMember } from '../../repository/member-reader.ts';
import type { StoredPart } from '../../repository/stored-part.ts';
import { fileKey } from '../../postgres/incremental-file.ts';
import { pathKey } from '../../postgres/path-key.ts';
import type { BlockCounts, CopiedFile, CopiedFrame, CopiedUnit, FinishedPart } from './thread-protocol.ts';
import type { BackupSource } from './backup-source.ts';

/** What has been copied so far, over all threads. */
export class CopiedParts {
  readonly frames: CopiedFrame[] = [];
  readonly parts: FinishedPart[] = [];
  readonly blocks: BlockCounts = { all: 0, copied: 0 };
  /** Keys (`pathKey`) of directories in parts of an earlier attempt. */
  readonly directories: Set<string> = new Set();

  /** A part that was written at once, with its one frame. */
  add({ part, frame }: { part: FinishedPart; frame: CopiedFrame }): void {
    this.parts.push(part);
    this.frames.push(frame);
  }

  addUnit({ frames, blocks }: CopiedUnit): void {
    this.frames.push(...frames);
    this.#count(blocks);
  }

  /** A part that an earlier attempt has stored. */
  addStored({ number, frames, ...stored }: StoredPart): void {
    const records = frames.map(({ members, ...frame }) => ({
      ...frame,
      files: members.filter(isFile).map(copiedFile),
    }));
    const lastFrame = records.pop();
    if (lastFrame === undefined) throw new RangeError('a part ends with a frame');
    this.parts.push({ part: number, ...stored, lastFrame: { ...lastFrame, files: [] } });
    for (const record of records) this.frames.push({ ...record, part: number });
    for (const member of frames.flatMap(({ members }) => members)) {
      if (member.kind === 'directory') this.directories.add(pathKey(member.path));
      else this.#count(member.blocks);
    }
  }

  /** Keys (`fileKey`) of all files, whether they are held whole or as changed blocks. */
  files(): Set<string> {
    return new Set(this.frames.flatMap(({ files }) => files.map(({ path }) => fileKey(path))));
  }

  get storedBytes(): number {
    return this.parts.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  }

  get sizeBytes(): number {
    return this.frames.reduce((sum, { files }) => files.reduce((each, { size }) => each + size, sum), 0);
  }

  /** In the order of their numbers, each with its frames. */
  records(): PartRecord[] {
    const frames = Map.groupBy(this.frames, ({ part }) => part);
    return this.parts
      .toSorted((a, b) => a.part - b.part)
      .map(({ part, lastFrame, plainBytes, storedBytes, sha256, crc32c }) => {
        const own = (frames.get(part) ?? []).map(frameRecord);
        return { number: part, plainBytes, storedBytes, sha256, crc32c, frames: [...own, lastFrame] };
      });
  }

  #count(blocks: BlockCounts | undefined): void {
    this.blocks.all += blocks?.all ?? 0;
    this.blocks.copied += blocks?.copied ?? 0;
  }
}

type FileMember = Extract<ReadMember, { kind: 'file' }>;

function isFile(member: ReadMember): member is FileMember {
  return member.kind === 'file';
}

function copiedFile({ path, size, at, sha256, modifiedAt }: FileMember): CopiedFile {
  return { path, size, at, sha256, modifiedAt };
}

function frameRecord({ offset, storedBytes, plainBytes, files }: CopiedFrame): FrameRecord {
  return { offset, storedBytes, plainBytes, files: files.map(fileRecord) };
}

function fileRecord({ path, size, at }: CopiedFile): FileRecord {
  return { path: typeof path === 'string' ? path : Buffer.from(path), size, at };
}

/** The server's side of the record. */
export function serverRecord({ facts, control }: BackupSource): BackupRecord['server'] {
  const { systemId, controlVersion, catalogVersion, segmentBytes, blockBytes, blocksPerFile, walLogHints } = control;
  const { maxConnections, maxWorkerProcesses, maxWalSenders, maxPreparedXacts, maxLocksPerXact } = control;
  return {
    systemId,
    version: facts.version,
    major: facts.major,
    controlVersion,
    catalogVersion,
    segmentBytes,
    blockBytes,
    blocksPerFile,
    dataChecksums: control.dataChecksumVersion !== 0,
    walLogHints,
    inRecovery: facts.inRecovery,
    maxConnections,
    maxWorkerProcesses,
    maxWalSenders,
    maxPreparedXacts,
    maxLocksPerXact,
  };
}

/** How the bytes of a backup are handed out to threads: runs of frames, large enough to read in one go, small enough to share. */
import type { Manifest } from '../postgres/manifest-reader.ts';
import { TAR_END_BYTES } from '../stream/tar-header.ts';
import type { PartMark } from './authentic-part.ts';
import type { BackupRecord, FrameRecord, PartRecord } from './backup-record.ts';
import { isRead, type LinkUse, type MemberUse, type Selection } from './chain-files.ts';
import { FileTable } from './file-table.ts';
import type { JoinState } from './join-state.ts';
import type { BackupId } from './layout.ts';

/** A run of whole frames of one part: one ranged read. It survives structured cloning. */
export interface RestorePiece {
  backup: BackupId;
  /** Whether the backup is the one that is restored, and no older link of its chain: directories come from it alone. */
  newest: boolean;
  /** The part's number. */
  part: number;
  /** Of the whole part: what it is known by. */
  mark: PartMark;
  /** In the object. */
  offset: number;
  storedBytes: number;
  plainBytes: number;
  /** The regular files in it, in order; put together when it is asked for. */
  files: readonly PieceFile[];
  /** Whether the archive's end is in it. */
  ends: boolean;
}

export interface PieceFile {
  path: string | Uint8Array;
  size: number;
  /** 64 hex digits, of PostgreSQL's manifest. */
  sha256: string;
  use: MemberUse;
  /** Of `blocks` and `base`: what newer links have given. */
  join?: JoinState | undefined;
}

/** What of a backup is needed; `newest` as in the pieces. */
export interface Needed {
  newest: boolean;
  use: LinkUse;
  /** Asked of each member once; `undefined`: all that the chain needs is brought. */
  select?: Selection | undefined;
}

/** A full backup by itself. */
export const WHOLE_BACKUP: Needed = { newest: true, use: () => 'whole' };

const MOST_BYTES = 64 * 1024 * 1024;
const LEAST_BYTES = 4 * 1024 * 1024;
/** Small ones that compress well: what a thread keeps of each counts more than their bytes. */
const MOST_FILES = 2000;
/** With so many pieces to a thread, none waits long for the last. */
const PIECES_PER_JOB = 8;
/** A shorter gap between needed frames is read through: that is cheaper than another request. */
const GAP_BYTES = 1024 * 1024;

/**
 * The pieces of all parts with the frames that are needed, the largest first, so that the last ones to be done are small. Every file of
 * the record must be in the manifest with its size and a SHA-256, and the other way round. Throws `damaged`.
 */
export function piecesOf(
  record: Pick<BackupRecord, 'id' | 'parts'>,
  manifest: Manifest,
  jobs: number,
  needed: Needed = WHOLE_BACKUP,
): RestorePiece[] {
  const table = FileTable.of(record, manifest);
  const total = record.parts.reduce((sum, part) => sum + part.storedBytes, 0);
  const wanted = Math.min(MOST_BYTES, Math.max(LEAST_BYTES, Math.ceil(total / (jobs * PIECES_PER_JOB))));
  const cutting = { table, id: record.id, wanted, ...needed };
  const pieces: RestorePiece[] = [];
  let files = 0;
  for (const part of record.parts) {
    pieces.push(...cutPart(part, files, cutting));
    files = part.frames.reduce((sum, frame) => sum + frame.files.length, files);
  }
  return pieces.sort((a, b) => b.plainBytes - a.plainBytes);
}

type Cutting = Needed & { table: FileTable; id: BackupId; wanted: number };

/** `firstFile`: the number of the part's first file in the record. */
function cutPart(part: PartRecord, firstFile: number, cutting: Cutting): RestorePiece[] {
  const pieces: RestorePiece[] = [];
  let open = emptyRun();
  /** Frames that are read only if another one of the same piece follows. */
  let gap = emptyRun();
  const close = (): void => {
    if (open.frames.length > 0) pieces.push(pieceOf(part, open.frames, cutting));
    open = emptyRun();
    gap = emptyRun();
  };
  let number = firstFile;
  for (const [index, record] of part.frames.entries()) {
    const frame = { record, firstFile: number };
    const isNeeded = decide(frame, index === part.frames.length - 1, cutting);
    number += record.files.length;
    const storedBytes = gap.storedBytes + record.storedBytes;
    const files = open.files + record.files.length;
    if (open.frames.length > 0 && (open.storedBytes + storedBytes > cutting.wanted || files > MOST_FILES)) close();
    if (!isNeeded) {
      if (open.frames.length > 0) {
        gap.frames.push(frame);
        gap.storedBytes = storedBytes;
        gap.files += record.files.length;
      }
      if (gap.storedBytes > GAP_BYTES) close();
      continue;
    }
    open.frames.push(...gap.frames, frame);
    open.storedBytes += gap.storedBytes + record.storedBytes;
    open.files += gap.files + record.files.length;
    gap = emptyRun();
  }
  close();
  return pieces;
}

interface OpenRun {
  frames: NumberedFrame[];
  storedBytes: number;
  files: number;
}

function emptyRun(): OpenRun {
  return { frames: [], storedBytes: 0, files: 0 };
}

interface NumberedFrame {
  record: FrameRecord;
  firstFile: number;
}

/** What becomes of its files, and so whether it is needed. */
function decide({ record, firstFile }: NumberedFrame, last: boolean, { table, newest, use, select }: Cutting): boolean {
  let isNeeded = false;
  for (const [index, { path, size }] of record.files.entries()) {
    const number = firstFile + index;
    const inChain = use(path);
    const chosen = select?.({ path, size, sha256: table.sha256(number), use: inChain }) ?? inChain;
    table.setUse(number, chosen);
    isNeeded ||= isRead(chosen);
  }
  // Of the newest also those without files: they hold directories, and the ends of archives.
  const isEnd = last && record.plainBytes === TAR_END_BYTES && select !== undefined;
  return isNeeded || (newest && record.files.length === 0 && !isEnd);
}

function pieceOf(
  { number: part, storedBytes, sha256, crc32c, frames: all }: PartRecord,
  frames: readonly NumberedFrame[],
  { id, newest, table }: Cutting,
): RestorePiece {
  const sum = (pick: (frame: FrameRecord) => number): number =>
    frames.reduce((total, { record }) => total + pick(record), 0);
  return {
    backup: id,
    newest,
    part,
    mark: { storedBytes, sha256, crc32c },
    offset: frames[0]?.record.offset ?? 0,
    storedBytes: sum((frame) => frame.storedBytes),
    plainBytes: sum((frame) => frame.plainBytes),
    get files(): PieceFile[] {
      return frames.flatMap((frame) => pieceFiles(frame, table));
    },
    ends: frames.at(-1)?.record.offset === all.at(-1)?.offset,
  };
}

function pieceFiles({ record, firstFile }: NumberedFrame, table: FileTable): PieceFile[] {
  return record.files.map(({ path, size }, index) => {
    const number = firstFile + index;
    return { path, size, sha256: table.sha256(number), use: table.use(number) };
  });
}

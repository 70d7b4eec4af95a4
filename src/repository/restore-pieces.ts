/** How the bytes of a backup are handed out to threads: runs of frames, large enough to read in one go, small enough to share. */
import { WalholdError } from '../base/errors.ts';
import type { Manifest } from '../postgres/manifest-reader.ts';
import { pathKey } from '../postgres/path-key.ts';
import { TAR_END_BYTES } from '../stream/tar-header.ts';
import type { PartMark } from './authentic-part.ts';
import type { BackupRecord, FrameRecord, PartRecord } from './backup-record.ts';
import { isRead, type LinkUse, type MemberUse, type Selection } from './chain-files.ts';
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
  /** The regular files in it, in order. */
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
  const digests = digestsOf(record, manifest);
  const total = record.parts.reduce((sum, part) => sum + part.storedBytes, 0);
  const wanted = Math.min(MOST_BYTES, Math.max(LEAST_BYTES, Math.ceil(total / (jobs * PIECES_PER_JOB))));
  const pieces = record.parts.flatMap((part) => cutPart(part, wanted, { digests, id: record.id, ...needed }));
  if (digests.size > 0) {
    const [missing = ''] = digests.keys();
    throw disagree(record.id, `${shown(missing)} is in the manifest and in no part`);
  }
  return pieces.sort((a, b) => b.plainBytes - a.plainBytes);
}

type Digests = Map<string, { size: number; sha256: string }>;

function digestsOf({ id }: Pick<BackupRecord, 'id'>, manifest: Manifest): Digests {
  const digests: Digests = new Map();
  for (const { path, size, checksum } of manifest.files) {
    if (checksum?.algorithm !== 'SHA256') throw disagree(id, `${shown(pathKey(path))} has no SHA-256 in the manifest`);
    digests.set(pathKey(path), { size, sha256: checksum.hex });
  }
  return digests;
}

type Cutting = Needed & { digests: Digests; id: BackupId };

function cutPart(part: PartRecord, wanted: number, cutting: Cutting): RestorePiece[] {
  const pieces: RestorePiece[] = [];
  let open: OpenRun = { frames: [], storedBytes: 0 };
  /** Frames that are read only if another one of the same piece follows. */
  let gap: OpenRun = { frames: [], storedBytes: 0 };
  const close = (): void => {
    if (open.frames.length > 0) pieces.push(pieceOf(part, open.frames, cutting));
    open = { frames: [], storedBytes: 0 };
    gap = { frames: [], storedBytes: 0 };
  };
  for (const [index, one] of part.frames.entries()) {
    const frame = withUses(one, index === part.frames.length - 1, cutting);
    const storedBytes = gap.storedBytes + frame.storedBytes;
    if (open.frames.length > 0 && open.storedBytes + storedBytes > wanted) close();
    if (!frame.needed) {
      if (open.frames.length > 0) {
        gap.frames.push(frame);
        gap.storedBytes = storedBytes;
      }
      if (gap.storedBytes > GAP_BYTES) close();
      continue;
    }
    open.frames.push(...gap.frames, frame);
    open.storedBytes += storedBytes;
    gap = { frames: [], storedBytes: 0 };
  }
  close();
  return pieces;
}

interface OpenRun {
  frames: UsedFrame[];
  storedBytes: number;
}

interface UsedFrame extends Omit<FrameRecord, 'files'> {
  files: readonly PieceFile[];
  needed: boolean;
}

function withUses(frame: FrameRecord, last: boolean, { digests, id, newest, use, select }: Cutting): UsedFrame {
  const files = frame.files.map(({ path, size }) => {
    const key = pathKey(path);
    const known = digests.get(key);
    if (known === undefined) throw disagree(id, `${shown(key)} is in a part and not in the manifest`);
    if (known.size !== size)
      throw disagree(id, `${shown(key)} has ${size} bytes in a part, ${known.size} in the manifest`);
    digests.delete(key);
    const member = { path, size, sha256: known.sha256, use: use(path) };
    if (select !== undefined) member.use = select(member);
    return member;
  });
  // Of the newest also those without files: they hold directories, and the ends of archives.
  const isEnd = last && frame.plainBytes === TAR_END_BYTES && select !== undefined;
  const needed = files.some((file) => isRead(file.use)) || (newest && files.length === 0 && !isEnd);
  return { ...frame, files, needed };
}

function pieceOf(
  { number: part, storedBytes, sha256, crc32c, frames: all }: PartRecord,
  frames: readonly UsedFrame[],
  { id, newest }: Cutting,
): RestorePiece {
  const sum = (pick: (frame: UsedFrame) => number): number => frames.reduce((total, frame) => total + pick(frame), 0);
  return {
    backup: id,
    newest,
    part,
    mark: { storedBytes, sha256, crc32c },
    offset: frames[0]?.offset ?? 0,
    storedBytes: sum((frame) => frame.storedBytes),
    plainBytes: sum((frame) => frame.plainBytes),
    files: frames.flatMap(({ files }) => files),
    ends: frames.at(-1)?.offset === all.at(-1)?.offset,
  };
}

function shown(key: string): string {
  return key.startsWith('\0') ? key.slice(1, 200) : key.slice(0, 200);
}

function disagree(id: string, detail: string): WalholdError {
  return new WalholdError('damaged', `the record and the manifest of backup ${id} do not agree`, {
    detail,
    hint: 'Restore another backup, or see "walhold verify".',
  });
}

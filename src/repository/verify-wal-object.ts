/** The contents of one WAL object: by itself, against its name and the cluster, and record by record. */
import { proveSegment, type SegmentProof } from '../postgres/segment-proof.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import type { CallOptions } from '../store/store.ts';
import { oldestAuthentic } from './authentic.ts';
import { parseWalKey, type WalObject } from './layout.ts';
import type { Repository } from './repository.ts';
import { verifyObject, type VerifiedObject } from './verify-object.ts';
import { concernsOneObject, problemOf } from './verify-problem.ts';
import type { Reading } from './verify-reader.ts';
import { examineWal, WAL_MAX_BYTES, type WalContent } from './wal-content.ts';

const TEXT_MAX_BYTES = 16 * 1024 * 1024;

export interface WalQuestion {
  readonly key: string;
  readonly systemId: bigint;
  readonly segmentBytes: number;
}

export interface WalReading extends Reading {
  /** Of a segment or partial that fits its name: what its first page says. */
  readonly page?: FirstPage;
  /** Of one whose version is known. */
  readonly proof?: SegmentProof;
}

export interface FirstPage {
  readonly magic: number;
  /** Older than the name's where the timeline began within the segment. */
  readonly timeline: TimelineId;
}

/** Segments are read whole, one after another: what one lay in serves the next. */
export class SegmentRooms {
  readonly #free: Buffer[] = [];

  async use<T>(bytes: number, work: (room: Buffer) => Promise<T>): Promise<T> {
    const free = this.#free.pop();
    const room = free?.length === bytes ? free : Buffer.allocUnsafeSlow(bytes);
    try {
      return await work(room);
    } finally {
      this.#free.push(room);
    }
  }
}

/** What is wrong with the object alone is in the answer. Throws what the store says when it does not answer. */
export async function readWal(
  repository: Repository,
  question: WalQuestion,
  { signal, rooms }: CallOptions & { rooms: SegmentRooms },
): Promise<WalReading> {
  const wal = parseWalKey(question.key);
  if (wal === undefined) throw new RangeError(`${question.key} is no WAL object`);
  const isText = wal.file.kind === 'history' || wal.file.kind === 'backup-label';
  if (isText) return await readInto(TEXT_MAX_BYTES, repository, wal, question, { signal });
  return await rooms.use(question.segmentBytes, (room) => readInto(room, repository, wal, question, { signal }));
}

async function readInto(
  keep: number | Buffer,
  { store, url }: Repository,
  wal: WalObject,
  question: WalQuestion,
  { signal }: CallOptions,
): Promise<WalReading> {
  const { key } = wal;
  const read: number[] = [];
  try {
    const search = { signal, accepts: ({ faults }: Judged) => faults.length === 0 };
    const found = await oldestAuthentic(store, key, search, async (which) => {
      const opened = await store.open(key, { signal, ...which });
      if (opened === undefined) return undefined;
      const verified = await verifyObject(opened.chunks, `${url}/${key}`, keep);
      read.push(opened.info.bytes);
      return judge(wal, verified, question);
    });
    // Gone between listing and reading: only expiry does that, and it is no fault.
    const { faults, ...rest } = found ?? { faults: [] };
    return { problems: faults.map((message) => ({ code: 'misfit', object: key, message })), read, ...rest };
  } catch (error) {
    if (!concernsOneObject(error)) throw error;
    return { problems: [problemOf(error, key)], read };
  }
}

interface Judged extends Pick<WalReading, 'page' | 'proof'> {
  faults: string[];
}

/** Everything that a sound object says or holds and should not; if there is nothing, what its records are. */
function judge({ file, digest }: WalObject, { head, start }: VerifiedObject, question: WalQuestion): Judged {
  const { systemId } = question;
  const faults: string[] = [];
  if (head.name !== file.name) faults.push(`it says that it is ${head.name}`);
  if (head.kind !== file.kind) faults.push(`it says that it is a ${head.kind}`);
  if (head.systemId !== String(systemId))
    faults.push(`it says that it belongs to cluster ${head.systemId}, not ${systemId}`);
  if (digest !== undefined && !head.sha256.startsWith(digest)) faults.push(`its content's SHA-256 is ${head.sha256}`);
  const isText = file.kind === 'history' || file.kind === 'backup-label';
  if (head.bytes > (isText ? TEXT_MAX_BYTES : WAL_MAX_BYTES)) {
    return { faults: [...faults, `it holds ${head.bytes} bytes, which no ${file.kind} does`] };
  }
  const content = examineWal(file, start, question, head.bytes);
  faults.push(...content.faults, ...(file.kind === 'history' ? historyFaults(start) : []));
  return { faults, ...(faults.length === 0 ? proofOf(start, content) : {}) };
}

/** PostgreSQL ends each line of a history file, so one without its end was cut off; what is left may still look like a line. */
function historyFaults(text: Buffer): string[] {
  if (text.length === 0) return ['it names no parent timeline'];
  return text.at(-1) === 0x0a ? [] : ['its last line is cut off'];
}

/** Of a version that is not known here nobody can tell what its records are like. */
function proofOf(segment: Buffer, { header, warnings }: WalContent): Pick<Judged, 'page' | 'proof'> {
  if (header === undefined) return {};
  const { magic, timeline, major } = header;
  const page = { magic, timeline };
  return major === undefined || warnings.length > 0 ? { page } : { page, proof: proveSegment(segment, header) };
}

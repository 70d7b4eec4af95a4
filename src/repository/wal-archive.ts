/**
 * One WAL file into, and out of, one repository: the one place of the rule for a name that is taken.
 *
 * The same content under the name is success. So are, for segments, other bytes that agree in every valid record: two archivers of
 * one cluster leave those. Anything else is a conflict: the object is never touched, and both contents are named. Where a name has
 * several versions, what counts is the oldest authentic one, since that is what every reader will take.
 */
import { reasonOf, WalholdError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Room } from '../base/room.ts';
import { lsn } from '../postgres/lsn.ts';
import { parseHistory } from '../postgres/timeline-history.ts';
import { sameRecords } from '../postgres/wal-compare.ts';
import { checkSegment, describeFault, parseWalHeader } from '../postgres/wal-header.ts';
import type { WalFile } from '../postgres/wal-name.ts';
import { ensureLocked } from '../store/lock-proof.ts';
import { readAll } from '../store/read-all.ts';
import type { CallOptions, ObjectInfo, Store } from '../store/store.ts';
import { oldestAuthentic, readAuthentic, type WhichVersion } from './authentic.ts';
import { walKey } from './layout.ts';
import { decodeObject } from './object-codec.ts';
import { HEAD_MAX_BYTES, parseHead, type ObjectHead } from './object-head.ts';
import type { Repository } from './repository.ts';
import type { PreparedWal } from './wal-object.ts';

/** `stored`: by this call. `present`: the same content was there. `equivalent`: content with the same records was there. */
export type PushOutcome = 'stored' | 'present' | 'equivalent';

export interface PushOptions extends CallOptions {
  log: Log;
  /** This host saw it stored there moments ago: look before sending it, and take its head's word for the rest. */
  expected?: boolean;
}

/**
 * Stores the file in a repository whose identity has been seen to be the file's. When it returns, the repository durably holds its
 * content, locked where the repository locks: of an object that was there before, every byte is checked. Throws `conflict`, `damaged`
 * (what lies there under the name is no use), `unlocked`, or what the store says.
 */
export async function pushInto(repository: Repository, wal: PreparedWal, options: PushOptions): Promise<PushOutcome> {
  const { store } = repository;
  if (options.expected === true && (await findStored(repository, wal, options, 'head')) === 'present') return 'present';
  const body = { kind: 'buffer' as const, bytes: wal.encoded.bytes };
  if ((await store.create(wal.key, body, { signal: options.signal })) === 'created') return 'stored';
  const found = await findStored(repository, wal, options, 'every byte');
  if (found !== undefined) return found;
  throw new WalholdError('unreachable', `could not tell whether ${store.url}/${wal.key} is stored`, {
    detail: 'the store said that it exists, then that it does not',
  });
}

/** The biggest objects that content of so many bytes can come in: zstd at its worst, and the description. */
export function mostStoredBytes(plainBytes: number): number {
  return HEAD_MAX_BYTES + plainBytes + (plainBytes >> 7) + 65536;
}

/** What is there already is as good as what this call would have stored only when it is locked too. */
async function findStored(
  { store, lock }: Repository,
  wal: PreparedWal,
  options: PushOptions,
  trust: Trust,
): Promise<Stored['outcome'] | undefined> {
  const stored = await compareStored(store, wal, options, trust);
  if (stored === undefined || lock === undefined) return stored?.outcome;
  const { version } = stored.info;
  const { signal } = options;
  await ensureLocked(store, wal.key, lock, { signal, version });
  return stored.outcome;
}

export interface Stored {
  outcome: 'present' | 'equivalent';
  /** Of what was compared. */
  info: ObjectInfo;
}

/** What counts as the same content: what an object says of itself, or only all of it. */
export type Trust = 'head' | 'every byte';

/** What the repository holds under the name, as a push would judge it; `undefined`: nothing. Throws as `pushInto`. */
export async function compareStored(
  store: Store,
  wal: PreparedWal,
  options: PushOptions,
  trust: Trust,
): Promise<Stored | undefined> {
  const fits = ({ bytes }: { bytes: number }): boolean => bytes <= mostStoredBytes(wal.plain.length);
  return await oldestAuthentic(store, wal.key, { signal: options.signal, fits }, (which) =>
    compareVersion(store, wal, which, { ...options, trust }),
  );
}

/** Throws `damaged` for what no reader would take under this name either, `conflict` for what readers would take. */
async function compareVersion(
  store: Store,
  wal: PreparedWal,
  which: WhichVersion,
  { signal, log, trust }: PushOptions & { trust: Trust },
): Promise<Stored | undefined> {
  const { head } = wal.encoded;
  const reading = { signal, ...which };
  const range = { offset: 0, bytes: HEAD_MAX_BYTES };
  const start = await readAll(store, wal.key, { ...reading, range, maxBytes: HEAD_MAX_BYTES });
  if (start === undefined) return undefined;
  const { version } = start.info;
  const object = `${store.url}/${wal.key}${version === undefined ? '' : ` (version ${version})`}`;
  const stored = readableHead(start.bytes, object);
  const whole = stored !== undefined && start.info.bytes === stored.frameBytes + stored.head.storedBytes;
  if (trust === 'head' && whole && sameContent(stored.head, head)) return { outcome: 'present', info: start.info };
  // A segment of another size is not read: how large it is, is anybody's choice.
  if (whole && wal.file.kind === 'segment' && stored.head.bytes !== head.bytes)
    throw otherContent('damaged', wal, stored.head, object, 'their sizes differ');

  const found = await readAll(store, wal.key, { ...reading, maxBytes: mostStoredBytes(wal.plain.length) });
  if (found === undefined) return undefined;
  const other = decodeStored(found.bytes, object, wal);
  const { info } = found;
  if (sameContent(other.head, head)) return { outcome: 'present', info };
  const faults = nameFaults(wal.file, other, { systemId: wal.systemId, segmentBytes: undefined });
  if (faults.length > 0) throw otherContent('damaged', wal, other.head, object, faults.join('; '));
  return { outcome: judgeOther(wal, other, object, log), info };
}

/** With the description: content whose description is wrong is refused by readers. */
function sameContent(stored: ObjectHead, wanted: ObjectHead): boolean {
  const { sha256, bytes, kind, name, systemId } = wanted;
  const same = stored.sha256 === sha256 && stored.bytes === bytes;
  return same && stored.kind === kind && stored.name === name && stored.systemId === systemId;
}

function readableHead(bytes: Buffer, object: string): ReturnType<typeof parseHead> | undefined {
  try {
    return parseHead(bytes, object);
  } catch {
    // All of it is read next; then its fault is told.
    return undefined;
  }
}

function decodeStored(bytes: Buffer, object: string, wal: PreparedWal): { head: ObjectHead; plain: Buffer } {
  try {
    return decodeObject(bytes, object, Math.max(wal.plain.length, 1024 * 1024));
  } catch (error) {
    if (!(error instanceof WalholdError)) throw error;
    const described = readableHead(bytes, object)?.head.sha256 ?? 'nothing';
    const digests = `to be stored is SHA-256 ${wal.encoded.head.sha256}, the object says ${described} of itself`;
    throw new WalholdError('damaged', `could not store ${wal.file.name}: the object under its name is damaged`, {
      detail: `${object}: ${error.detail ?? error.message}; ${digests}`,
      hint: `Nothing was changed. "walhold wal resolve ${wal.file.name}" shows what lies there and, with credentials that may, frees the name: then it is stored.`,
      cause: error,
    });
  }
}

function judgeOther(
  wal: PreparedWal,
  other: { head: ObjectHead; plain: Buffer },
  object: string,
  log: Log,
): 'equivalent' {
  const { file, plain, encoded } = wal;
  const parsed = file.kind === 'segment' ? parseWalHeader(plain) : undefined;
  const start = parsed?.ok === true ? parsed.header.pageAddress : lsn(0n);
  const comparison = sameRecords(plain, other.plain, start);
  if (comparison.kind === 'identical') return 'equivalent';
  const where = `first difference at byte ${comparison.firstDifference}`;
  if (file.kind !== 'segment') throw otherContent('conflict', wal, other.head, object, where);
  if (comparison.kind === 'different')
    throw otherContent('conflict', wal, other.head, object, `${where}: ${comparison.reason}`);
  log.warning(`${object} holds other bytes than ${file.name} here, but the same records`, {
    detail: `${bothContents(encoded.head, other.head)}; ${where}, behind the last record`,
  });
  return 'equivalent';
}

function otherContent(
  code: 'conflict' | 'damaged',
  wal: PreparedWal,
  other: ObjectHead,
  object: string,
  difference: string,
): WalholdError {
  const { name } = wal.file;
  return new WalholdError(code, `could not store ${name}: other content is stored under this name`, {
    detail: `${object}: ${bothContents(wal.encoded.head, other)}; ${difference}`,
    hint: `Nothing was changed. Two servers may archive into one place, history was repeated, or somebody took the name: compare both contents, "walhold wal resolve ${name}" shows them.`,
  });
}

function bothContents(here: ObjectHead, stored: ObjectHead): string {
  const who = `by ${stored.by ?? 'an unknown program'} at ${stored.at ?? 'an unknown time'}`;
  return `here SHA-256 ${here.sha256} (${here.bytes} bytes), stored SHA-256 ${stored.sha256} (${stored.bytes} bytes, ${who})`;
}

export interface FetchOptions extends CallOptions {
  /** Of the cluster; what says another is not served. */
  systemId: bigint;
  /** Of the cluster, where it is known. */
  segmentBytes?: number | undefined;
  /** Where the stored bytes are put, and the content. */
  rooms?: FetchRooms | undefined;
}

export interface FetchRooms {
  stored: Room;
  plain: Room;
}

/** The largest of each kind that is believed, plain. */
const MOST_BYTES = { segment: 1024 ** 3, history: 16 * 1024 * 1024, 'backup-label': 1024 * 1024 } as const;

/**
 * The file's content, verified: the object's own checks, its description and, for segments, the header against the name and the
 * cluster. `undefined`: proven absent under this key (whether the repository itself is there is the caller's to ask). Throws
 * `damaged`.
 */
export async function fetchFrom(
  { store }: Repository,
  file: Exclude<WalFile, { kind: 'partial' }>,
  options: FetchOptions,
): Promise<Buffer | undefined> {
  const key = walKey(file);
  const most = file.kind === 'segment' ? (options.segmentBytes ?? MOST_BYTES.segment) : MOST_BYTES[file.kind];
  const { signal, rooms } = options;
  const reading = { signal, maxBytes: mostStoredBytes(most), room: rooms?.stored };
  return await readAuthentic(store, key, reading, ({ bytes }) => {
    const object = `${store.url}/${key}`;
    const { head, plain } = decodeObject(bytes, object, most, rooms?.plain);
    const faults = nameFaults(file, { head, plain }, options);
    if (faults.length === 0) return plain;
    throw new WalholdError('damaged', `could not trust ${object}: it is not what its name says`, {
      detail: faults.join('; '),
      hint: 'Read it from another repository, or see "walhold verify".',
    });
  });
}

/** What sound bytes say or hold that does not fit the name and the cluster. */
function nameFaults(
  file: WalFile,
  { head, plain }: { head: ObjectHead; plain: Buffer },
  expected: Pick<FetchOptions, 'systemId' | 'segmentBytes'>,
): string[] {
  const faults = describedFaults(file, head, expected);
  if (file.kind === 'segment') faults.push(...segmentFaults(file, plain, expected));
  else if (file.kind === 'history') faults.push(...historyFaults(file, plain));
  return faults;
}

function describedFaults(file: WalFile, head: ObjectHead, { systemId }: Pick<FetchOptions, 'systemId'>): string[] {
  const faults: string[] = [];
  if (head.kind !== file.kind || head.name !== file.name) faults.push(`it says that it is ${head.kind} ${head.name}`);
  if (head.systemId !== String(systemId)) {
    faults.push(`system identifier is ${head.systemId}, expected ${systemId}`);
  }
  return faults;
}

function segmentFaults(
  file: Extract<WalFile, { kind: 'segment' }>,
  plain: Buffer,
  { systemId, segmentBytes }: Pick<FetchOptions, 'systemId' | 'segmentBytes'>,
): string[] {
  const parsed = parseWalHeader(plain);
  if (!parsed.ok) return [describeFault(parsed.fault)];
  const expected = segmentBytes === undefined ? { systemId } : { systemId, segmentBytes };
  return checkSegment(file, plain.length, parsed.header, expected).map(describeFault);
}

function historyFaults(file: Extract<WalFile, { kind: 'history' }>, plain: Buffer): string[] {
  try {
    parseHistory(file.timeline, plain.toString('utf8'));
    return [];
  } catch (error) {
    return [reasonOf(error)];
  }
}

import { formatBackupRecord } from '../../src/repository/backup-record-format.ts';
import type { BackupRecord } from '../../src/repository/backup-record.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { commitKey, IDENTITY_KEY, manifestKey, partKey } from '../../src/repository/layout.ts';
import type { ObjectAbout } from '../../src/repository/object-head.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { Stranger } from '../../src/store/store.ts';
import { withVersions } from '../../src/store/with-versions.ts';
import { SYSTEM_ID, walObject } from './file-repository.ts';
import { nameOf, putSegments, segmentBytes } from './made-segments.ts';
import { SMALL_CLUSTER } from './restorable-backup.ts';
import { inSegment, putBackup, type Contents } from './stored-backup.ts';
import { VersionedMemoryBucket } from './versioned-memory-store.ts';
import { WalBuilder } from './wal-builder.ts';

/** What a cluster stored: one backup, WAL of two timelines, the history between them. */
export interface StoredObjects {
  /** By key, in the order they were stored. */
  objects: ReadonlyMap<string, Buffer>;
  record: BackupRecord;
  /** One key of each kind, and another content for it that is well-formed too. */
  forgeries: ReadonlyMap<string, { what: string; bytes: Buffer }>;
}

const HISTORY = '00000002.history';
const IDENTITY = { format: 1 as const, systemId: SYSTEM_ID, createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' };
const { 'global/pg_control': CONTROL = '', ...OTHERS } = SMALL_CLUSTER;
const PARTS: readonly Contents[] = [OTHERS, { 'global/pg_control': CONTROL }];

export async function storedObjects(): Promise<StoredObjects> {
  const { objects, record } = await collect(PARTS);
  const forged = await collect([{ ...OTHERS, 'base/1/1259': 'not a table'.repeat(3000) }, ...PARTS.slice(1)]);
  const { id } = record;
  const segment = walObject(nameOf(5), forgedSegment(5));
  const history = walObject(HISTORY, '1\t0/400100\tforged\n');
  const identity = formatIdentity({ ...IDENTITY, systemId: 42n });
  const forgeries = new Map([
    [IDENTITY_KEY, { what: 'the identity', bytes: identity }],
    [segment.key, { what: 'a segment', bytes: segment.bytes }],
    [history.key, { what: 'a history file', bytes: history.bytes }],
    [commitKey(id), { what: 'backup.json', bytes: Buffer.from(formatBackupRecord(forged.record)) }],
    [manifestKey(id), { what: 'the manifest', bytes: bytesAt(forged.objects, manifestKey(id)) }],
    [partKey(id, 1), { what: 'a part', bytes: bytesAt(forged.objects, partKey(id, 1)) }],
    [partKey(id, 2), { what: 'the last part', bytes: withoutMiddle(bytesAt(objects, partKey(id, 2))) }],
  ]);
  return { objects, record, forgeries };
}

/** What is done to a name that shall hold `real`; the versions come in this order. */
export interface Mutilation {
  what: string;
  apply: (bucket: VersionedMemoryBucket, key: string, real: Buffer, forgery: Buffer) => void;
}

/** Junk of the same size: only its content gives it away. */
export function junk(bytes: Buffer): Buffer {
  return Buffer.alloc(bytes.length, 'junk');
}

/** Sound in itself, of this cluster, and not what any of the names here says. */
const ANOTHER = walObject(nameOf(1), segmentBytes(1), aboutSegment(1)).bytes;

export const MUTILATIONS: readonly Mutilation[] = [
  { what: 'overwritten with junk', apply: (bucket, key, real) => put(bucket, key, real, junk(real)) },
  {
    what: 'overwritten with nothing, twice',
    apply: (bucket, key, real) => put(bucket, key, real, Buffer.alloc(0), Buffer.alloc(0)),
  },
  {
    what: 'overwritten with a well-formed forgery',
    apply: (bucket, key, real, forgery) => put(bucket, key, real, forgery),
  },
  { what: 'hidden by a marker', apply: (bucket, key, real) => put(bucket, key, real, undefined) },
  {
    what: 'hidden, and made anew with a forgery',
    apply: (bucket, key, real, forgery) => put(bucket, key, real, undefined, forgery),
  },
  {
    what: 'taken by junk before it was stored',
    apply: (bucket, key, real) => put(bucket, key, junk(real), undefined, real),
  },
  {
    what: 'taken by a copy of another object before it was stored',
    apply: (bucket, key, real) => put(bucket, key, ANOTHER, undefined, real),
  },
  {
    what: 'taken by junk twice before it was stored, and overwritten again',
    apply: (bucket, key, real, forgery) =>
      put(bucket, key, junk(real), Buffer.from('more junk'), undefined, real, forgery),
  },
];

/** A bucket with all the objects, and one name mutilated. */
export function bucketOf(
  { objects, forgeries }: StoredObjects,
  key = '',
  mutilation?: Mutilation,
): VersionedMemoryBucket {
  const bucket = new VersionedMemoryBucket();
  for (const [name, bytes] of objects) {
    if (name !== key || mutilation === undefined) bucket.put(name, bytes);
    else mutilation.apply(bucket, name, bytes, forgeries.get(name)?.bytes ?? Buffer.from('forged'));
  }
  return bucket;
}

/** As it is opened with a bucket that keeps versions. */
export function repositoryOn({ store }: VersionedMemoryBucket, asOf?: Date): Repository {
  const { versions } = store;
  if (versions === undefined) throw new Error('it keeps versions');
  const strangers: Stranger[] = [];
  const onStranger = (stranger: Stranger): void => void strangers.push(stranger);
  return {
    number: 1,
    url: store.url,
    settings: { scheme: 's3', bucket: 'bucket', prefix: '' },
    lock: undefined,
    retention: { windowMs: undefined, fullBackups: 2 },
    strangers,
    store: withVersions({ ...store, versions }, { asOf, onStranger }),
  };
}

/** A segment as PostgreSQL writes it, with other records than {@link segmentBytes} has. */
export function forgedSegment(segno: number): Buffer {
  const builder = new WalBuilder({ segno: BigInt(segno), systemId: SYSTEM_ID, magic: 0xd110 });
  builder.record({ xid: 666, data: Buffer.from('forged') });
  builder.switchSegment();
  return builder.segment(0);
}

async function collect(
  parts: readonly Contents[],
): Promise<Pick<StoredObjects, 'record'> & { objects: Map<string, Buffer> }> {
  const objects = new Map<string, Buffer>([[IDENTITY_KEY, formatIdentity(IDENTITY)]]);
  const collector = {
    put: (key: string, bytes: Uint8Array | string): Promise<void> => {
      objects.set(key, Buffer.from(bytes as Uint8Array));
      return Promise.resolve();
    },
    putWal: (name: string, plain: string | Uint8Array, about: Partial<ObjectAbout> = {}): Promise<string> => {
      const { key, bytes } = walObject(name, plain, about);
      objects.set(key, bytes);
      return Promise.resolve(key);
    },
  };
  for (let segno = 2; segno <= 6; segno += 1)
    await putSegments(collector, segno, segno, { about: aboutSegment(segno) });
  const record = await putBackup(collector, { startLsn: inSegment(3), stopLsn: inSegment(4, 400), parts });
  await collector.putWal(HISTORY, '1\t0/600100\tno reason\n');
  await putSegments(collector, 6, 8, { timeline: 2 });
  return { objects, record };
}

/** What its head says of the transactions in it. */
function aboutSegment(segno: number): Partial<ObjectAbout> {
  return { commits: segno, lastCommitAt: `2026-11-22T17:00:0${segno}Z`, endLsn: `0/${segno}00090` };
}

function put(bucket: VersionedMemoryBucket, key: string, ...versions: (Buffer | undefined)[]): void {
  for (const bytes of versions) {
    if (bytes === undefined) bucket.hide(key);
    else bucket.put(key, bytes);
  }
}

function bytesAt(objects: ReadonlyMap<string, Buffer>, key: string): Buffer {
  const bytes = objects.get(key);
  if (bytes === undefined) throw new Error(`there is no ${key}`);
  return bytes;
}

/** Of the same size, and with the same end: what is in between is no longer right. */
function withoutMiddle(bytes: Buffer): Buffer {
  return Buffer.from(bytes).fill(0, 8, 40);
}

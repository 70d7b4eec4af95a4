/** A small repository with everything that a cluster stores, made as PostgreSQL writes it, to be damaged in every way. */
import { segmentName } from '../../src/postgres/wal-name.ts';
import { parseHead, type ObjectAbout } from '../../src/repository/object-head.ts';
import { timelineId } from '../../src/postgres/timeline.ts';
import { parseWalName } from '../../src/postgres/wal-name.ts';
import { formatLsn } from '../../src/postgres/lsn.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { IDENTITY_KEY, parseWalKey, partialKey } from '../../src/repository/layout.ts';
import { decodeObject, encodeObject } from '../../src/repository/object-codec.ts';
import { sha256 } from '../../src/stream/checksum.ts';
import { SYSTEM_ID, walObject } from './file-repository.ts';
import { SeededRandom } from './seeded-random.ts';
import { inSegment, putBackup } from './stored-backup.ts';
import { WalBuilder } from './wal-builder.ts';

const MIB = 1024 * 1024;

export const BACKUP_ID = '20261122T174500Z-full';
const IDENTITY = { format: 1 as const, systemId: SYSTEM_ID, createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' };

export function identityOf(systemId: bigint): Buffer {
  return formatIdentity({ ...IDENTITY, systemId });
}

/** `wal/00000001/0000000100000000/000000010000000000000005.zst` */
export function segmentKey(timeline: number, segno: number): string {
  return walObject(segmentName(timelineId(timeline), BigInt(segno), MIB), '').key;
}

export const historyKey = (timeline: number): string => `wal/0000000${timeline}.history.zst`;

/** By key. One backup on timeline 1; segments 2 to 8, where timeline 2 leaves it; 8 to 11 of that, where timeline 3 leaves it; 11 to 13 of that. */
export async function damageable(): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>([[IDENTITY_KEY, identityOf(SYSTEM_ID)]]);
  const put = (key: string, bytes: Uint8Array | string): Promise<void> => {
    objects.set(key, Buffer.from(bytes as Uint8Array));
    return Promise.resolve();
  };
  const { segments, partials, histories } = clusterWal();
  for (const [key, plain] of segments) objects.set(key, described(key, plain));
  for (const { name, plain } of partials) {
    const file = parseWalName(name);
    if (file?.kind !== 'partial') throw new Error(name);
    const key = partialKey(file, sha256(plain));
    objects.set(key, described(key, plain));
  }
  for (const [timeline, text] of histories) objects.set(historyKey(timeline), described(historyKey(timeline), text));
  await putBackup({ put }, { id: BACKUP_ID, startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
  return objects;
}

/** An object with this content, under this key. */
export function described(key: string, plain: string | Buffer, about: Partial<ObjectAbout> = {}): Buffer {
  const file = parseWalKey(key)?.file;
  if (file === undefined) throw new Error(key);
  const { kind, name } = file;
  const bytes = Buffer.from(plain as Buffer);
  return Buffer.from(encodeObject(bytes, { kind, name, systemId: String(SYSTEM_ID), ...about }, 1).bytes);
}

/** The same object with another content, as well described as before. */
export function withContent(key: string, stored: Buffer, change: (plain: Buffer) => Buffer): Buffer {
  const { kind, name, systemId } = parseHead(stored, key).head;
  const plain = Buffer.from(decodeObject(stored, key, MIB).plain);
  return Buffer.from(encodeObject(change(plain), { kind, name, systemId }, 1).bytes);
}

function clusterWal(): {
  segments: Map<string, Buffer>;
  partials: { name: string; plain: Buffer }[];
  histories: [timeline: number, text: string][];
} {
  const random = new SeededRandom(1);
  const wal = new WalBuilder({ segno: 2n, segments: 12, systemId: SYSTEM_ID, magic: 0xd110, previous: 0n });
  const writeUpTo = (segno: number, offset: number): void => {
    while (wal.at < (segno - 2) * MIB + offset) {
      const size = random.oneIn(4) ? random.between(1000, 60_000) : random.between(0, 200);
      wal.record({ data: Buffer.alloc(size, random.below(256)) });
    }
  };
  const partials: { name: string; plain: Buffer }[] = [];
  const leave = (timeline: number, segno: number): string => {
    const name = `${segmentName(timelineId(timeline), BigInt(segno), MIB)}.partial`;
    partials.push({ name, plain: wal.segment(segno - 2) });
    return `${timeline}\t${formatLsn(wal.promote(timeline + 1))}\tno recovery target specified\n`;
  };
  writeUpTo(4, 500);
  wal.switchSegment();
  writeUpTo(8, 300_000);
  const one = leave(1, 8);
  writeUpTo(11, 700_000);
  const two = `${one}${leave(2, 11)}`;
  writeUpTo(13, 10_000);
  wal.switchSegment();
  const segments = new Map<string, Buffer>();
  for (const [timeline, first, last] of [
    [1, 2, 7],
    [2, 8, 10],
    [3, 11, 13],
  ] as const) {
    for (let segno = first; segno <= last; segno += 1)
      segments.set(segmentKey(timeline, segno), wal.segment(segno - 2));
  }
  return {
    segments,
    partials,
    histories: [
      [2, one],
      [3, two],
    ],
  };
}

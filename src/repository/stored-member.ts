import type { CallOptions } from '../store/store.ts';
import { sha256 } from '../stream/checksum.ts';
import { Untar, type TarEntry } from '../stream/untar.ts';
import { FrameReader } from '../stream/zstd.ts';
import { oldestAuthenticPart } from './authentic-part.ts';
import type { BackupRecord, FrameRecord, PartRecord } from './backup-record.ts';
import { partKey } from './layout.ts';
import { damaged, namingObject } from './object-head.ts';
import type { Repository } from './repository.ts';

/** More than any label has. */
const SMALL_BYTES = 64 * 1024;

/** One file of a backup: where it lies, by its record. `undefined`: the backup has no such file. */
export function memberPlace(
  { parts }: Pick<BackupRecord, 'parts'>,
  path: string,
): { part: PartRecord; frame: FrameRecord } | undefined {
  // What people look for by name lies in the last part.
  for (const part of parts.toReversed()) {
    const frame = part.frames.find(({ files }) => files.some((file) => file.path === path));
    if (frame !== undefined) return { part, frame };
  }
  return undefined;
}

/**
 * The content of one small file of a backup, read by its frame alone and proven by its digest (64 hex digits, of the manifest;
 * `undefined`: something else proves it). `undefined`: the part is not stored. Throws `damaged`, also where it is longer than `SMALL_BYTES`.
 */
export async function readMember(
  { store, url }: Repository,
  { id }: Pick<BackupRecord, 'id'>,
  wanted: { path: string; sha256: string | undefined; place: NonNullable<ReturnType<typeof memberPlace>> },
  { signal }: CallOptions,
): Promise<Buffer | undefined> {
  const { part, frame } = wanted.place;
  const key = partKey(id, part.number);
  const range = { offset: frame.offset, bytes: frame.storedBytes };
  return await oldestAuthenticPart(store, key, part, { signal }, async (which) => {
    const opened = await store.open(key, { signal, range, ...which });
    if (opened === undefined) return undefined;
    const content = await contentOf(opened.chunks, wanted.path, frame, `${url}/${key}`);
    if (wanted.sha256 === undefined || sha256(content) === wanted.sha256) return content;
    throw damaged(`${url}/${key}`, `${wanted.path} in it is not what was backed up`);
  });
}

async function contentOf(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  { plainBytes }: FrameRecord,
  object: string,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let inside = false;
  let left = plainBytes;
  let kept = 0;
  const untar = new Untar({
    begin: (entry: TarEntry) => (inside = entry.kind === 'file' && entry.path === path),
    data(chunk) {
      if (!inside) return;
      kept += chunk.length;
      if (kept > SMALL_BYTES) throw damaged(object, `${path} in it is longer than ${SMALL_BYTES} bytes`);
      pieces.push(Buffer.from(chunk));
    },
    end: () => (inside = false),
  });
  const frames = new FrameReader();
  try {
    for await (const chunk of chunks) {
      frames.write(chunk, (bytes) => {
        left -= bytes.length;
        if (left < 0) throw damaged(object, `a frame of it holds more than ${plainBytes} bytes`);
        untar.write(bytes);
      });
    }
    frames.end();
  } catch (error) {
    throw namingObject(error, object);
  }
  return Buffer.concat(pieces);
}

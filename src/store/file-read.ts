import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { systemCode, WalholdError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import { rangeBounds } from './byte-range.ts';
import { fileStoreError } from './file-errors.ts';
import { objectInfo } from './file-info.ts';
import { newRoom } from '../base/room.ts';
import type { ByteRange, CallOptions, OpenedObject, OpeningOptions } from './store.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Up to here a reading is done at once: open, fstat, read, close, and no descriptor to forget. */
const AT_ONCE_BYTES = 256 * 1024;
/** Not through a symbolic link; and a FIFO that somebody put there must not hang us. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** `now` (ms) decides which retention has run out. */
export interface ReadFileOptions extends CallOptions {
  range: ByteRange | undefined;
  room: OpeningOptions['room'];
  now: number;
}

/** Opens one file of a repository; `undefined` for a directory, which is no object. System errors come as they are. */
export async function readFileObject(
  path: string,
  key: string,
  { signal, range, room, now }: ReadFileOptions,
): Promise<OpenedObject | undefined> {
  const opening = openForReading(path);
  const handle = await abortable(signal, opening).catch((error: unknown) => {
    opening.then((late) => late.close()).catch(() => undefined);
    throw error;
  });
  let keep = false;
  try {
    const stats = await abortable(signal, handle.stat({ bigint: true }));
    if (stats.isDirectory()) return undefined;
    if (!stats.isFile()) throw new WalholdError('damaged', `${path} is not a regular file`);
    const info = objectInfo(key, stats, now);
    const { from, to } = rangeBounds(info.bytes, range);
    if (to - from > AT_ONCE_BYTES) {
      keep = true;
      return { info, chunks: chunks({ handle, path, signal }, { from, to }, room) };
    }
    const bytes = await readFully({ handle, path, signal }, from, newRoom(to - from));
    return { info, chunks: once(bytes) };
  } finally {
    if (!keep) handle.close().catch(() => undefined);
  }
}

/** Leaves the access time alone, which says how long the file is retained, as far as this user may. */
async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, FLAGS | constants.O_NOATIME);
  } catch (error) {
    if (systemCode(error) !== 'EPERM') throw error;
    return open(path, FLAGS);
  }
}

interface Opened {
  handle: FileHandle;
  path: string;
  signal: AbortSignal;
}

/** One behind the other in the room, or each in memory of its own. */
async function* chunks(
  file: Opened,
  { from, to }: { from: number; to: number },
  room: OpeningOptions['room'],
): AsyncGenerator<Uint8Array> {
  try {
    const all = room?.(to - from);
    for (let at = from; at < to;) {
      const bytes = Math.min(CHUNK_BYTES, to - at);
      const place = all?.subarray(at - from, at - from + bytes) ?? newRoom(bytes);
      yield await readFully(file, at, place);
      at += bytes;
    }
  } finally {
    file.handle.close().catch(() => undefined);
  }
}

// eslint-disable-next-line typescript/require-await -- one chunk in the shape of many
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}

/** Fills the place with what begins at `position`. */
async function readFully({ handle, path, signal }: Opened, position: number, place: Buffer): Promise<Buffer> {
  for (let done = 0; done < place.length;) {
    const reading = handle.read(place, done, place.length - done, position + done);
    const { bytesRead } = await abortable(signal, reading).catch((error: unknown) => {
      throw signal.aborted ? error : fileStoreError(`could not read ${path}`, error);
    });
    if (bytesRead === 0) throw new WalholdError('unreachable', `${path} ended before its size`);
    done += bytesRead;
  }
  return place;
}

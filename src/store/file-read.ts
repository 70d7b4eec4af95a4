import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { systemCode, WalholdError } from '../base/errors.ts';
import { abortable } from './abortable.ts';
import { rangeBounds } from './byte-range.ts';
import { fileStoreError } from './file-errors.ts';
import { objectInfo } from './file-info.ts';
import type { ByteRange, CallOptions, OpenedObject } from './store.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Up to here a reading is done at once: open, fstat, read, close, and no descriptor to forget. */
const AT_ONCE_BYTES = 256 * 1024;
/** Not through a symbolic link; and a FIFO that somebody put there must not hang us. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** `now` (ms) decides which retention has run out. */
export interface ReadFileOptions extends CallOptions {
  range: ByteRange | undefined;
  now: number;
}

/** Opens one file of a repository; `undefined` for a directory, which is no object. System errors come as they are. */
export async function readFileObject(
  path: string,
  key: string,
  { signal, range, now }: ReadFileOptions,
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
      return { info, chunks: chunks(handle, path, from, to, signal) };
    }
    const bytes = await readFully(handle, path, from, to - from, signal);
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

async function* chunks(
  handle: FileHandle,
  path: string,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for (let at = from; at < to;) {
      const bytes = await readFully(handle, path, at, Math.min(CHUNK_BYTES, to - at), signal);
      at += bytes.byteLength;
      yield bytes;
    }
  } finally {
    handle.close().catch(() => undefined);
  }
}

// eslint-disable-next-line typescript/require-await -- one chunk in the shape of many
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}

async function readFully(
  handle: FileHandle,
  path: string,
  position: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    const reading = handle.read(buffer, done, length - done, position + done);
    const { bytesRead } = await abortable(signal, reading).catch((error: unknown) => {
      throw signal.aborted ? error : fileStoreError(`could not read ${path}`, error);
    });
    if (bytesRead === 0) throw new WalholdError('unreachable', `${path} ended before its size`);
    done += bytesRead;
  }
  return buffer;
}

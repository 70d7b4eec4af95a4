import { fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { ioError, systemCode } from '../../base/errors.ts';
import { relationFile, type RelationFile } from '../../postgres/relation-file.ts';
import { below, type DataPath } from '../../server/walk-data.ts';

/** A file of the data directory, open for reading. */
export interface OpenSource {
  fd: number;
  path: DataPath;
  /** For messages, and to tell relations by. */
  name: string;
  relation: RelationFile | undefined;
  /** As it was opened. */
  stats: Stats;
}

/** `undefined`: it has vanished. Throws `io`. */
export function openSource(dataDirectory: string, path: DataPath): OpenSource | undefined {
  return orVanished(below(dataDirectory, path), (one) => {
    const fd = openSync(one, 'r');
    const name = path.toString('latin1');
    return { fd, path, name, relation: relationFile(name), stats: fstatSync(fd) };
  });
}

/** Up to the chunk's end or the file's; answers how many bytes came. Throws `io`. */
export function readFully({ fd, name }: OpenSource, chunk: Buffer, position: number): number {
  let done = 0;
  try {
    while (done < chunk.length) {
      const bytes = readSync(fd, chunk, done, chunk.length - done, position + done);
      if (bytes === 0) break;
      done += bytes;
    }
    return done;
  } catch (error) {
    throw ioError(`could not read ${name}`, error);
  }
}

export function orVanished<T>(path: string | Buffer, look: (path: string | Buffer) => T): T | undefined {
  try {
    return look(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not open ${path.toString()}`, error);
  }
}

import { createHash, hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import { ioError, systemCode } from '../../base/errors.ts';
import type { AccountNames } from '../../base/account-names.ts';
import type { Clock } from '../../base/clock.ts';
import { firstBlock, relationFile, type RelationFile } from '../../postgres/relation-file.ts';
import type { PartWriter } from '../../repository/part-writer.ts';
import { below, type DataPath } from '../../server/walk-data.ts';
import { tarHeader, tarPadding } from '../../stream/tar-header.ts';
import { settlePages } from './settle-pages.ts';
import type { CopiedFile, CopiedFrame, CopiedUnit, CopyUnit, ThreadInput } from './thread-protocol.ts';

export interface FileCopierDeps {
  dataDirectory: string;
  pages: ThreadInput['pages'];
  names: AccountNames;
  clock: Clock;
  signal: AbortSignal;
  /** Called after each so many plain bytes: counts them, and waits where a rate is to be kept. */
  advanced: (bytes: number) => Promise<void>;
}

/** Read at once. */
const READ_BYTES = 1024 * 1024;
/** A run of small files with their headers is put together in the same buffer. */
const BUFFER_BYTES: number = READ_BYTES + 128 * 1024;

interface Source {
  fd: number;
  path: DataPath;
  name: string;
  /** `undefined`: its pages, if it has any, carry no checksums. */
  relation: RelationFile | undefined;
  stats: Stats;
}

/** Copies files of the data directory into the frames of a part: reads, checks pages, hashes, compresses. One buffer serves all. */
export class FileCopier {
  readonly #deps: FileCopierDeps;
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #run: CopiedFile[] = [];
  #used = 0;
  #done: { frames: CopiedFrame[]; badPages: { path: string; block: number }[] } = { frames: [], badPages: [] };

  constructor(deps: FileCopierDeps) {
    this.#deps = deps;
  }

  /** `part`: the number of the part that `writer` writes. Files that have vanished are passed over. Throws `io`. */
  async copy(unit: CopyUnit, writer: PartWriter, part: number): Promise<CopiedUnit> {
    this.#done = { frames: [], badPages: [] };
    if (unit.kind === 'directories') await this.#copyDirectories(unit.paths, writer, part);
    else for (const path of unit.paths) await this.#copyFile(path, writer, part);
    await this.#flushRun(writer, part);
    return this.#done;
  }

  async #copyFile(path: DataPath, writer: PartWriter, part: number): Promise<void> {
    const source = openSource(this.#deps.dataDirectory, path);
    if (source === undefined) return;
    try {
      const header = this.#header(path, 'file', source.stats);
      const total = header.length + source.stats.size + tarPadding(source.stats.size);
      if (this.#used + total > this.#buffer.length) await this.#flushRun(writer, part);
      if (total > this.#buffer.length) await this.#copyAlone(source, header, total, writer, part);
      else await this.#addToRun(source, header);
    } finally {
      closeSync(source.fd);
    }
  }

  async #addToRun(source: Source, header: Buffer): Promise<void> {
    const { size } = source.stats;
    const at = this.#used + header.length;
    this.#buffer.set(header, this.#used);
    const content = this.#buffer.subarray(at, at + size);
    await this.#fill(source, content, 0);
    this.#used = at + size + tarPadding(size);
    this.#buffer.fill(0, at + size, this.#used);
    this.#run.push(entry(source, at, hash('sha256', content)));
  }

  async #flushRun(writer: PartWriter, part: number): Promise<void> {
    if (this.#used === 0) return;
    writer.beginFrame(this.#used);
    writer.write(this.#buffer.subarray(0, this.#used));
    this.#done.frames.push({ ...writer.endFrame(), part, files: this.#run });
    this.#run = [];
    this.#used = 0;
    await writer.ready();
  }

  async #copyAlone(source: Source, header: Buffer, total: number, writer: PartWriter, part: number): Promise<void> {
    const { size } = source.stats;
    const digest = createHash('sha256');
    writer.beginFrame(total);
    writer.write(header);
    for (let position = 0; position < size; position += READ_BYTES) {
      const chunk = this.#buffer.subarray(0, Math.min(READ_BYTES, size - position));
      await this.#fill(source, chunk, position);
      digest.update(chunk);
      writer.write(chunk);
      await writer.ready();
    }
    writer.write(Buffer.alloc(tarPadding(size)));
    const files = [entry(source, header.length, digest.digest('hex'))];
    this.#done.frames.push({ ...writer.endFrame(), part, files });
  }

  /** Fills the chunk from the file, with zeros where that has shrunk, and checks the pages in it. */
  async #fill(source: Source, chunk: Buffer, position: number): Promise<void> {
    const { signal, clock, pages } = this.#deps;
    signal.throwIfAborted();
    chunk.fill(0, readFully(source, chunk, position));
    const { relation } = source;
    if (pages !== undefined && relation !== undefined) {
      const { pageBytes, blocksPerFile } = pages;
      const read = (into: Buffer, at: number): number => readFully(source, into, at);
      const file = { firstBlock: firstBlock(relation, blocksPerFile), pageBytes, read, clock, signal };
      for (const block of await settlePages(chunk, position, file)) {
        this.#done.badPages.push({ path: source.name, block });
      }
    }
    await this.#deps.advanced(chunk.length);
  }

  async #copyDirectories(paths: readonly DataPath[], writer: PartWriter, part: number): Promise<void> {
    const headers = paths.flatMap((path) => {
      // Links that stand for directories (pg_wal, tablespaces) are followed.
      const stats = orVanished(below(this.#deps.dataDirectory, path), (one) => statSync(one));
      return stats === undefined ? [] : [this.#header(path, 'directory', stats)];
    });
    const bytes = Buffer.concat(headers);
    if (bytes.length === 0) return;
    writer.beginFrame(bytes.length);
    writer.write(bytes);
    this.#done.frames.push({ ...writer.endFrame(), part, files: [] });
    await writer.ready();
  }

  #header(path: DataPath, kind: 'file' | 'directory', stats: Stats): Buffer {
    const { names } = this.#deps;
    const { uid, gid, mode } = stats;
    const size = kind === 'file' ? stats.size : 0;
    const owner = { uid, gid, user: names.user(uid), group: names.group(gid) };
    return tarHeader({ name: path, kind, size, mode, modifiedAt: seconds(stats), ...owner });
  }
}

function entry({ path, stats }: Source, at: number, sha256: string): CopiedFile {
  return { path, size: stats.size, at, sha256, modifiedAt: seconds(stats) };
}

function seconds(stats: Stats): number {
  return Math.floor(stats.mtimeMs / 1000);
}

/** `undefined`: it has vanished. */
function openSource(dataDirectory: string, path: DataPath): Source | undefined {
  const full = below(dataDirectory, path);
  return orVanished(full, (one) => {
    const fd = openSync(one, 'r');
    const name = path.toString('latin1');
    return { fd, path, name, relation: relationFile(name), stats: fstatSync(fd) };
  });
}

/** Up to the chunk's end or the file's; answers how many bytes came. */
function readFully({ fd, name }: Source, chunk: Buffer, position: number): number {
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

function orVanished<T>(path: string | Buffer, look: (path: string | Buffer) => T): T | undefined {
  try {
    return look(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw ioError(`could not open ${path.toString()}`, error);
  }
}

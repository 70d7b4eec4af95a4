import { createHash, hash } from 'node:crypto';
import { closeSync, statSync, type Stats } from 'node:fs';
import type { AccountNames } from '../../base/account-names.ts';
import type { Clock } from '../../base/clock.ts';
import { firstBlock } from '../../postgres/relation-file.ts';
import type { PartWriter } from '../../repository/part-writer.ts';
import { below, type DataPath } from '../../server/walk-data.ts';
import { tarHeader, tarPadding } from '../../stream/tar-header.ts';
import { findChangedBlocks, isOlderThanParent } from './changed-blocks.ts';
import { blocksWithin, incrementalContent, type FileContent } from './file-content.ts';
import { openSource, orVanished, readFully, type OpenSource } from './open-source.ts';
import { settlePages } from './settle-pages.ts';
import type {
  BlockCounts,
  ChangedFile,
  CopiedFile,
  CopiedFrame,
  CopiedUnit,
  CopyUnit,
  IncrementInput,
  ThreadInput,
} from './thread-protocol.ts';

export interface FileCopierDeps {
  dataDirectory: string;
  pages: ThreadInput['pages'];
  increment: ThreadInput['increment'];
  names: AccountNames;
  clock: Clock;
  signal: AbortSignal;
  /** Called after each so many plain bytes: counts them, and waits where a rate is to be kept. */
  advanced: (bytes: number) => Promise<void>;
}

/** Read at once: so much stays in a processor's own cache while it is checked, digested and compressed. */
const READ_BYTES = 256 * 1024;
/** After so much the uploads get their turn. */
const TURN_BYTES = 1024 * 1024;
/** A run of small files with their headers is put together in the same buffer. */
const BUFFER_BYTES: number = 1024 * 1024 + 128 * 1024;

/** Copies files of the data directory into the frames of a part: reads, checks pages, hashes, compresses. One buffer serves all. */
export class FileCopier {
  readonly #deps: FileCopierDeps;
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #run: CopiedFile[] = [];
  #used = 0;
  #done: { frames: CopiedFrame[]; badPages: { path: string; block: number }[]; blocks: BlockCounts } = nothing();

  constructor(deps: FileCopierDeps) {
    this.#deps = deps;
  }

  /** `part`: the number of the part that `writer` writes. Files that have vanished are passed over. Throws `io`. */
  async copy(unit: CopyUnit, writer: PartWriter, part: number): Promise<CopiedUnit> {
    this.#done = nothing();
    switch (unit.kind) {
      case 'directories':
        await this.#copyDirectories(unit.paths, writer, part);
        break;
      case 'files':
        for (const path of unit.paths) await this.#copyFile({ path }, writer, part);
        break;
      case 'changes':
        for (const file of unit.files) await this.#copyFile({ path: file.path, changed: file }, writer, part);
    }
    await this.#flushRun(writer, part);
    return this.#done;
  }

  async #copyFile(
    { path, changed }: { path: DataPath; changed?: ChangedFile },
    writer: PartWriter,
    part: number,
  ): Promise<void> {
    const source = openSource(this.#deps.dataDirectory, path);
    if (source === undefined) return;
    try {
      const content = await this.#contentOf(source, changed);
      const header = this.#header(content.path, { kind: 'file', size: content.size }, source.stats);
      const total = header.length + content.size + tarPadding(content.size);
      const member = { content, header, modifiedAt: seconds(source.stats) };
      if (this.#used + total > this.#buffer.length) await this.#flushRun(writer, part);
      if (total > this.#buffer.length) await this.#copyAlone(member, total, writer, part);
      else await this.#addToRun(member);
    } finally {
      closeSync(source.fd);
    }
  }

  /** The whole file, or its changed blocks where that is less. */
  async #contentOf(source: OpenSource, changed: ChangedFile | undefined): Promise<FileContent> {
    const { path, relation, stats } = source;
    const fill = (chunk: Buffer, position: number): Promise<void> => this.#fill(source, chunk, position);
    const whole = { path, size: stats.size, fill };
    const { increment } = this.#deps;
    if (increment === undefined || relation?.fork !== 'main') return whole;
    const fileBlocks = stats.size / increment.pageBytes;
    // Half a page at the end is one that is just being added.
    if (!Number.isInteger(fileBlocks)) return whole;
    const blocks =
      changed === undefined ? undefined : await this.#changedBlocks(source, changed, fileBlocks, increment);
    const file = { path: source.name, fileBlocks, pageBytes: increment.pageBytes };
    const content = blocks === undefined ? undefined : incrementalContent(file, blocks, fill);
    this.#done.blocks.all += fileBlocks;
    this.#done.blocks.copied += content === undefined || blocks === undefined ? fileBlocks : blocks.length;
    return content ?? whole;
  }

  /** `undefined`: all may have changed. */
  async #changedBlocks(
    source: OpenSource,
    { blocks }: ChangedFile,
    fileBlocks: number,
    increment: IncrementInput,
  ): Promise<Uint32Array | undefined> {
    if (blocks !== undefined) return blocksWithin(blocks, fileBlocks);
    if (!isOlderThanParent(source, increment)) return undefined;
    return await findChangedBlocks(source, { ...this.#deps, increment });
  }

  async #addToRun({ content, header, modifiedAt }: Member): Promise<void> {
    const { path, size } = content;
    const at = this.#used + header.length;
    this.#buffer.set(header, this.#used);
    const bytes = this.#buffer.subarray(at, at + size);
    await content.fill(bytes, 0);
    this.#used = at + size + tarPadding(size);
    this.#buffer.fill(0, at + size, this.#used);
    this.#run.push({ path, size, at, sha256: hash('sha256', bytes), modifiedAt });
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

  async #copyAlone(
    { content, header, modifiedAt }: Member,
    total: number,
    writer: PartWriter,
    part: number,
  ): Promise<void> {
    const { path, size } = content;
    const digest = createHash('sha256');
    writer.beginFrame(total);
    writer.write(header);
    for (let position = 0; position < size; position += READ_BYTES) {
      const chunk = this.#buffer.subarray(0, Math.min(READ_BYTES, size - position));
      await content.fill(chunk, position);
      digest.update(chunk);
      writer.write(chunk);
      if ((position + chunk.length) % TURN_BYTES === 0) await writer.ready();
    }
    writer.write(Buffer.alloc(tarPadding(size)));
    const files = [{ path, size, at: header.length, sha256: digest.digest('hex'), modifiedAt }];
    this.#done.frames.push({ ...writer.endFrame(), part, files });
  }

  /** Fills the chunk from the file, with zeros where that has shrunk, and checks the pages in it. */
  async #fill(source: OpenSource, chunk: Buffer, position: number): Promise<void> {
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
      return stats === undefined ? [] : [this.#header(path, { kind: 'directory', size: 0 }, stats)];
    });
    const bytes = Buffer.concat(headers);
    if (bytes.length === 0) return;
    writer.beginFrame(bytes.length);
    writer.write(bytes);
    this.#done.frames.push({ ...writer.endFrame(), part, files: [] });
    await writer.ready();
  }

  #header(path: DataPath, { kind, size }: { kind: 'file' | 'directory'; size: number }, stats: Stats): Buffer {
    const { names } = this.#deps;
    const { uid, gid, mode } = stats;
    const owner = { uid, gid, user: names.user(uid), group: names.group(gid) };
    return tarHeader({ name: path, kind, size, mode, modifiedAt: seconds(stats), ...owner });
  }
}

interface Member {
  content: FileContent;
  header: Buffer;
  /** Seconds since 1970. */
  modifiedAt: number;
}

function nothing(): { frames: CopiedFrame[]; badPages: { path: string; block: number }[]; blocks: BlockCounts } {
  return { frames: [], badPages: [], blocks: { all: 0, copied: 0 } };
}

function seconds(stats: Stats): number {
  return Math.floor(stats.mtimeMs / 1000);
}

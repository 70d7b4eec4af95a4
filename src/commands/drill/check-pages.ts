import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ioError } from '../../base/errors.ts';
import type { ControlFile } from '../../postgres/control-file.ts';
import { checkPages } from '../../postgres/page-checksum.ts';
import { firstBlock, relationFile } from '../../postgres/relation-file.ts';
import type { DrillCheck } from '../../repository/drill-record.ts';
import { below, walkData, type DataPath } from '../../server/walk-data.ts';

export const PAGES_CHECK = 'page_checksums';

const CHUNK_BYTES = 1024 * 1024;
const MOST_NAMED = 10;

/** Checks every page of the relations of a server that was shut down: none of them is being written. */
export async function checkPageFiles(
  dataDirectory: string,
  control: ControlFile,
  { major, signal }: { major: number; signal: AbortSignal },
): Promise<DrillCheck> {
  const { dataChecksumVersion, catalogVersion } = control;
  if (dataChecksumVersion === 0) {
    return { name: PAGES_CHECK, ok: true, detail: 'not to be had: the cluster has no page checksums' };
  }
  const { files } = await walkData(dataDirectory, { versionDirectory: `PG_${major}_${catalogVersion}`, signal });
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const bad: string[] = [];
  let pages = 0;
  for (const { path } of files) {
    for (const { blocks, count } of pagesOf(dataDirectory, path, control, chunk)) {
      pages += count;
      for (const block of blocks) bad.push(`block ${block} of ${path.toString()}`);
      await nextTurn();
      signal.throwIfAborted();
    }
  }
  if (bad.length === 0) return { name: PAGES_CHECK, ok: true, detail: `${pages} pages are well` };
  const more = bad.length > MOST_NAMED ? `, and ${bad.length - MOST_NAMED} more` : '';
  const named = bad.slice(0, MOST_NAMED).join(', ');
  return { name: PAGES_CHECK, ok: false, detail: `${bad.length} of ${pages} pages are damaged: ${named}${more}` };
}

/** Chunk by chunk: how many pages it has, and which of them are damaged. Nothing of a file that is no relation's. */
function* pagesOf(
  dataDirectory: string,
  path: DataPath,
  { blockBytes, blocksPerFile }: ControlFile,
  chunk: Buffer,
): Generator<{ blocks: number[]; count: number }> {
  const file = typeof path === 'string' ? relationFile(path) : undefined;
  if (file === undefined) return;
  const first = firstBlock(file, blocksPerFile);
  const fd = open(below(dataDirectory, path));
  try {
    const { size } = fstatSync(fd);
    for (let position = 0; position < size; position += chunk.length) {
      const read = readSync(fd, chunk, 0, chunk.length, position);
      const from = first + position / blockBytes;
      const blocks = checkPages(chunk.subarray(0, read), from, blockBytes).map((page) => from + page);
      yield { blocks, count: Math.floor(read / blockBytes) };
      if (read < chunk.length) return;
    }
  } catch (error) {
    throw ioError(`could not read ${path.toString()}`, error);
  } finally {
    closeSync(fd);
  }
}

function open(path: string | Buffer): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    throw ioError(`could not read ${path.toString()}`, error);
  }
}

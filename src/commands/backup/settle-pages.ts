import type { Clock } from '../../base/clock.ts';
import { checkPages } from '../../postgres/page-checksum.ts';

export interface PagesOfFile {
  /** Of the file's first page in its fork. */
  firstBlock: number;
  pageBytes: number;
  /** Reads into `into` at `position` of the file; answers how many bytes came. */
  read: (into: Buffer, position: number) => number;
  clock: Clock;
  signal: AbortSignal;
}

/** With what was read first: a page that stays as it is for so many looks is not being written. */
const LOOKS = 5;
const BETWEEN_LOOKS_MS = 100;

/**
 * Checks the pages of `chunk`, which was read at `position` of a relation's file, and answers the block numbers of those that are
 * damaged. A page with a wrong checksum is read again until its bytes change (it was torn by the server's write: replay mends it,
 * and `chunk` gets the newer bytes) or five looks are over.
 */
export async function settlePages(chunk: Buffer, position: number, file: PagesOfFile): Promise<number[]> {
  const { pageBytes } = file;
  const blockOf = (page: number): number => file.firstBlock + position / pageBytes + page;
  let suspects = checkPages(chunk, blockOf(0), pageBytes);
  if (suspects.length === 0) return [];
  const again = Buffer.allocUnsafeSlow(pageBytes);
  for (let look = 1; look < LOOKS && suspects.length > 0; look++) {
    await file.clock.sleep(BETWEEN_LOOKS_MS, file.signal);
    suspects = suspects.filter((page) => {
      const here = chunk.subarray(page * pageBytes, (page + 1) * pageBytes);
      // A file that was cut off has no such page any more.
      const gone = file.read(again, position + page * pageBytes) < pageBytes;
      if (gone || again.equals(here)) return !gone;
      again.copy(here);
      return false;
    });
  }
  return suspects.map(blockOf);
}

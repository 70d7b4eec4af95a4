import { CHECKSUM_MEMORY_BYTES, makeChecksumCode } from './page-checksum-code.ts';

/**
 * The indexes of the pages in `buffer` whose checksum does not fit; empty: all are well. `firstBlock` is the block number
 * of the first page in its relation (it is mixed into the checksum), `pageBytes` the cluster's block size. Bytes after the
 * last whole page are not looked at.
 *
 * As PostgreSQL's own base backup does (backup/basebackup.c), a page with pd_upper 0 counts as new and has no checksum:
 * all zeros, or a fresh page of which only the later sectors have reached the disk yet, which WAL replay mends.
 */
export function checkPages(buffer: Buffer, firstBlock: number, pageBytes: number): number[] {
  const pages = Math.floor(buffer.length / pageBytes);
  const most = Math.floor(CHECKSUM_MEMORY_BYTES / pageBytes);
  const bad: number[] = [];
  for (let from = 0; from < pages; from += most) {
    const count = Math.min(most, pages - from);
    lay(buffer, from * pageBytes, count * pageBytes);
    for (let page = 0; page < count; page++) {
      const at = page * pageBytes;
      if (isNewPage(at)) continue;
      const stored = (words[(at >>> 2) + 2] ?? 0) & 0xffff;
      if (code.checksum(at, pageBytes, firstBlock + from + page) !== stored) bad.push(from + page);
    }
  }
  return bad;
}

/** The checksum that this page must carry as block `block` of its relation (pg_checksum_page): 1 to 65535. */
export function pageChecksum(page: Buffer, block: number): number {
  lay(page, 0, page.length);
  return code.checksum(0, page.length, block);
}

/** The code sees its own memory alone. */
const code = makeChecksumCode();
const bytes = new Uint8Array(code.memory.buffer);
const words = new Int32Array(code.memory.buffer);

function lay(buffer: Buffer, from: number, length: number): void {
  bytes.set(buffer.subarray(from, from + length));
}

/** pd_upper is the upper half of the fourth word. */
function isNewPage(at: number): boolean {
  return (words[(at >>> 2) + 3] ?? 0) >>> 16 === 0;
}

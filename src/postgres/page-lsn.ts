import type { Lsn } from './lsn.ts';

/**
 * Which pages in `buffer` may have changed since `since`, by their indexes: those with an LSN at or behind it (pd_lsn,
 * storage/bufpage.h: the end of the last WAL record that changed the page), and all that are new (pd_upper 0, zeros as a rule),
 * which have none. Bytes after the last whole page are not looked at.
 */
export function pagesSince(buffer: Buffer, since: Lsn, pageBytes: number): number[] {
  const high = Number(since >> 32n);
  const low = Number(since & 0xffff_ffffn);
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const found: number[] = [];
  for (let page = 0, at = 0; at + pageBytes <= buffer.length; page++, at += pageBytes) {
    const pageHigh = view.getUint32(at, true);
    const newer = pageHigh > high || (pageHigh === high && view.getUint32(at + 4, true) >= low);
    if (newer || view.getUint16(at + PD_UPPER_AT, true) === 0) found.push(page);
  }
  return found;
}

const PD_UPPER_AT = 14;

import { WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { MOST_BAD_PAGES, type BadPage } from '../../repository/backup-record.ts';

const MOST_SHOWN = 20;

/** Damaged pages found so far: all are counted, the first are kept. */
export class BadPages {
  readonly list: BadPage[] = [];
  count = 0;

  add(pages: readonly BadPage[]): void {
    this.count += pages.length;
    this.list.push(...pages.slice(0, Math.max(0, MOST_BAD_PAGES - this.list.length)));
  }

  /** Lists them. Throws `damaged` unless they are let through. */
  judge(allowed: boolean, log: Log): void {
    if (this.count === 0) return;
    for (const { path, block } of this.list.slice(0, MOST_SHOWN)) {
      log.warning(`the checksum of block ${block} of ${path} is wrong`);
    }
    if (this.count > MOST_SHOWN) log.warning(`and of ${this.count - MOST_SHOWN} more blocks`);
    if (allowed) return;
    throw new WalholdError('damaged', `${this.count} pages of the data directory are damaged`, {
      detail: 'their checksums are wrong, and they stay so when they are read again',
      hint: 'Restore from an earlier backup or repair them; --allow-bad-pages takes a backup nevertheless, which names them.',
    });
  }
}

/** What the plain bytes of a WAL file say, and whether they are what the name promises. Pure. */
import { WalholdError } from '../base/errors.ts';
import { parseHistory } from '../postgres/timeline-history.ts';
import {
  checkSegment,
  describeFault,
  headerWarnings,
  parseWalHeader,
  type ExpectedSegment,
  type SegmentFault,
  type WalHeader,
} from '../postgres/wal-header.ts';
import type { WalFile } from '../postgres/wal-name.ts';

export interface WalContent {
  /** Of segments and partials; `undefined` where the first page has none that can be read. */
  header: WalHeader | undefined;
  /** Everything that contradicts the name, ready to be shown; empty: it fits. */
  faults: readonly string[];
  warnings: readonly string[];
}

/** The largest that any WAL file can be: a segment of 1 GiB. */
export const WAL_MAX_BYTES: number = 1024 ** 3;

/**
 * Judges the content by itself, its name, and what is known of the cluster. Of segments and partials the first `LONG_HEADER_BYTES`
 * suffice, with the whole size in `bytes`. Labels are free text: nothing is asked of them.
 */
export function examineWal(
  file: WalFile,
  plain: Buffer,
  expected: ExpectedSegment = {},
  bytes: number = plain.length,
): WalContent {
  switch (file.kind) {
    case 'segment':
    case 'partial':
      return examineSegment(file, plain, bytes, expected);
    case 'history':
      return { header: undefined, faults: historyFaults(file, plain), warnings: [] };
    case 'backup-label':
      return { header: undefined, faults: [], warnings: [] };
  }
}

function examineSegment(
  file: Extract<WalFile, { kind: 'segment' | 'partial' }>,
  plain: Buffer,
  bytes: number,
  expected: ExpectedSegment,
): WalContent {
  const parsed = parseWalHeader(plain);
  if (!parsed.ok) {
    const found = [describeFault(parsed.fault)];
    const harmless = file.kind === 'partial' && !SERIOUS.has(parsed.fault.field);
    return { header: undefined, faults: harmless ? [] : found, warnings: harmless ? found : [] };
  }
  const { header } = parsed;
  const faults = checkSegment(file, bytes, header, expected);
  const warnings = headerWarnings(header);
  if (file.kind === 'segment') return { header, faults: faults.map(describeFault), warnings };
  const serious = faults.filter(({ field }) => SERIOUS.has(field));
  const harmless = faults.filter(({ field }) => !SERIOUS.has(field));
  return { header, faults: serious.map(describeFault), warnings: [...warnings, ...harmless.map(describeFault)] };
}

/** The old timeline's last segment may be a recycled file that hardly was begun: of a partial only these count. */
const SERIOUS: ReadonlySet<SegmentFault['field']> = new Set(['system identifier', 'segment size', 'file size']);

function historyFaults(file: Extract<WalFile, { kind: 'history' }>, plain: Buffer): string[] {
  try {
    parseHistory(file.timeline, plain.toString('utf8'));
    return [];
  } catch (error) {
    if (error instanceof WalholdError) return [error.message];
    throw error;
  }
}

/** What the plain bytes of a WAL file say, and whether they are what the name promises. Pure. */
import { WalholdError } from '../base/errors.ts';
import { parseHistory } from '../postgres/timeline-history.ts';
import {
  checkSegment,
  describeFault,
  headerWarnings,
  parseWalHeader,
  type ExpectedSegment,
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

/** Judges the content by itself, its name, and what is known of the cluster. Labels are free text: nothing is asked of them. */
export function examineWal(file: WalFile, plain: Buffer, expected: ExpectedSegment = {}): WalContent {
  switch (file.kind) {
    case 'segment':
    case 'partial':
      return examineSegment(file, plain, expected);
    case 'history':
      return { header: undefined, faults: historyFaults(file, plain), warnings: [] };
    case 'backup-label':
      return { header: undefined, faults: [], warnings: [] };
  }
}

function examineSegment(
  file: Extract<WalFile, { kind: 'segment' | 'partial' }>,
  plain: Buffer,
  expected: ExpectedSegment,
): WalContent {
  const parsed = parseWalHeader(plain);
  if (!parsed.ok) return { header: undefined, faults: [describeFault(parsed.fault)], warnings: [] };
  const { header } = parsed;
  const faults = checkSegment(file, plain.length, header, expected).map(describeFault);
  return { header, faults, warnings: headerWarnings(header) };
}

function historyFaults(file: Extract<WalFile, { kind: 'history' }>, plain: Buffer): string[] {
  try {
    parseHistory(file.timeline, plain.toString('utf8'));
    return [];
  } catch (error) {
    if (error instanceof WalholdError) return [error.message];
    throw error;
  }
}

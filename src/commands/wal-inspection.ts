import { reasonOf, WalholdError } from '../base/errors.ts';
import { formatLsn } from '../postgres/lsn.ts';
import type { WalFile } from '../postgres/wal-name.ts';
import type { ObjectHead } from '../repository/object-head.ts';
import type { WalContent } from '../repository/wal-content.ts';
import { formatBytes } from './format-bytes.ts';
import { plainText } from './plain-text.ts';

/** The shape of `walhold wal inspect --json`. */
export interface Inspection {
  name: string;
  kind: WalFile['kind'];
  fits: boolean;
  problems: string[];
  warnings: string[];
  sha256: string | null;
  bytes: number | null;
  /** Of segments and partials. */
  header: HeaderJson | null;
  copies: CopyJson[];
}

export interface HeaderJson {
  magic: string;
  pgMajor: number | null;
  timeline: number;
  pageAddress: string;
  systemId: string;
  segmentBytes: number;
  blockBytes: number;
  remainingLength: number;
}

/** One stored object, or a version of one. `at` and `by` are the writer's own words, `storedAt` the store's. */
export interface CopyJson {
  object: string;
  /** The version's identifier, where the name has several; they come oldest first. */
  version: string | null;
  storedBytes: number | null;
  /** Plain bytes for each stored one. */
  ratio: number | null;
  storedAt: string | null;
  at: string | null;
  by: string | null;
  lockedUntil: string | null;
  sha256: string | null;
  startLsn: string | null;
  endLsn: string | null;
  firstCommitAt: string | null;
  lastCommitAt: string | null;
  commits: number | null;
  error: string | null;
}

export function inspectionOf(
  file: WalFile,
  content: { plain: Buffer; sha256: string } | undefined,
  { header, faults, warnings }: WalContent,
): Inspection {
  return {
    name: file.name,
    kind: file.kind,
    fits: faults.length === 0,
    problems: [...faults],
    warnings: [...warnings],
    sha256: content?.sha256 ?? null,
    bytes: content?.plain.length ?? null,
    header:
      header === undefined
        ? null
        : {
            magic: header.magic.toString(16).toUpperCase().padStart(4, '0'),
            pgMajor: header.major ?? null,
            timeline: header.timeline,
            pageAddress: formatLsn(header.pageAddress),
            systemId: String(header.systemId),
            segmentBytes: header.segmentBytes,
            blockBytes: header.blockBytes,
            remainingLength: header.remainingLength,
          },
    copies: [],
  };
}

export function copyJson(
  object: string,
  found: {
    version?: string | undefined;
    head?: ObjectHead;
    storedBytes?: number;
    storedAt?: string;
    error?: unknown;
  },
): CopyJson {
  const { version, head, storedBytes, storedAt, error } = found;
  return {
    object,
    version: version ?? null,
    storedBytes: storedBytes ?? null,
    ratio: head === undefined || !storedBytes ? null : Math.round((head.bytes / storedBytes) * 10) / 10,
    storedAt: storedAt ?? null,
    at: head?.at ?? null,
    by: head?.by ?? null,
    lockedUntil: null,
    sha256: head?.sha256 ?? null,
    startLsn: head?.startLsn ?? null,
    endLsn: head?.endLsn ?? null,
    firstCommitAt: head?.firstCommitAt ?? null,
    lastCommitAt: head?.lastCommitAt ?? null,
    commits: head?.commits ?? null,
    error:
      error === undefined ? null : error instanceof WalholdError ? (error.detail ?? error.message) : reasonOf(error),
  };
}

/** For people: a line for each thing that is known. */
export function describeInspection(inspection: Inspection): string {
  const { header } = inspection;
  const lines: [string, string | number | null][] = [
    ['name', inspection.name],
    ['kind', inspection.kind],
    ['fits its name', inspection.fits ? 'yes' : 'no'],
    ...inspection.problems.map((text): [string, string] => ['problem', text]),
    ...inspection.warnings.map((text): [string, string] => ['warning', text]),
    ['SHA-256', inspection.sha256],
    ['size', inspection.bytes],
  ];
  if (header !== null) {
    lines.push(
      ['page magic', `${header.magic} (${header.pgMajor === null ? 'unknown' : `PostgreSQL ${header.pgMajor}`})`],
      ['header timeline', header.timeline],
      ['page address', header.pageAddress],
      ['system identifier', header.systemId],
      ['segment size', formatBytes(header.segmentBytes)],
      ['block size', header.blockBytes],
      ['left of a record', header.remainingLength],
    );
  }
  for (const copy of inspection.copies) lines.push(['', ''], ...copyLines(copy));
  return lines
    .filter(([, value]) => value !== null)
    .map(([name, value]) => (name === '' ? '\n' : `${`${name}:`.padEnd(20)}${plainText(String(value))}\n`))
    .join('');
}

function copyLines(copy: CopyJson): [string, string | number | null][] {
  const size = copy.storedBytes === null ? null : `${copy.storedBytes} bytes, 1 for ${copy.ratio ?? '?'}`;
  return [
    ['object', copy.object],
    ['version', copy.version],
    ['error', copy.error],
    ['stored size', size],
    ['stored at', copy.storedAt],
    ['stored by', copy.by === null && copy.at === null ? null : `${copy.by ?? 'unknown'}, at ${copy.at ?? 'unknown'}`],
    ['locked until', copy.lockedUntil ?? 'not locked'],
    ['LSN range', copy.startLsn === null ? null : `${copy.startLsn} to ${copy.endLsn ?? 'unknown'}`],
    ['commits', copy.commits],
    ['first commit', copy.firstCommitAt],
    ['last commit', copy.lastCommitAt],
  ];
}

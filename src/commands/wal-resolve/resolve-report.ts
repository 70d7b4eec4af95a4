import { plainText } from '../plain-text.ts';
import type { Outcome } from './carry-out.ts';
import type { ContentComparison } from './compare-contents.ts';
import type { Verdict } from './stored-content.ts';

/** The shape of `walhold wal resolve --json`. */
export interface ResolveJson {
  name: string;
  resolved: boolean;
  /** What stands against pushing and reading the name. */
  conflict: string | null;
  /** The file in `pg_wal`. */
  local: LocalJson | null;
  /** Oldest first in each repository. */
  stored: StoredJson[];
}

export interface LocalJson {
  path: string;
  authentic: boolean;
  why: string[];
  sha256: string;
  bytes: number;
  modifiedAt: string;
}

/** `by` and `at` are the writer's own words, `storedAt` the store's. */
export interface StoredJson {
  repository: number;
  object: string;
  /** For `--remove`. */
  id: string;
  version: string | null;
  current: boolean;
  /** `null`: nobody can tell, or a delete marker. */
  authentic: boolean | null;
  marker: boolean;
  why: string[];
  sha256: string | null;
  bytes: number | null;
  storedBytes: number;
  by: string | null;
  at: string | null;
  storedAt: string;
  lock: { mode: string | null; until: string | null; hold: boolean } | null;
  /** With the local file, else with the first authentic content. */
  comparison: ContentComparison | null;
  action: Outcome['action'];
  note: string | null;
}

const AUTHENTIC: Readonly<Record<Verdict, boolean | null>> = {
  authentic: true,
  junk: false,
  unknown: null,
  marker: null,
};

export function storedJson({ content, action, note }: Outcome): StoredJson {
  const { repository, key, head, protection, verdict } = content;
  const retention = protection?.retention;
  const locked = retention !== undefined || protection?.hold === true;
  return {
    repository: repository.number,
    object: `${repository.url}/${key}`,
    id: content.id,
    version: content.version ?? null,
    current: content.current,
    authentic: AUTHENTIC[verdict],
    marker: verdict === 'marker',
    why: [...content.why],
    sha256: head?.sha256 ?? null,
    bytes: head?.bytes ?? null,
    storedBytes: content.bytes,
    by: head?.by ?? null,
    at: head?.at ?? null,
    storedAt: content.storedAt.toISOString(),
    lock: locked
      ? {
          mode: retention?.mode ?? null,
          until: retention?.until.toISOString() ?? null,
          hold: protection?.hold === true,
        }
      : null,
    comparison: content.comparison ?? null,
    action,
    note: note ?? null,
  };
}

/** For people: a block of lines for each content, then what is left of the conflict. */
export function describeResolve(result: ResolveJson): string {
  const blocks = [
    ...(result.local === null ? [] : [localLines(result.local)]),
    ...result.stored.map(storedLines),
    [['conflict', result.conflict ?? 'none'] as Line],
  ];
  return blocks
    .map((lines) =>
      lines
        .filter(([, value]) => value !== null)
        .map(([name, value]) => `${`${name}:`.padEnd(14)}${plainText(String(value))}\n`)
        .join(''),
    )
    .join('\n');
}

type Line = [name: string, value: string | number | null];

function localLines({ path, authentic, why, sha256, bytes, modifiedAt }: LocalJson): Line[] {
  return [
    ['file', path],
    ['authentic', authentic ? 'yes' : `no: ${why.join('; ')}`],
    ['SHA-256', sha256],
    ['size', bytes],
    ['written at', modifiedAt],
  ];
}

function storedLines(stored: StoredJson): Line[] {
  const { lock, comparison, by, at } = stored;
  const verdict = stored.marker
    ? 'a delete marker'
    : stored.authentic === null
      ? `unknown: ${stored.why.join('; ')}`
      : stored.authentic
        ? 'yes'
        : `no: ${stored.why.join('; ')}`;
  return [
    ['object', stored.object],
    ['id', `${stored.id}${stored.current ? ' (what the store gives)' : ''}`],
    ['authentic', verdict],
    ['SHA-256', stored.sha256],
    ['size', stored.bytes],
    ['stored size', stored.marker ? null : stored.storedBytes],
    ['stored at', stored.storedAt],
    ['stored by', by === null && at === null ? null : `${by ?? 'unknown'}, at ${at ?? 'unknown'}`],
    ['lock', lock === null ? null : lock.until === null ? 'a legal hold' : `${lock.mode ?? ''} until ${lock.until}`],
    ['compared', comparison === null ? null : describeComparison(comparison)],
    ['action', stored.note === null ? stored.action : `${stored.action}: ${stored.note}`],
  ];
}

function describeComparison({ kind, firstDifference, recordLsn, reason }: ContentComparison): string {
  if (kind === 'identical') return 'the same content';
  const where = `first difference at byte ${firstDifference ?? 0}`;
  const record = recordLsn === null ? '' : `, in the record at ${recordLsn}`;
  const tail = reason === null ? '' : ` (${reason})`;
  return `${kind === 'same-records' ? 'the same records' : 'other content'}: ${where}${record}${tail}`;
}

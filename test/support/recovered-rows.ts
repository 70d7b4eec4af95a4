import type { Cluster } from './cluster.ts';
import { payloadSql, type CommittedRow } from './load.ts';

/** What recovery must have brought and what it must not have, by what the load remembers. */
export interface Expected {
  present: (row: CommittedRow) => boolean;
  absent: (row: CommittedRow) => boolean;
}

export interface Judgement {
  /** Ids that must be there and are not. */
  missing: number[];
  /** Ids that must not be there and are. */
  surplus: number[];
  /** Ids that are there and were never sent. */
  unknown: number[];
  /** Ids whose payload is not what was sent. */
  altered: number[];
  found: number;
  /** Rows of which {@link Expected} says neither: written while the target was taken. */
  undecided: number;
}

/** Compares the load's table with what the load remembers, row for row. */
export async function judgeRows(
  cluster: Cluster,
  report: { committed: readonly CommittedRow[]; uncertain: readonly number[] },
  expected: Expected,
  { table = 'load' }: { table?: string } = {},
): Promise<Judgement> {
  const rows = await cluster.query<{ id: string; whole: boolean }>(
    `select id, payload = ${payloadSql('id', 'length(payload)')} as whole from ${table}`,
  );
  const found = new Map(rows.map(({ id, whole }) => [Number(id), whole]));
  const { committed, uncertain } = report;
  const known = new Set([...committed.map(({ id }) => id), ...uncertain]);
  const present = committed.filter((row) => expected.present(row));
  const absent = committed.filter((row) => expected.absent(row));
  return {
    missing: present.map(({ id }) => id).filter((id) => !found.has(id)),
    surplus: absent.map(({ id }) => id).filter((id) => found.has(id)),
    unknown: [...found.keys()].filter((id) => !known.has(id)),
    altered: [...found].filter(([, whole]) => !whole).map(([id]) => id),
    found: found.size,
    undecided: committed.length - present.length - absent.length,
  };
}

/** Of rows whose commits lie before an LSN, to the byte. */
export function upToLsn(position: bigint): Expected {
  return {
    present: ({ flushedLsn }) => flushedLsn !== undefined && lsnOf(flushedLsn) <= position,
    absent: ({ afterLsn }) => lsnOf(afterLsn) > position,
  };
}

export const EVERYTHING: Expected = { present: () => true, absent: () => false };

/** PostgreSQL's text of an LSN as a number. */
export function lsnOf(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** What the WAL summarizer of 17 and later has written, over SQL (catalog/system_functions; backup/walsummaryfuncs.c). */
import { WalholdError } from '../base/errors.ts';
import type { BlockChanges, RelationLocator } from '../postgres/block-changes.ts';
import { formatLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import type { WalStretch } from '../postgres/summary-cover.ts';
import { isTimelineId } from '../postgres/timeline.ts';
import type { ServerSession } from './session.ts';

/** All summaries that are there. Throws `server`. */
export async function listSummaries(session: ServerSession): Promise<WalStretch[]> {
  const rows = await session.rows(
    'list WAL summaries',
    'select tli, start_lsn::text as start, end_lsn::text as end from pg_available_wal_summaries()',
  );
  return rows.map(({ tli, start, end }) => {
    const timeline = Number(tli);
    if (!isTimelineId(timeline)) throw strange(tli);
    return { timeline, start: positionOf(start), end: positionOf(end) };
  });
}

/** How far the summarizer has read, on disk or not yet: rises while it works. Throws `server`. */
export async function summarizerPosition(session: ServerSession): Promise<Lsn> {
  const row = await session.row(
    'look at the WAL summarizer',
    'select greatest(summarized_lsn, pending_lsn)::text as position from pg_get_wal_summarizer_state()',
  );
  return positionOf(row['position']);
}

/** Blocks in one row, and rows in one answer: so many that a summary of any size passes through little memory. */
const BLOCKS_IN_ROW = 8192;
const ROWS = 256;

/** Adds what one summary tells of main forks. Throws `server`, also when the summary has been removed meanwhile. */
export async function readSummary(session: ServerSession, summary: WalStretch, changes: BlockChanges): Promise<void> {
  const what = 'read a WAL summary';
  const { timeline, start, end } = summary;
  await session.rows(
    what,
    `declare walhold_summary no scroll cursor with hold for
       select reltablespace as tablespace, reldatabase as database, relfilenode as relation, is_limit_block as limited,
              string_agg(relblocknumber::text, ',') as blocks
         from pg_wal_summary_contents(${timeline}, '${formatLsn(start)}', '${formatLsn(end)}')
        where relforknumber = 0
        group by 1, 2, 3, 4, relblocknumber / ${BLOCKS_IN_ROW}`,
    [],
    { unbounded: true },
  );
  for (let rows = await fetchRows(session, what); rows.length > 0; rows = await fetchRows(session, what)) {
    for (const row of rows) addRow(row, changes);
  }
  await session.rows(what, 'close walhold_summary');
}

type Row = Readonly<Record<string, unknown>>;

async function fetchRows(session: ServerSession, what: string): Promise<Row[]> {
  return await session.rows(what, `fetch ${ROWS} from walhold_summary`);
}

function addRow({ tablespace, database, relation, limited, blocks }: Row, changes: BlockChanges): void {
  const locator: RelationLocator = {
    tablespace: numberOf(tablespace),
    database: numberOf(database),
    relation: numberOf(relation),
  };
  const numbers = String(blocks).split(',').map(numberOf);
  if (limited === true) for (const block of numbers) changes.addLimit(locator, block);
  else changes.addBlocks(locator, numbers);
}

/** OIDs and block numbers. */
function numberOf(value: unknown): number {
  const text = String(value);
  const found = /^\d{1,10}$/.test(text) ? Number(text) : Infinity;
  if (found > 0xffff_ffff) throw strange(value);
  return found;
}

function positionOf(value: unknown): Lsn {
  const position = parseLsn(String(value));
  if (position === undefined) throw strange(value);
  return position;
}

function strange(value: unknown): WalholdError {
  return new WalholdError('server', `the server gave "${String(value)}" in a WAL summary`);
}

/** The proof of the whole way: a segment is ended on the server, and looked for in every repository. */
import { parseWalName, type SegmentFile } from '../../postgres/wal-name.ts';
import { walKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { readStoredHead } from '../../repository/stored-head.ts';
import { readArchiverStats, type ArchiverStats } from '../../server/archiver-stats.ts';
import type { ServerSession } from '../../server/session.ts';
import type { CommandContext } from '../command-context.ts';
import { failedLook, item, notChecked, settingName, type CheckItem } from './check-item.ts';
import { segmentLockCheck } from './probe-lock.ts';

const NAME = 'segment stored';
const EXPECTED = 'the segment that was just ended is in every repository';
const LEAST_WAIT_MS = 60_000;
const SEGMENT = /^[0-9A-F]{24}$/;
const LOOK_EVERY_MS = 250;
/** Then the archiver pauses for up to a minute (NUM_ARCHIVE_RETRIES, postmaster/pgarch.c). */
const TRIES_IN_A_ROW = 3;
/** Clocks apart by more than this make times of recovery doubtful. */
const MOST_SKEW_MS = 60_000;

interface Archiver {
  session: ServerSession | undefined;
  settings: ReadonlyMap<string, string> | undefined;
  /** Why waiting for it is in vain. */
  noArchiving: string | undefined;
}

export async function switchedSegmentChecks(
  context: CommandContext,
  { session, settings, noArchiving }: Archiver,
  repositories: readonly Repository[],
): Promise<CheckItem[]> {
  if (session === undefined) {
    return [notChecked(NAME, 'there is no connection to the server', EXPECTED, 'Name the server with -d.')];
  }
  const mode = settings?.get('archive_mode');
  if (mode === 'off') return [notChecked(NAME, 'archive_mode is off', EXPECTED)];
  try {
    const { recovering } = await session.row('look', 'select pg_is_in_recovery() as recovering');
    if (recovering === true) {
      return [
        notChecked(NAME, 'this server is a standby, which ends no segments', EXPECTED, 'Run this on the primary too.'),
      ];
    }
    // The archiver would be waited for in vain: it counts no command that could not be run.
    if (noArchiving !== undefined) return [notChecked(NAME, noArchiving, EXPECTED)];
    const before = await readArchiverStats(session);
    const begun = context.clock.now();
    const file = await switchSegment(session);
    if (file === undefined) return [item(NAME, false, 'the server named no segment', EXPECTED)];
    const search: Search = { context, session, file, begun, before };
    const items: CheckItem[] = [];
    for (const repository of repositories) items.push(...(await lookFor(search, repository)));
    return items;
  } catch (error) {
    return [failedLook(NAME, EXPECTED, error)];
  }
}

/** A message is written first: on an idle server there would be no segment to end. */
async function switchSegment(session: ServerSession): Promise<SegmentFile | undefined> {
  const { name } = await session.row(
    'switch to a new WAL segment',
    `select pg_walfile_name(pg_switch_wal()) as name from pg_logical_emit_message(false, 'walhold', 'check')`,
  );
  const file = typeof name === 'string' ? parseWalName(name) : undefined;
  return file?.kind === 'segment' ? file : undefined;
}

interface Search {
  context: CommandContext;
  session: ServerSession;
  file: SegmentFile;
  /** When it was ended, by this machine's clock. */
  begun: number;
  before: ArchiverStats;
}

async function lookFor(search: Search, repository: Repository): Promise<CheckItem[]> {
  const { number, store } = repository;
  const { context, file, begun } = search;
  const { clock, signal } = context;
  const name = `${settingName(number)} ${NAME}`;
  for (;;) {
    // Asked before the look: what the archiver was done with by then must be found.
    const over = await isOver(search);
    let failed: CheckItem | undefined;
    try {
      const found = await readStoredHead(store, walKey(file), { signal });
      if (found !== undefined) {
        const seconds = Math.round((clock.now() - begun) / 100) / 10;
        const skewItem = clockItem(number, found.info.storedAt.getTime(), begun, clock.now());
        const lockItems = await segmentLockCheck(repository, found.info, { signal });
        return [item(name, true, `${file.name}, ${seconds} s after it was ended`, EXPECTED), ...lockItems, skewItem];
      }
    } catch (error) {
      failed = failedLook(name, EXPECTED, error);
    }
    if (over !== undefined) return [failed ?? item(name, false, `${file.name} is not there: ${over}`, EXPECTED, HINT)];
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}

const HINT = "Look into the server's log, and whether its archive_command knows this repository.";

/** Why no more waiting would help. `undefined`: the segment may come yet. */
async function isOver({ context, session, file, begun, before }: Search): Promise<string | undefined> {
  const now = await readArchiverStats(session);
  const { archived = '' } = now;
  if (SEGMENT.test(archived) && archived !== before.archived && archived >= file.name) {
    return 'archive_command said that it is stored';
  }
  if (now.failures - before.failures >= TRIES_IN_A_ROW) {
    return `archive_command failed ${now.failures - before.failures} times, last with ${now.lastFailed ?? 'it'}, at ${now.lastFailedAt ?? 'a time unknown'}`;
  }
  const waitedMs = context.clock.now() - begun;
  const enough = waitedMs >= Math.max(LEAST_WAIT_MS, context.config.pushTimeoutMs);
  return enough ? `${Math.round(waitedMs / 1000)} s have passed` : undefined;
}

function clockItem(number: number, storedAt: number, begun: number, found: number): CheckItem {
  const skewMs = storedAt < begun ? storedAt - begun : Math.max(0, storedAt - found);
  const text = skewMs === 0 ? 'no difference seen' : `${Math.round(skewMs / 1000)} s apart`;
  const ok = Math.abs(skewMs) <= MOST_SKEW_MS;
  const hint = ok ? undefined : 'Set the clocks right (NTP): locks and recovery times go by them.';
  return item(`${settingName(number)} clock`, ok, text, `within ${MOST_SKEW_MS / 1000} s of this machine's`, hint);
}

/** What this machine tells of the archiver's lag: the files that wait, and where WAL is written. */
import { WalholdError } from '../base/errors.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { rootHistory, type TimelineHistory } from '../postgres/timeline-history.ts';
import { segmentStart } from '../postgres/wal-name.ts';
import { findOwnWal, type OwnWal } from '../server/own-wal.ts';
import { readPgWal, type PgWal } from '../server/pg-wal.ts';
import { askReadyFiles } from '../server/ready-files.ts';
import { askWalPosition, positionOfControl, type WalPosition } from '../server/wal-position.ts';
import type { CommandContext } from './command-context.ts';
import { connectServer } from './connect-server.ts';
import {
  dataDirectoryOf,
  historyOfTimeline,
  requireControlFile,
  requireSameCluster,
  type ServerOptions,
} from './local-server.ts';

export interface LocalLag {
  systemId: bigint;
  /** `undefined`: its history is not known here. */
  history: TimelineHistory | undefined;
  position: WalPosition;
  /** Where the WAL ends: as the server says, without a connection the end of the newest file. */
  end: Lsn;
  ready: { count: number; oldestAt: Date | undefined };
  /** `undefined`: without a data directory. */
  own: OwnWal | undefined;
  wal: PgWal | undefined;
  dataDirectory: string | undefined;
}

/** `undefined`: neither a data directory nor a server is named. A named server that does not answer is a warning, if there is a directory. */
export async function readLocalLag(context: CommandContext, options: ServerOptions): Promise<LocalLag | undefined> {
  const dataDirectory = dataDirectoryOf(context, options.pgdata);
  const asked = namesServer(context, options) ? await askServer(context, options, dataDirectory) : undefined;
  if (dataDirectory === undefined) {
    if (asked === undefined) return undefined;
    const { position, ready } = asked;
    const history = position.timeline === 1 ? rootHistory(position.timeline) : undefined;
    const nothing = { own: undefined, wal: undefined, dataDirectory };
    return { systemId: position.systemId, history, position, end: position.written, ready, ...nothing };
  }
  const control = await requireControlFile(dataDirectory);
  const wal = await readPgWal(dataDirectory);
  if (asked !== undefined) requireSameCluster(control, asked.position);
  const position = asked?.position ?? positionOfControl(control);
  const history = await historyOfTimeline(dataDirectory, position.timeline);
  const { systemId, segmentBytes } = control;
  const { timeline, written } = position;
  const own = await findOwnWal({ wal, history: history ?? rootHistory(timeline), systemId, segmentBytes, written });
  const newest = own.newest === undefined ? written : segmentStart(own.newest.segno + 1n, segmentBytes);
  const end = asked === undefined && newest > written ? newest : written;
  return { systemId, history, position, end, ready: readyOf(wal), own, wal, dataDirectory };
}

/** `-d`, or a variable that says where: then the server is asked. */
function namesServer({ environment }: CommandContext, { dbname }: ServerOptions): boolean {
  return dbname !== undefined || ['PGHOST', 'PGHOSTADDR', 'PGPORT'].some((name) => (environment[name] ?? '') !== '');
}

async function askServer(
  context: CommandContext,
  { dbname }: ServerOptions,
  dataDirectory: string | undefined,
): Promise<{ position: WalPosition; ready: LocalLag['ready'] } | undefined> {
  try {
    await using session = await connectServer(context, dbname);
    const position = await askWalPosition(session);
    const ready = dataDirectory === undefined ? await askReadyFiles(session) : { count: 0, oldestAt: undefined };
    return { position, ready };
  } catch (error) {
    if (dataDirectory === undefined || !(error instanceof WalholdError) || error.code !== 'server') throw error;
    context.log.warning(error.message, { detail: error.detail, hint: error.hint });
    return undefined;
  }
}

function readyOf({ ready }: PgWal): LocalLag['ready'] {
  const times = [...ready.values()];
  const oldestAt = times.reduce<Date | undefined>((low, at) => (low === undefined || at < low ? at : low), undefined);
  return { count: ready.size, oldestAt };
}

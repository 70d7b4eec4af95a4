/** What this machine tells of the archiver's lag: the files that wait, and where WAL is written. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../base/errors.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { rootHistory, type TimelineHistory } from '../postgres/timeline-history.ts';
import { segmentStart } from '../postgres/wal-name.ts';
import { readControlFile } from '../server/data-directory.ts';
import { findOwnWal, type OwnWal } from '../server/own-wal.ts';
import { readPgWal, type PgWal } from '../server/pg-wal.ts';
import type { ServerSession } from '../server/session.ts';
import { readSettings } from '../server/read-settings.ts';
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

/** What this machine tells, and whether a server was named that does not answer: that is a warning. */
export interface LocalView {
  /** `undefined`: neither a data directory nor a server that answers is named. */
  lag: LocalLag | undefined;
  serverFailed: boolean;
}

export async function readLocalView(context: CommandContext, options: ServerOptions): Promise<LocalView> {
  const named = dataDirectoryOf(context, options.pgdata);
  const isNamed = namesServer(context, options);
  const asked = isNamed ? await askServer(context, options, named) : undefined;
  const dataDirectory = named ?? asked?.dataDirectory;
  return { lag: await lagOf(dataDirectory, asked), serverFailed: isNamed && asked === undefined };
}

async function lagOf(dataDirectory: string | undefined, asked: Asked | undefined): Promise<LocalLag | undefined> {
  if (dataDirectory === undefined) {
    if (asked === undefined) return undefined;
    const { position, ready = { count: 0, oldestAt: undefined } } = asked;
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

interface Asked {
  position: WalPosition;
  /** Not asked where the directory tells. */
  ready: LocalLag['ready'] | undefined;
  /** The one named, or its own, if that is on this machine. */
  dataDirectory: string | undefined;
}

/** `undefined`: it does not answer, or not this user; why is a warning. */
async function askServer(
  context: CommandContext,
  { dbname }: ServerOptions,
  named: string | undefined,
): Promise<Asked | undefined> {
  try {
    await using session = await connectServer(context, dbname);
    const position = await askWalPosition(session);
    const dataDirectory = named ?? (await directoryHere(session, position));
    const ready = dataDirectory === undefined ? await askReadyFiles(session) : undefined;
    return { position, ready, dataDirectory };
  } catch (error) {
    if (!hasCode(error, 'server')) throw error;
    context.log.warning(error.message, { detail: error.detail, hint: error.hint });
    return undefined;
  }
}

/** Where the server says its data directory is, if that is on this machine, and this user may look into it. */
async function directoryHere(session: ServerSession, { systemId }: WalPosition): Promise<string | undefined> {
  const said = (await readSettings(session, ['data_directory'])).get('data_directory');
  if (said === undefined || !existsSync(join(said, 'PG_VERSION'))) return undefined;
  const control = await readControlFile(said).catch(() => undefined);
  return control?.systemId === systemId ? said : undefined;
}

function readyOf({ ready }: PgWal): LocalLag['ready'] {
  const times = [...ready.values()];
  const oldestAt = times.reduce<Date | undefined>((low, at) => (low === undefined || at < low ? at : low), undefined);
  return { count: ready.size, oldestAt };
}

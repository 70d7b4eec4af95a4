/** The cluster on this machine, as far as its data directory and, where one is named, a connection tell. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { WalholdError } from '../base/errors.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import { rootHistory, type TimelineHistory } from '../postgres/timeline-history.ts';
import type { TimelineId } from '../postgres/timeline.ts';
import { readControlFile } from '../server/data-directory.ts';
import { readLocalHistories } from '../server/local-histories.ts';
import { askWalPosition, positionOfControl, type WalPosition } from '../server/wal-position.ts';
import type { CommandContext } from './command-context.ts';
import { connectServer } from './connect-server.ts';

/** `-D` and `-d`, as given. */
export interface ServerOptions {
  pgdata: string | undefined;
  dbname: string | undefined;
}

/** `-D`, else `PGDATA`, else the working directory if it is one; absolute. `undefined`: none is named. Throws `not-found`. */
export function dataDirectoryOf(
  { workingDirectory, environment }: Pick<CommandContext, 'workingDirectory' | 'environment'>,
  pgdata: string | undefined,
): string | undefined {
  const inherited = environment['PGDATA'];
  const named = pgdata ?? (inherited === '' ? undefined : inherited);
  const path = resolve(workingDirectory, named ?? '.');
  if (existsSync(join(path, 'PG_VERSION'))) return path;
  if (named === undefined) return undefined;
  throw new WalholdError('not-found', `"${path}" is not a data directory`, {
    detail: 'it holds no PG_VERSION, or this user may not look into it',
    hint: 'Name the data directory with -D, and run this as the user that runs the server.',
  });
}

/** The same where there must be one. Throws `usage`. */
export function requireDataDirectory(
  context: Pick<CommandContext, 'workingDirectory' | 'environment'>,
  pgdata: string | undefined,
): string {
  const found = dataDirectoryOf(context, pgdata);
  if (found !== undefined) return found;
  throw new WalholdError('usage', 'no data directory is named', { hint: 'Name it with -D or PGDATA.' });
}

/** Throws `server` for none, a torn one, or one of a format not known here. */
export async function requireControlFile(dataDirectory: string): Promise<ControlFile> {
  const control = await readControlFile(dataDirectory);
  if (control !== undefined && 'segmentBytes' in control) return control;
  throw new WalholdError('server', `could not read pg_control in "${dataDirectory}"`, {
    detail: control === undefined ? 'there is none' : 'its format is not known to this version',
  });
}

/** Asks the server where one is named, else reads it from `pg_control`. Throws `refused` when the two are different clusters. */
export async function walPositionOf(
  context: CommandContext,
  dbname: string | undefined,
  control: ControlFile,
): Promise<WalPosition> {
  if (dbname === undefined) return positionOfControl(control);
  await using session = await connectServer(context, dbname);
  const position = await askWalPosition(session);
  requireSameCluster(control, position);
  return position;
}

/** Throws `refused` when a data directory and the server asked are different clusters. */
export function requireSameCluster(control: { systemId: bigint }, asked: { systemId: bigint }): void {
  if (control.systemId === asked.systemId) return;
  throw new WalholdError('refused', 'the data directory and the server are different clusters', {
    detail: `system identifier is ${control.systemId} in the data directory, ${asked.systemId} on the server`,
    hint: 'Name the server of this data directory with -d.',
  });
}

/** Where the timeline came from, by `pg_wal` first. `undefined`: it has ancestors that are not known here. */
export async function historyOfTimeline(
  dataDirectory: string,
  timeline: TimelineId,
): Promise<TimelineHistory | undefined> {
  if (timeline === 1) return rootHistory(timeline);
  return (await readLocalHistories(dataDirectory)).find((history) => history.timeline === timeline);
}

/** The server and the data directory that a backup is taken from, proven to belong together. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import { formatLsn } from '../../postgres/lsn.ts';
import type { ControlFile } from '../../postgres/control-file.ts';
import { readControlFile } from '../../server/data-directory.ts';
import { readCheckpoint, readServerFacts, requireSetting, type ServerFacts } from '../../server/server-facts.ts';
import type { ServerSession } from '../../server/session.ts';
import type { CommandContext } from '../command-context.ts';
import { connectServer } from '../connect-server.ts';

export interface BackupSource extends AsyncDisposable {
  session: ServerSession;
  facts: ServerFacts;
  /** Absolute. */
  dataDirectory: string;
  control: ControlFile;
}

export interface SourceOptions {
  /** `-d`. */
  connectionString: string | undefined;
  /** `-D`; `undefined`: PGDATA, else where the server says that it lies. */
  dataDirectory: string | undefined;
}

/** A checkpoint may fall between two looks; five in a row do not. */
const MOST_LOOKS = 5;

/** Connects and looks at both. Throws `server`, `refused`, `io` or `usage`. */
export async function openBackupSource(context: CommandContext, options: SourceOptions): Promise<BackupSource> {
  const { environment, workingDirectory } = context;
  const session = await connectServer(context, options.connectionString);
  try {
    const facts = await readServerFacts(session);
    requireArchiving(facts);
    const given = options.dataDirectory ?? (environment['PGDATA'] || requireSetting(facts, 'data_directory'));
    const dataDirectory = realDirectory(resolve(workingDirectory, given));
    const control = await matchingControl(session, facts, dataDirectory);
    return { session, facts, dataDirectory, control, [Symbol.asyncDispose]: () => session.close() };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** A primary that does not archive would let the backup wait for WAL that never comes. */
function requireArchiving(facts: ServerFacts): void {
  if (facts.inRecovery) return;
  const off = (detail: string): WalholdError =>
    new WalholdError('server', 'the server does not archive its WAL', {
      detail,
      hint: `Set archive_mode = on and archive_command = 'walhold-push %p' first: a backup is nothing without WAL.`,
    });
  if (facts.settings.get('archive_mode') === 'off') throw off('archive_mode is off');
  const command = facts.settings.get('archive_command');
  const library = facts.settings.get('archive_library');
  if (command === '' && (library === undefined || library === '')) throw off('archive_command is empty');
}

function realDirectory(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw ioError(`could not look at the data directory ${path}`, error);
    throw new WalholdError('not-found', `there is no data directory ${path}`, {
      hint: 'Run this on the host of the server, and name its data directory with -D.',
    });
  }
}

async function matchingControl(session: ServerSession, facts: ServerFacts, directory: string): Promise<ControlFile> {
  for (let look = 0; look < MOST_LOOKS; look++) {
    const before = await readCheckpoint(session);
    const control = await readControlFile(directory);
    if (control === undefined) {
      throw new WalholdError('not-found', `${directory} is no data directory: it has no global/pg_control`);
    }
    if (control.systemId !== facts.systemId) {
      throw notTheServers(directory, session, `its system identifier is ${control.systemId}, not ${facts.systemId}`);
    }
    if (!('checkpoint' in control)) {
      throw new WalholdError('unsupported', `PostgreSQL ${facts.version} is newer than this version of walhold knows`);
    }
    const after = await readCheckpoint(session);
    const mine = `${formatLsn(control.checkpoint)} ${formatLsn(control.redo)} ${control.checkpointTimeline}`;
    if ([before, after].some(({ lsn, redoLsn, timeline }) => `${lsn} ${redoLsn} ${timeline}` === mine)) return control;
  }
  throw notTheServers(directory, session, 'their latest checkpoints differ: it belongs to a clone');
}

function notTheServers(directory: string, session: ServerSession, detail: string): WalholdError {
  return new WalholdError('refused', `${directory} is not the data directory of ${session.where}`, {
    detail,
    hint: 'Let -D and -d name the same server; without -D the server is asked.',
  });
}

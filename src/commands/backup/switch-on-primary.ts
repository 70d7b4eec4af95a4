import { hasCode, WalholdError } from '../../base/errors.ts';
import { readServerFacts } from '../../server/server-facts.ts';
import { connectServer } from '../connect-server.ts';
import type { BackupRun } from './backup-run.ts';

/**
 * After a standby's backup: has the primary end its segment, so that the last WAL which the backup needs is archived even when
 * nobody writes. `connectionString`: `--primary`; without it the standby's own `primary_conninfo` is tried, and a failure is no more
 * than a warning, since other writers will end the segment some time.
 */
export async function switchOnPrimary(run: BackupRun, connectionString: string | undefined): Promise<void> {
  const { context, source } = run;
  const text = connectionString ?? source.facts.settings.get('primary_conninfo') ?? '';
  if (text === '') {
    context.log.warning('the standby names no primary to switch WAL on', { hint: HINT });
    return;
  }
  try {
    await switchWal(run, text);
  } catch (error) {
    if (connectionString !== undefined || !hasCode(error, 'server', 'usage', 'refused')) throw error;
    context.log.warning('could not switch WAL on the primary', { detail: error.detail ?? error.message, hint: HINT });
  }
}

const HINT = 'Name it with --primary; else the backup waits until the primary has filled its segment.';

async function switchWal({ context, source, signal }: BackupRun, connectionString: string): Promise<void> {
  // Its password may be the environment's, its place must not be: that is the standby's.
  const { PGHOST: _, PGHOSTADDR: __, PGPORT: ___, PGDATABASE: ____, ...environment } = context.environment;
  await using session = await connectServer({ ...context, environment, signal }, connectionString);
  const facts = await readServerFacts(session);
  if (facts.systemId !== source.control.systemId) {
    throw new WalholdError('refused', `${session.where} is not the primary of this standby`, {
      detail: `its system identifier is ${facts.systemId}, not ${source.control.systemId}`,
    });
  }
  if (facts.inRecovery) {
    throw new WalholdError('refused', `${session.where} is no primary`, { detail: 'it is in recovery itself' });
  }
  await session.row('switch WAL', 'select pg_switch_wal()::text as lsn');
}

import { join } from 'node:path';
import { hasCode } from '../../base/errors.ts';
import { historyName, parseWalName } from '../../postgres/wal-name.ts';
import type { TimelineId } from '../../postgres/timeline.ts';
import { walKey } from '../../repository/layout.ts';
import { pushInto } from '../../repository/wal-archive.ts';
import { prepareWal } from '../../repository/wal-object.ts';
import { readTextFile } from '../../server/data-directory.ts';
import type { BackupRun } from './backup-run.ts';

/**
 * Sees to it that every repository holds the timeline's history file: a server promoted before it came here never archives it again.
 * One that is nowhere is a warning: the WAL after the backup can be replayed without.
 */
export async function storeHistory(run: BackupRun, timeline: TimelineId): Promise<void> {
  const { context, source, repositories, signal } = run;
  const { log, config, by, clock } = context;
  const name = historyName(timeline);
  const file = parseWalName(name);
  if (timeline === 1 || file?.kind !== 'history') return;
  for (const repository of repositories) {
    if ((await repository.store.stat(walKey(file), { signal })) !== undefined) continue;
    const text = await readTextFile(join(source.dataDirectory, 'pg_wal', name));
    if (text === undefined) {
      log.warning(`${repository.url} does not hold ${name}, nor does pg_wal`, {
        hint: 'Recovery along this timeline will need it: store it by "walhold-push" wherever it is kept.',
      });
      continue;
    }
    const cluster = { systemId: source.control.systemId };
    const options = { cluster, level: config.compressLevel, by, at: new Date(clock.now()) };
    try {
      await pushInto(repository, prepareWal(file, Buffer.from(text, 'utf8'), options), { signal, log });
      log.info(`stored ${name} in ${repository.url}, which did not hold it`);
    } catch (error) {
      // The archiver was faster by a moment, with content that differs: its own calls report that.
      if (!hasCode(error, 'conflict')) throw error;
      log.warning(error.message, { detail: error.detail, hint: error.hint });
    }
  }
}

import type { Cluster } from '../../test/support/cluster.ts';
import { waitFor } from '../../test/support/wait-for.ts';

/** While nobody measures, WAL is kept where it is and called archived. */
export const NO_ARCHIVING = '/bin/true';

/**
 * Has the running server archive by this command from now on. What is under way for the old one ends first, so that nobody archives
 * during another's turn.
 */
export async function archiveBy(cluster: Cluster, command: string): Promise<void> {
  await waitFor(async () => !(await cluster.walFiles('archive_status')).some((name) => name.endsWith('.ready')), {
    what: 'the archiver to be done',
    deadlineMs: 120_000,
  });
  await cluster.query(`alter system set archive_command = '${command.replaceAll("'", "''")}'`);
  await cluster.query('select pg_reload_conf()');
  await waitFor(async () => (await cluster.value<string>('show archive_command')) === command, {
    what: 'the new archive_command',
  });
}

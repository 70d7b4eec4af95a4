import type { ServerSession } from './session.ts';

/** What waits for the archiver, asked of the server. Throws `server`, for a user without the right to list files too. */
export async function askReadyFiles(session: ServerSession): Promise<{ count: number; oldestAt: Date | undefined }> {
  const row = await session.row(
    'list what waits for the archiver',
    `select count(*)::int as count, min(modification) as oldest from pg_ls_archive_statusdir() where name like '%.ready'`,
  );
  const { oldest } = row;
  return { count: Number(row['count']), oldestAt: oldest instanceof Date ? oldest : undefined };
}

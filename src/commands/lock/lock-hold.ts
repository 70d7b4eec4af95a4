import { WalholdError } from '../../base/errors.ts';
import { holdBackup, releaseBackup } from '../../repository/lock/backup-hold.ts';
import { parseBackupId, type BackupId } from '../../repository/layout.ts';
import type { CommandContext, CommandOutcome } from '../command-context.ts';
import { formatBytes } from '../format-bytes.ts';
import { withRepositories } from '../with-repositories.ts';
import { eachRepository } from './each-repository.ts';

/** The shape of `walhold lock hold --json` and `lock release --json`. */
export interface LockHoldJson {
  backup: string;
  held: boolean;
  /** `objects`: held now, or released. `sharedWith`: held backups that still need some of it, so that it stays held. */
  repositories: { repository: number; url: string; objects: number; bytes: number; sharedWith: string[] }[];
}

/** Puts a legal hold on everything that a restore of the backup needs, in every repository, or lifts it. */
export async function lockHold(
  context: CommandContext,
  options: { backup: string; on: boolean; json: boolean },
): Promise<CommandOutcome> {
  const { signal, clock, config, by } = context;
  const id = backupIdOf(options.backup);
  const work = options.on ? holdBackup : releaseBackup;
  return await withRepositories(context, async (repositories): Promise<CommandOutcome> => {
    const items = repositories.map((repository) => ({ repository }));
    const { results, failures } = await eachRepository(items, context, async ({ repository }) => {
      const { objects, bytes, sharedWith } = await work(repository, id, { signal, clock, by, jobs: config.jobs });
      return { repository: repository.number, url: repository.url, objects, bytes, sharedWith: [...sharedWith] };
    });
    const result: LockHoldJson = { backup: id, held: options.on, repositories: results };
    context.print(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : describe(result));
    return failures.length === 0 ? 'done' : 'fault';
  });
}

function backupIdOf(text: string): BackupId {
  const id = parseBackupId(text);
  if (id !== undefined) return id;
  throw new WalholdError('usage', `"${text}" is no backup's identifier`, { hint: 'See "walhold list".' });
}

function describe({ backup, held, repositories }: LockHoldJson): string {
  const lines = repositories.map(({ repository, objects, bytes, sharedWith }) => {
    const rest = sharedWith.length === 0 ? '' : `; what ${sharedWith.join(', ')} needs stays held`;
    return `repository ${repository}: ${backup} ${held ? 'held' : 'released'}: ${objects} objects, ${formatBytes(bytes)}${rest}\n`;
  });
  return lines.join('');
}

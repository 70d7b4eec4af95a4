import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { WalholdError } from '../../base/errors.ts';
import { ensureIdentity } from '../../repository/identity.ts';
import { placeText, type Repository } from '../../repository/repository.ts';
import { ownsDirectory } from '../../server/data-directory.ts';
import { isKnownRepository, rememberRepository } from '../../spool/known-repositories.ts';
import { NO_SPOOL, openSpool, type Spool } from '../../spool/spool.ts';
import type { CommandContext } from '../command-context.ts';
import type { BackupRun } from './backup-run.ts';

/** The spool of the data directory; none where what this user makes there would be in the server's way. */
export async function openBackupSpool({ config, log, clock }: CommandContext, dataDirectory: string): Promise<Spool> {
  const path = isAbsolute(config.spoolPath) ? config.spoolPath : join(dataDirectory, config.spoolPath);
  return (await ownsDirectory(dataDirectory)) ? await openSpool(path, log, clock.now()) : NO_SPOOL;
}

/** Sees to it that every repository is there and is this cluster's; one in an empty place gets its identity. */
export async function prepareRepositories(
  { context, source, repositories, signal }: Omit<BackupRun, 'progress'>,
  spool: Spool,
): Promise<void> {
  const { clock, by } = context;
  const { dataDirectory, control } = source;
  for (const repository of repositories) {
    refuseInside(repository, dataDirectory);
    await refuseRoot(repository, dataDirectory);
    const place = placeText(repository.settings);
    const known = await isKnownRepository(spool, place, control.systemId);
    const now = new Date(clock.now());
    await ensureIdentity(repository, { signal, systemId: control.systemId, known, by, now });
    await rememberRepository(spool, place, control.systemId);
  }
}

function refuseInside({ settings, url }: Repository, dataDirectory: string): void {
  if (settings.scheme !== 'file' || !`${realpathOr(settings.path)}/`.startsWith(`${dataDirectory}/`)) return;
  throw new WalholdError('config', `the repository ${url} lies inside the data directory`, {
    detail: `the data directory is ${dataDirectory}`,
    hint: 'Keep backups on another filesystem, best on another machine.',
  });
}

/** What root makes there belongs to the repository's owner. If that is not the server, its pushes would fail from then on. */
async function refuseRoot({ settings, url }: Repository, dataDirectory: string): Promise<void> {
  if (settings.scheme !== 'file' || process.geteuid?.() !== 0) return;
  const { ownerOfNew } = await import('../../store/file-create.ts');
  const server = statSync(dataDirectory).uid;
  const owner = await ownerOfNew(settings.path).catch(() => undefined);
  if ((owner?.uid ?? 0) === server) return;
  throw new WalholdError('refused', `root's files in ${url} would be closed to the server`, {
    hint: `Run this as the user that owns ${dataDirectory}, or let that user own the repository's directory.`,
  });
}

function realpathOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

import { chmod, lchown, mkdir, readFile, rename, stat, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceDurably, syncDirectory } from '../../base/durable.ts';
import { ioError, systemCode, WalholdError } from '../../base/errors.ts';
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts';
import { formatTablespaceMap, parseTablespaceMap } from '../../postgres/tablespace-map.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import { HELD_BACK, type Target } from './prepare-target.ts';
import { recoveryConf, signalFile, type RecoveryConf } from './recovery-conf.ts';
import { MARKER_NAME } from './restore-marker.ts';
import type { Owner } from './target-directory.ts';

/**
 * Everything between the restored files and a data directory that a server recovers, except `global/pg_control`. `configFiles`: where
 * configuration from outside lies by now. `manifest`: of what lies there; `undefined`: not all of it is the backup's.
 */
export async function completeTarget(
  target: Target,
  record: BackupRecord,
  manifest: Uint8Array | undefined,
  conf: RecoveryConf & { configFiles: string | undefined },
): Promise<void> {
  const { dataDirectory, owner } = target;
  await allowGroup(target);
  const write = (name: string, text: Uint8Array | string): Promise<void> =>
    writeOwned(join(dataDirectory, name), text, owner);
  await makeMissing(join(dataDirectory, 'pg_wal'), owner);
  if (manifest !== undefined) await write('backup_manifest', manifest);
  await placeLinks(target, record);
  const autoConf = await textOf(join(dataDirectory, 'postgresql.auto.conf'));
  const outside = record.config?.configFile;
  const mainConf =
    conf.configFiles === undefined || outside === undefined
      ? join(dataDirectory, 'postgresql.conf')
      : join(conf.configFiles, outside);
  await write('postgresql.auto.conf', recoveryConf(conf, autoConf, await textOf(mainConf)));
  await write(signalFile(conf), '');
}

/** The last step: with its control file in place a server can start. */
export async function openTarget({ dataDirectory }: Target, record: BackupRecord): Promise<void> {
  const held = join(dataDirectory, HELD_BACK.as);
  const parsed = parseControlFile(await readFile(held));
  const systemId = parsed.ok ? parsed.control.systemId : parsed.reason === 'unsupported' ? parsed.systemId : undefined;
  if (systemId !== record.server.systemId) {
    throw new WalholdError('damaged', `backup ${record.id} cannot be trusted: its pg_control is not this cluster's`, {
      detail: parsed.ok ? `its system identifier is ${parsed.control.systemId}` : parsed.message,
      hint: 'Restore another backup.',
    });
  }
  await syncDirectory(dataDirectory);
  await rename(held, join(dataDirectory, CONTROL_FILE_PATH));
  await syncDirectory(join(dataDirectory, 'global'));
  await unlink(join(dataDirectory, MARKER_NAME));
  await syncDirectory(dataDirectory);
}

/** A cluster made with `initdb -g` lets its group read, and a server looks at the top alone to tell. */
async function allowGroup({ dataDirectory, tablespaces }: Target): Promise<void> {
  const { mode } = await stat(join(dataDirectory, 'PG_VERSION'));
  if ((mode & 0o040) === 0) return;
  for (const path of [dataDirectory, ...tablespaces.map(({ to }) => to)]) await chmod(path, 0o750);
}

/**
 * The server makes the links anew from `tablespace_map`, so map and links must agree; they are made here too, for tools. One that was made
 * while the backup began may be missing in the map.
 */
async function placeLinks({ dataDirectory, tablespaces, owner }: Target, record: BackupRecord): Promise<void> {
  const mapPath = join(dataDirectory, 'tablespace_map');
  const mapText = await textOf(mapPath);
  const mapped = parseTablespaceMap(mapText, record.server.major);
  const same = (a: { oid: string; path: string }): boolean =>
    record.tablespaces.some(({ oid, path }) => a.oid === oid && a.path === path);
  if (!mapped.every(same)) {
    throw new WalholdError('damaged', `backup ${record.id} cannot be trusted`, {
      detail: 'its tablespace_map names a tablespace that its record lacks',
      hint: 'Restore another backup.',
    });
  }
  if (mapped.length !== tablespaces.length || tablespaces.some(({ from, to }) => from !== to)) {
    const moved = tablespaces.map(({ oid, to }) => ({ oid, path: to }));
    await writeOwned(mapPath, formatTablespaceMap(moved, record.server.major), owner);
  }
  const links = join(dataDirectory, 'pg_tblspc');
  await makeMissing(links, owner);
  for (const { oid, to } of tablespaces) {
    await symlink(to, join(links, oid));
    if (owner !== undefined) await lchown(join(links, oid), owner.uid, owner.gid);
  }
  await syncDirectory(links);
}

/** Replaces a file of the target, durably. */
export async function writeOwned(path: string, text: Uint8Array | string, owner: Owner | undefined): Promise<void> {
  try {
    await replaceDurably(path, text, 0o600);
    if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
  } catch (error) {
    throw ioError(`could not write ${path}`, error);
  }
}

async function makeMissing(path: string, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw ioError(`could not make ${path}`, error);
  }
}

/** Empty if there is no such file. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw ioError(`could not read ${path}`, error);
  }
}

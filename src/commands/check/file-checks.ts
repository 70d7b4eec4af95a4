/** What protects a repository of files: who may write there, and what locks are worth on its filesystem. */
import { stat } from 'node:fs/promises';
import { hasCode, ioError, WalholdError } from '../../base/errors.ts';
import { PROBE_KEY } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { FileAttributes } from '../../store/file-attributes.ts';
import type { CallOptions } from '../../store/store.ts';
import { EXPECTED_LOCK, noLockItem, retentionCheck } from './bucket-checks.ts';
import { failedLook, item, settingName, type CheckItem } from './check-item.ts';

const BY_OTHERS = 0o002;
const BY_GROUP = 0o020;

export async function fileChecks(repository: Repository, path: string, options: CallOptions): Promise<CheckItem[]> {
  const repo = settingName(repository.number);
  const look = async (name: string, expected: string, asking: () => Promise<CheckItem>): Promise<CheckItem> => {
    try {
      return await asking();
    } catch (error) {
      options.signal.throwIfAborted();
      return failedLook(name, expected, error);
    }
  };
  const directory = [`${repo} directory`, 'only its owner can write there'] as const;
  const lock = [`${repo} object lock`, EXPECTED_LOCK] as const;
  const immutable = [
    `${repo} immutable attribute`,
    'root can set it: then not even the owner can change a file',
  ] as const;
  return [
    await look(...directory, () => directoryCheck(directory, path)),
    await look(...lock, () => lockCheck(lock, repository, options)),
    await look(...immutable, () => immutableCheck(immutable, path, options)),
    retentionCheck(repository),
  ];
}

type Row = readonly [name: string, expected: string];

/** Who may write into a directory may remove what lies in it, whatever the files' own modes say. */
async function directoryCheck([name, expected]: Row, path: string): Promise<CheckItem> {
  const { mode } = await stat(path).catch((error: unknown) => {
    throw ioError(`could not look at ${path}`, error);
  });
  const found = `mode ${(mode & 0o7777).toString(8).padStart(4, '0')}`;
  if ((mode & BY_OTHERS) !== 0)
    return item(name, false, `${found}: everybody can remove files`, expected, `chmod o-w ${path}`);
  const hint = (mode & BY_GROUP) === 0 ? undefined : `Advice: its group can remove files: chmod g-w ${path}`;
  return item(name, true, found, expected, hint);
}

async function lockCheck([name, expected]: Row, repository: Repository, options: CallOptions): Promise<CheckItem> {
  if (repository.lock === undefined) return noLockItem(repository);
  const bucket = await repository.store.locks?.bucket(options);
  const why = bucket?.why ?? [];
  if (bucket?.lockable === true && why.length === 0) {
    return item(name, true, 'read-only until a date, which the access time keeps', expected);
  }
  const hint = 'Use a filesystem that keeps access times as they are set, mounted with relatime or noatime.';
  return item(name, false, why.join('; '), expected, hint);
}

/** Advice: read-only files are all that a user without rights can have. */
async function immutableCheck([name, expected]: Row, path: string, options: CallOptions): Promise<CheckItem> {
  try {
    await new FileAttributes(path).isImmutable(PROBE_KEY, options);
    return item(name, true, 'possible', expected);
  } catch (error) {
    if (!(error instanceof WalholdError) || !hasCode(error, 'unsupported', 'denied')) throw error;
    return item(name, true, error.detail ?? error.message, expected, error.hint);
  }
}

/** Whether a repository is the cluster's, and a store that keeps its word, asked with the rights that a push has. */
import { stat } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';
import { requireIdentity } from '../../repository/identity.ts';
import { PROBE_KEY } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { probeConditions } from '../../store/probe.ts';
import { describeSkew, MOST_STORE_SKEW_MS } from '../clock-skew.ts';
import type { CommandContext } from '../command-context.ts';
import { bucketChecks, lookAtBucket, versioningOf } from './bucket-checks.ts';
import { failedLook, item, notChecked, settingName, type CheckItem } from './check-item.ts';
import { encryptionChecks } from './encryption-check.ts';
import { fileChecks } from './file-checks.ts';
import { lastBackupCheck } from './last-backup.ts';
import { mendingOf } from './mending.ts';
import { probeLockChecks } from './probe-lock.ts';
import { rightsChecks } from './rights-checks.ts';
import { sentLocksCheck } from './sent-locks.ts';

/** More than the S3 store's part: a big object is made in several, and another request ends it. */
const STREAM_BYTES = 17 * 1024 * 1024;

export async function repositoryChecks(
  context: CommandContext,
  repository: Repository,
  cluster: { systemId: bigint | undefined; dataDirectory: string | undefined },
): Promise<CheckItem[]> {
  const { signal, clock } = context;
  const repo = settingName(repository.number);
  const items = [await identityCheck(repository, cluster.systemId, signal)];
  if (items[0]?.ok === true) {
    items.push(...(await conditionChecks(repository, signal)));
    items.push(...(await lastBackupCheck(repository, { signal, clock })));
    items.push(...(await protectionChecks(repository, { signal, clock })));
    items.push(...(await sentLocksCheck(context, repository, cluster.dataDirectory)));
  } else {
    // The first push must find a new repository empty.
    const why = "it is not known to be this cluster's repository";
    for (const [name, expected] of CONDITIONS) items.push(notChecked(`${repo} ${name}`, why, expected));
  }
  if (repository.settings.scheme === 'file')
    items.push(await placeCheck(repository.settings.path, repo, cluster.dataDirectory));
  return items;
}

const CONDITIONS = [
  ['refuses a taken name', 'the second of two writers of a name is refused'],
  ['refuses a taken name in parts', 'the same for an object that goes in several parts'],
  ['refuses a wrong checksum', 'bytes that do not fit their checksum are refused'],
] as const;

async function identityCheck(
  { number, store, url }: Repository,
  systemId: bigint | undefined,
  signal: AbortSignal,
): Promise<CheckItem> {
  const name = `${settingName(number)} identity`;
  const expected = systemId === undefined ? 'the repository of a cluster' : `the repository of cluster ${systemId}`;
  try {
    const identity = await requireIdentity(store, { signal, systemId });
    return item(name, true, `${url}, of cluster ${identity.systemId}`, expected);
  } catch (error) {
    if (!hasCode(error, 'store-gone')) return failedLook(name, expected, error);
    const hint = 'The first push or backup makes a new one; one that was there before must be mounted or brought back.';
    const found = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`;
    return item(name, false, found, expected, hint);
  }
}

async function conditionChecks(repository: Repository, signal: AbortSignal): Promise<CheckItem[]> {
  const repo = settingName(repository.number);
  try {
    const found = await probeConditions(repository.store, PROBE_KEY, { signal, streamBytes: STREAM_BYTES });
    const results = [found.conditions, found.conditionsOfStreams, found.checksums];
    return CONDITIONS.flatMap(([name, expected], at) => {
      const result = results[at];
      // Directories send no checksums: every byte is read back by its digest anyway.
      if (result === undefined || result === 'untried') return [];
      const kept = result === 'kept';
      const hint = kept
        ? undefined
        : 'This store does not keep what the program relies on: use another, or a newer version of it.';
      return [item(`${repo} ${name}`, kept, kept ? 'refused' : 'accepted', expected, hint)];
    });
  } catch (error) {
    signal.throwIfAborted();
    return [failedLook(`${repo} can be written`, 'objects can be created', error)];
  }
}

/** In this order: deleting comes last, since afterwards the probe may be gone. */
async function protectionChecks(
  repository: Repository,
  { signal, clock }: { signal: AbortSignal; clock: Clock },
): Promise<CheckItem[]> {
  const { settings } = repository;
  if (settings.scheme === 'file') {
    const items = await fileChecks(repository, settings.path, { signal });
    return [...items, ...(await probeLockChecks(repository, { signal, clock }))];
  }
  const mending = mendingOf(settings);
  const repo = settingName(repository.number);
  try {
    const bucket = await lookAtBucket(repository, { signal });
    const look = { repository, mending, bucket, probe: await repository.store.stat(PROBE_KEY, { signal }) };
    const items = bucketChecks(look);
    items.push(...(await encryptionChecks(repository, { signal })));
    if (bucket.lockable !== false) items.push(...(await probeLockChecks(repository, { signal, clock })));
    items.push(...(await rightsChecks(repository, { signal, mending, versioning: versioningOf(look) })));
    return [...items, ...storeClockCheck(repository)];
  } catch (error) {
    signal.throwIfAborted();
    return [failedLook(`${repo} protection`, 'what protects the objects can be looked at', error)];
  }
}

function storeClockCheck({ number, store }: Repository): CheckItem[] {
  const skewMs = store.clockSkewMs?.();
  if (skewMs === undefined) return [];
  const ok = Math.abs(skewMs) <= MOST_STORE_SKEW_MS;
  const hint = ok ? undefined : 'Set the clocks right (NTP): locks go by that of the store.';
  const expected = `within ${MOST_STORE_SKEW_MS / 60_000} minutes of this machine's`;
  return [item(`${settingName(number)} clock of the store`, ok, describeSkew(skewMs), expected, hint)];
}

/** On the data directory's own disk a repository is lost together with it. A word of advice: tests and demos live so. */
async function placeCheck(path: string, repo: string, dataDirectory: string | undefined): Promise<CheckItem> {
  const name = `${repo} place`;
  const expected = 'another filesystem than the data directory';
  if (dataDirectory === undefined)
    return item(name, true, path, expected, 'Name the data directory with -D to compare the two.');
  const [there, here] = await Promise.all([path, dataDirectory].map((each) => stat(each).catch(() => undefined)));
  if (there === undefined || here === undefined) return notChecked(name, `could not look at ${path}`, expected);
  if (there.dev !== here.dev) return item(name, true, 'another filesystem', expected);
  const hint =
    'The disk that takes the cluster takes the repository: mount another, or add a second repository elsewhere.';
  return item(name, true, "the data directory's own filesystem", expected, hint);
}

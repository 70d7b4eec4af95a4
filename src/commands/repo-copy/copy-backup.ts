/** One backup from one repository into another: its objects, and when all are there its `backup.json`. */
import { hasCode, WalholdError } from '../../base/errors.ts';
import { mapParallel } from '../../base/parallel.ts';
import { oldestAuthenticPart } from '../../repository/authentic-part.ts';
import { readAuthentic } from '../../repository/authentic.ts';
import { parseBackupRecord, RECORD_MAX_BYTES } from '../../repository/backup-record-parse.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import { backupPrefix, commitKey, manifestKey, type BackupId } from '../../repository/layout.ts';
import { decodeObject } from '../../repository/object-codec.ts';
import { damaged, HEAD_MAX_BYTES, parseHead, parseTail, TAIL_BYTES } from '../../repository/object-head.ts';
import { objectsOf, type StreamedObject } from '../../repository/backup-objects.ts';
import { MANIFEST_MAX_BYTES } from '../../repository/verify-backup.ts';
import { problemOf } from '../../repository/verify-problem.ts';
import type { ByteRange, CallOptions, ObjectInfo, Store } from '../../store/store.ts';
import { checkedPart } from './checked-part.ts';
import type { CopyRun } from './copy-run.ts';

/**
 * Nothing is copied of an upload that no `backup.json` completes, nor the `backup.json` of a backup that could not be copied whole, nor
 * one whose parent is neither there nor among `done`. Answers whether it is whole in the target.
 */
export async function copyBackup(run: CopyRun, id: BackupId, done: ReadonlySet<BackupId>): Promise<boolean> {
  const { source, target, report, signal, log } = run;
  const record = await guarded(run, commitKey(id), () => readSourceRecord(run, id));
  if (record === 'faulty') return false;
  if (record === undefined) {
    log.info(`${id} in ${source.url} is an upload that did not end, or has not yet`);
    return false;
  }
  if (!(await hasParent(run, record.parsed, done))) return false;
  const there = new Map<string, number>();
  for await (const entry of target.store.list(backupPrefix(id), { signal })) {
    if (entry.kind === 'object') there.set(entry.key, entry.bytes);
  }
  const before = report.conflicts.length + report.damaged.length;
  await mapParallel(objectsOf(record.parsed), run.jobs, async (object) => {
    await guarded(run, object.key, () => copyPart(run, record.parsed, object, there.get(object.key)));
  });
  await guarded(run, manifestKey(id), () => copyManifest(run, record.parsed, there.get(manifestKey(id))));
  if (report.conflicts.length + report.damaged.length > before) {
    log.warning(`backup ${id} was not copied whole, and is no backup in ${target.url}`);
    return false;
  }
  return (await guarded(run, commitKey(id), () => copyRecord(run, id, record.bytes))) !== 'faulty';
}

/** Without what it builds on an incremental backup is of no use. */
async function hasParent(run: CopyRun, { id, parent }: BackupRecord, done: ReadonlySet<BackupId>): Promise<boolean> {
  const { target, report, signal } = run;
  if (parent === undefined || done.has(parent)) return true;
  if ((await target.store.stat(commitKey(parent), { signal })) !== undefined) return true;
  const message = `it is not copied: backup ${parent}, on which it builds, is not in ${target.url}`;
  report.damaged.push({ code: 'broken-chain', object: commitKey(id), message });
  return false;
}

/** What is wrong with one object is told, and the rest goes on. */
async function guarded<T>({ report }: CopyRun, key: string, work: () => Promise<T>): Promise<T | 'faulty'> {
  try {
    return await work();
  } catch (error) {
    if (hasCode(error, 'conflict')) report.conflicts.push(problemOf(error, key));
    else if (hasCode(error, 'damaged', 'bad-format')) report.damaged.push(problemOf(error, key));
    else throw error;
    return 'faulty';
  }
}

async function readSourceRecord(
  { source, systemId, signal }: CopyRun,
  id: BackupId,
): Promise<{ bytes: Buffer; parsed: BackupRecord } | undefined> {
  const key = commitKey(id);
  return await readAuthentic(source.store, key, { signal, maxBytes: RECORD_MAX_BYTES }, ({ bytes }) => {
    const object = `${source.url}/${key}`;
    const parsed = parseBackupRecord(bytes, id, object);
    if (parsed.server.systemId !== systemId) throw damaged(object, `it is of cluster ${parsed.server.systemId}`);
    return { bytes, parsed };
  });
}

/** `there`: the bytes of the target's object, by its listing. */
async function copyPart(
  run: CopyRun,
  record: BackupRecord,
  object: StreamedObject,
  there: number | undefined,
): Promise<void> {
  const { source, target, report, signal, dryRun, quick } = run;
  const { key, stored } = object;
  if (there !== undefined) {
    const same = quick ? there === stored.storedBytes : await haveSameEnd(run, object);
    if (!same) throw taken(target.url, key);
    return report.add('present', there);
  }
  if (dryRun) return report.add('copied', stored.storedBytes);
  const outcome = await oldestAuthenticPart(source.store, key, stored, { signal }, async (which) => {
    const opened = await source.store.open(key, { signal, ...which });
    if (opened === undefined) return undefined;
    const chunks = checkedPart(opened.chunks, record, { ...object, url: source.url });
    return await target.store.create(key, { kind: 'stream', chunks }, { signal });
  });
  if (outcome === undefined) throw damaged(`${source.url}/${key}`, 'the backup names it, and it is not stored');
  // Perhaps it was our own, and the answer was lost.
  if (outcome === 'exists' && !(await haveSameEnd(run, object))) throw taken(target.url, key);
  report.add(outcome === 'created' ? 'copied' : 'present', stored.storedBytes);
}

/** Whether the target's part has the length and the end that the record expects. */
async function haveSameEnd({ target, signal }: CopyRun, { key, stored }: StreamedObject): Promise<boolean> {
  return await holds(target.store, key, { signal, range: { offset: -TAIL_BYTES } }, ({ bytes, info }, object) => {
    const { sha256, storedCrc32c } = parseTail(bytes, object);
    return sha256 === stored.sha256 && storedCrc32c === stored.crc32c && info.bytes === stored.storedBytes;
  });
}

/** Whether readers of the target would take a version that fits. */
async function holds(
  store: Store,
  key: string,
  reading: CallOptions & { range?: ByteRange },
  fits: (found: { info: ObjectInfo; bytes: Buffer }, object: string) => boolean,
): Promise<boolean> {
  const object = `${store.url}/${key}`;
  try {
    const found = await readAuthentic(store, key, { ...reading, maxBytes: RECORD_MAX_BYTES }, (one) => {
      if (fits(one, object)) return one;
      throw damaged(object, 'it is another one');
    });
    return found !== undefined;
  } catch (error) {
    if (hasCode(error, 'damaged', 'bad-format')) return false;
    throw error;
  }
}

async function copyManifest(run: CopyRun, record: BackupRecord, there: number | undefined): Promise<void> {
  const { source, target, report, signal, dryRun, quick } = run;
  const { id, manifest } = record;
  const key = manifestKey(id);
  const isSame = (): Promise<boolean> =>
    holds(target.store, key, { signal, range: { offset: 0, bytes: HEAD_MAX_BYTES } }, ({ bytes, info }, object) => {
      const { head, frameBytes } = parseHead(bytes, object);
      return head.sha256 === manifest.sha256 && info.bytes === frameBytes + head.storedBytes;
    });
  if (there !== undefined) {
    const same = quick ? there === manifest.storedBytes : await isSame();
    if (!same) throw taken(target.url, key);
    return report.add('present', there);
  }
  if (dryRun) return report.add('copied', manifest.storedBytes);
  const object = `${source.url}/${key}`;
  const reading = { signal, maxBytes: MANIFEST_MAX_BYTES };
  const found = await readAuthentic(source.store, key, reading, ({ bytes }) => {
    const { head } = decodeObject(bytes, object, MANIFEST_MAX_BYTES);
    if (head.sha256 === manifest.sha256) return { bytes };
    throw damaged(object, 'it is not the manifest that the backup was committed with');
  });
  if (found === undefined) throw damaged(object, 'it is not stored');
  const outcome = await target.store.create(key, { kind: 'buffer', bytes: found.bytes }, { signal });
  if (outcome === 'exists' && !(await isSame())) throw taken(target.url, key);
  report.add(outcome === 'created' ? 'copied' : 'present', found.bytes.length);
}

async function copyRecord({ target, report, signal, dryRun }: CopyRun, id: BackupId, bytes: Buffer): Promise<void> {
  const { store, url } = target;
  const key = commitKey(id);
  const isFree = dryRun
    ? (await store.stat(key, { signal })) === undefined
    : (await store.create(key, { kind: 'buffer', bytes }, { signal })) === 'created';
  if (!isFree && !(await holds(store, key, { signal }, (found) => found.bytes.equals(bytes)))) throw taken(url, key);
  report.add(isFree ? 'copied' : 'present', bytes.length);
}

function taken(url: string, key: string): WalholdError {
  return new WalholdError('conflict', `other content is stored as ${key} in ${url}`, {
    hint: 'Nothing was changed; look at both, and remove what is wrong with credentials that may.',
  });
}

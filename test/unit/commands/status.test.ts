import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StatusJson } from '../../../src/commands/status-json.ts';
import { formatDrillRecord } from '../../../src/repository/drill-record.ts';
import { drillKey, type BackupId } from '../../../src/repository/layout.ts';
import { callCompanion, jsonOf } from '../../support/companion-call.ts';
import { readExposition } from '../../support/exposition.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf, putSegments, segmentBytes } from '../../support/made-segments.ts';
import { controlFile, PretendCluster } from '../../support/pretend-cluster.ts';
import { inSegment, putBackup } from '../../support/stored-backup.ts';
import { WalBuilder } from '../../support/wal-builder.ts';

const MIB = 1024 * 1024;

let folder: string;
let cluster: PretendCluster;
let stored: FileRepository;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhold-status-'));
  cluster = await PretendCluster.create(join(folder, 'data'));
  await cluster.put('global/pg_control', primary());
  await mkdir(join(cluster.path, 'pg_wal', 'archive_status'));
  stored = await FileRepository.create();
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  await stored[Symbol.asyncDispose]();
});

/** Of a primary on timeline 1, in its third segment at the last checkpoint. */
function primary(): Buffer {
  const file = controlFile(SYSTEM_ID, MIB);
  file.writeUInt32LE(6, 16);
  file.writeBigUInt64LE(BigInt(3 * MIB), 32);
  file.writeUInt32LE(1, 48);
  file.writeUInt32LE(crc32c(file.subarray(0, 288)), 288);
  return file;
}

interface Asked extends StatusJson {
  exit: number;
  stderr: string;
}

async function status(...argv: string[]): Promise<Asked> {
  const result = await callCompanion(['status', '--json', '--repo', `file://${stored.root}`, ...argv]);
  if (result.stdout === '') throw new Error(result.stderr);
  return { ...jsonOf<StatusJson>(result), exit: result.status, stderr: result.stderr };
}

const here = async (...argv: string[]): Promise<Asked> => await status('-D', cluster.path, ...argv);

/** Sets when a file of the cluster was last written, and makes it if need be. */
async function written(name: string, secondsAgo: number, content?: Buffer): Promise<void> {
  const path = join(cluster.path, 'pg_wal', name);
  if (content !== undefined) await writeFile(path, content);
  const time = Date.now() / 1000 - secondsAgo;
  await utimes(path, time, time);
}

/** A segment in which a transaction ended so many seconds ago. */
function withCommit(segno: number, secondsAgo: number): Buffer {
  const builder = new WalBuilder({ segno: BigInt(segno), timeline: 1, systemId: SYSTEM_ID });
  builder.record({ xid: 700, data: Buffer.alloc(100) });
  builder.transactionEnd(0, BigInt(Date.now() - secondsAgo * 1000 - Date.UTC(2000, 0, 1)) * 1000n);
  return builder.segment(0);
}

/** Within what a slow machine may take. */
function expectAge(seconds: number | null, wanted: number): void {
  expect(seconds).toBeGreaterThanOrEqual(wanted);
  expect(seconds).toBeLessThan(wanted + 20);
}

describe('what status --json says', () => {
  it('has the keys of the contract, and nulls where nothing is known', async () => {
    const { exit, stderr, ...found } = await status();
    expect(Object.keys(found)).toEqual([
      'at',
      'rpoSeconds',
      'rpoBytes',
      'rpoFrom',
      'readyFiles',
      'oldestReadySeconds',
      'lastStored',
      'lastBackup',
      'nextLockExpiry',
      'windows',
      'gaps',
      'lastDrill',
      'lastProven',
      'worker',
      'lastErrors',
      'outages',
      'backupInProgress',
      'repositories',
      'tampering',
    ]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(found).toMatchObject({ rpoSeconds: null, rpoBytes: null, rpoFrom: null, readyFiles: null, gaps: [] });
    expect(found).toMatchObject({ lastStored: null, lastBackup: null, nextLockExpiry: null });
    expect(found.worker).toEqual({ running: false, pid: null, since: null, push: null, fetch: null });
    expect(found.repositories).toEqual([{ repository: 1, url: `file://${stored.root}`, ok: true, error: null }]);
  });

  it('names the last segment, the last backup, and holes, by their contract', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 5);
    await putSegments(stored, 8, 9);
    const found = await status();
    expect(found.gaps).toEqual([{ timeline: 1, first: nameOf(6), last: nameOf(7) }]);
    expect(found.lastStored).toEqual({ name: nameOf(9), at: expect.any(String) as string });
    expect(found.lastBackup).toMatchObject({ id: '20261122T174500Z-full', type: 'full', parent: null });
  });

  it('tells of a drill', async () => {
    const drill = {
      systemId: SYSTEM_ID,
      at: new Date('2026-11-22T17:45:00Z'),
      by: 'a test',
      ok: true,
      backup: '20261122T174500Z-full' as BackupId,
      target: 'the end of the WAL',
      targetReached: true,
      rtoSeconds: 12,
      restoreSeconds: 10,
      replaySeconds: 2,
      lastCommitAt: undefined,
      rpoSeconds: 3,
      bytes: 1,
      walBytes: 1,
      checks: [],
    };
    await stored.put(drillKey(drill.at), formatDrillRecord(drill));
    const result = await callCompanion(['status', '--prometheus', '--repo', `file://${stored.root}`]);
    const families = readExposition(result.stdout);
    const values = [...families.values()].map(({ name, samples }) => [name, samples[0]?.value]);
    expect(Object.fromEntries(values)).toMatchObject({
      walhold_last_drill_timestamp_seconds: drill.at.getTime() / 1000,
      walhold_last_drill_ok: 1,
      walhold_last_drill_rto_seconds: 12,
      walhold_last_drill_rpo_seconds: 3,
      walhold_last_proven_timestamp_seconds: drill.at.getTime() / 1000,
    });
  });
});

describe('the age of what is not safe', () => {
  beforeEach(async () => {
    await putSegments(stored, 3, 5);
    for (const segno of [3, 4, 5]) await cluster.putSegment(segno);
    // An hour in which nothing was written.
    await written(nameOf(5), 3600);
  });

  it('is that of the first transaction in it, not of the silence before', async () => {
    await written(nameOf(6), 10, withCommit(6, 90));
    const found = await here();
    expect(found).toMatchObject({ rpoBytes: MIB, rpoFrom: 'repositories', exit: 0 });
    expectAge(found.rpoSeconds, 90);
  });

  it('is that of the last write to a segment in which no transaction has ended', async () => {
    await written(nameOf(6), 600, segmentBytes(6));
    await written(nameOf(7), 5, withCommit(7, 500));
    const found = await here();
    expect(found.rpoBytes).toBe(2 * MIB);
    expectAge(found.rpoSeconds, 600);
  });

  it('is 0 where all is stored', async () => {
    expect(await here()).toMatchObject({ rpoBytes: 0, rpoSeconds: 0 });
  });

  it('is told beside how long the oldest file waits', async () => {
    await written(nameOf(6), 600, segmentBytes(6));
    await written(`archive_status/${nameOf(6)}.ready`, 300, Buffer.alloc(0));
    await written(`archive_status/${nameOf(5)}.ready`, 200, Buffer.alloc(0));
    const found = await here();
    expect(found.readyFiles).toBe(2);
    expectAge(found.oldestReadySeconds, 300);
    expectAge(found.rpoSeconds, 600);
  });
});

describe('status while something is down', () => {
  const noWhere = (): string => `file://${folder}/unmounted`;

  it('tells what the archiver was told to be safe while no repository answers', async () => {
    for (const segno of [3, 4, 5, 6]) await cluster.putSegment(segno);
    for (const segno of [3, 4]) await cluster.put(`pg_wal/archive_status/${nameOf(segno)}.done`, '');
    await cluster.put(`pg_wal/archive_status/${nameOf(5)}.ready`, '');
    await written(nameOf(5), 400);
    const found = await here('--repo', noWhere());
    expect(found).toMatchObject({ exit: 1, rpoBytes: 2 * MIB, rpoFrom: 'archiver', readyFiles: 1, lastStored: null });
    expectAge(found.rpoSeconds, 400);
    expect(found.stderr).toContain(`no repository could be read: the repository's directory ${noWhere().slice(7)}`);
    expect(found.repositories).toEqual([
      { repository: 1, url: noWhere(), ok: false, error: expect.stringContaining(noWhere().slice(7)) as string },
    ]);

    const people = await callCompanion(['status', '-D', cluster.path, '--repo', noWhere()]);
    expect(people.stdout).toMatch(/not yet safe: +2 MB, the oldest 4\d\d s old, by what the archiver was told\n/);
    expect(people.stdout).toMatch(/last backup: +not known\n/);
    expect(people.stdout).toContain(`repository 1 (${noWhere()})`);
    const metrics = readExposition(
      (await callCompanion(['status', '--prometheus', '-D', cluster.path, '--repo', noWhere()])).stdout,
    );
    expect(metrics.get('walhold_store_up')?.samples).toMatchObject([{ labels: { repository: '1' }, value: 0 }]);
    expect(metrics.get('walhold_rpo_bytes')?.samples).toMatchObject([{ value: 2 * MIB }]);
    expect(metrics.has('walhold_backups')).toBe(false);
  });

  it('takes nothing for safe that a standby’s archiver was never asked for', async () => {
    const standby = primary();
    standby.writeUInt32LE(5, 16);
    standby.writeUInt32LE(crc32c(standby.subarray(0, 288)), 288);
    await cluster.put('global/pg_control', standby);
    for (const segno of [3, 4]) await cluster.putSegment(segno);
    await cluster.put(`pg_wal/archive_status/${nameOf(3)}.done`, '');
    expect(await here('--repo', noWhere())).toMatchObject({ rpoBytes: null, rpoSeconds: null, rpoFrom: null });
  });

  it('goes by the other repositories, and says which one is missing', async () => {
    await putSegments(stored, 3, 5);
    for (const segno of [3, 4, 5, 6]) await cluster.putSegment(segno);
    const found = await here('--repo2', noWhere());
    expect(found).toMatchObject({ exit: 1, rpoBytes: MIB, rpoFrom: 'repositories' });
    expect(found.stderr).toContain(`repository 2 (${noWhere()}) could not be read`);
    expect(found.repositories.map(({ repository, ok }) => [repository, ok])).toEqual([
      [1, true],
      [2, false],
    ]);
  });

  it('tells the rest where the server that was named does not answer', async () => {
    await putSegments(stored, 3, 5);
    const found = await status('-d', 'host=/nonexistent');
    expect(found).toMatchObject({ exit: 1, readyFiles: null, lastStored: { name: nameOf(5) } });
    expect(found.stderr).toContain('warning: could not connect');
    expect(await here('-d', 'host=/nonexistent')).toMatchObject({ exit: 1, readyFiles: 0 });
  });
});

it('figures for Prometheus name the archive, the repository and few timelines', async () => {
  await using second = await FileRepository.create(2);
  await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400), stoppedAt: '2026-11-22T17:46:00Z' });
  await putSegments(stored, 3, 5);
  for (let timeline = 2; timeline <= 9; timeline += 1) {
    const history = Array.from({ length: timeline - 1 }, (_, at) => `${at + 1}\t0/600000\tx\n`).join('');
    await stored.putWal(`0000000${timeline}.history`, history);
    await putSegments(stored, 6, 6, { timeline });
  }
  const url = `file://${stored.root}`;
  const repos = ['--repo', url, '--repo2', `file://${second.root}`];
  const result = await callCompanion(['status', '--prometheus', '-D', cluster.path, ...repos]);
  const families = readExposition(result.stdout);
  for (const { samples } of families.values()) for (const { labels } of samples) expect(labels['archive']).toBe(url);
  expect(families.get('walhold_store_up')?.samples.map(({ labels }) => labels['repository'])).toEqual(['1', '2']);
  const timelines = families.get('walhold_window_start_timestamp_seconds')?.samples;
  expect(timelines?.map(({ labels }) => labels['timeline'])).toEqual(['5', '6', '7', '8', '9']);
  expect(timelines?.[0]?.value).toBe(Date.parse('2026-11-22T17:46:00Z') / 1000);
  expect(families.get('walhold_last_backup_size_bytes')?.samples).toMatchObject([{ labels: { type: 'full' } }]);
  expect(families.get('walhold_backups')?.samples.map(({ value }) => value)).toEqual([1, 0]);
  expect(families.get('walhold_worker_up')?.samples).toMatchObject([{ value: 0 }]);
});

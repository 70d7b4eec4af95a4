import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../../test/support/cluster.ts';
import { NO_ARCHIVING } from '../archive-by.ts';
import { writeSegments } from '../workload.ts';
import { Place } from '../../../test/support/place.ts';
import { CONTENTS, type WalContent } from './wal-content.ts';

export const MEASURED_MAJOR = 15;

/** Data directories of one cluster before and after the transactions of some WAL, and that WAL. No server writes here. */
export interface Wal extends AsyncDisposable {
  /** Stopped; the first of {@link segments} is the one that it writes next. */
  before: string;
  /** Stopped, behind the last of {@link segments}; nearly empty. */
  after: string;
  /** The folder of the segments. */
  folder: string;
  /** Without a gap, oldest first. */
  segments: readonly string[];
}

export interface WalOptions {
  /** As pgbench's: 60 makes 1 GB. */
  scale: number;
  segments: number;
  content: WalContent;
  /** Where it is kept for the next run, or is found; without it, it goes with this process. */
  keep: string | undefined;
}

const SETTINGS = {
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
  wal_keep_size: '64GB',
  archive_mode: 'on',
  archive_command: NO_ARCHIVING,
  log_checkpoints: false,
};

// Pages are easy to compress, and would come in bursts: without them one segment is like the other, and hard.
const WHILE_WRITING = { full_page_writes: false, synchronous_commit: 'off' };

/** Writes the WAL, or takes what an earlier run has kept. */
export async function makeWal(options: WalOptions, tell: (line: string) => void): Promise<Wal> {
  const { keep } = options;
  if (keep !== undefined && existsSync(join(keep, 'segments.json'))) return await openWal(keep, options.segments);
  const place = await Place.create('wal');
  try {
    tell(`a cluster is made, and ${options.segments} segments of WAL full of ${options.content}`);
    await fill(place.path, options);
    if (keep === undefined)
      return {
        ...(await openWal(place.path, options.segments)),
        [Symbol.asyncDispose]: async () => await place[Symbol.asyncDispose](),
      };
    await rename(place.path, keep);
    return await openWal(keep, options.segments);
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

async function openWal(path: string, wanted: number): Promise<Wal> {
  const segments = JSON.parse(await readFile(join(path, 'segments.json'), 'utf8')) as string[];
  if (segments.length < wanted) throw new Error(`${path} holds ${segments.length} segments, not ${wanted}`);
  const [before, after, folder] = ['before', 'after', 'segments'].map((name) => join(path, name));
  return {
    before: before ?? '',
    after: after ?? '',
    folder: folder ?? '',
    segments,
    [Symbol.asyncDispose]: async () => {},
  };
}

async function fill(path: string, { scale, segments: count, content }: WalOptions): Promise<void> {
  const { prepare, script, options, remove } = CONTENTS[content];
  await using cluster = await Cluster.create({ major: MEASURED_MAJOR, name: 'wal-maker', settings: SETTINGS });
  if (!cluster.postgres.hasClients) throw new Error('PostgreSQL 15 with its client programs is needed: pgbench, psql');
  await cluster.start();
  await prepare(cluster, scale);
  await cluster.query('checkpoint');
  await cluster.stop();
  const first = await nextSegment(cluster);
  await forgetWalBefore(cluster, first);
  await cluster.runOk(['cp', '-a', cluster.dataDir, join(path, 'before')]);
  await cluster.configure(WHILE_WRITING);
  await cluster.start();
  const file = await cluster.place.file('content.sql', script);
  const segments = await writeSegments(cluster, count, [...options(scale), '-f', file]);
  if (segments[0] !== first) throw new Error(`the WAL begins with ${segments[0]}, not ${first}`);
  for (const table of remove) await cluster.query(`drop table ${table}`);
  await cluster.query('checkpoint');
  await cluster.stop();
  await cluster.runOk(['mkdir', join(path, 'segments')]);
  for (const name of segments) await rename(join(cluster.dataDir, 'pg_wal', name), join(path, 'segments', name));
  await forgetWalBefore(cluster, await nextSegment(cluster));
  await rename(cluster.dataDir, join(path, 'after'));
  await writeFile(join(path, 'segments.json'), JSON.stringify(segments));
}

/** The segment in which a stopped server goes on. */
async function nextSegment(cluster: Cluster): Promise<string> {
  const { stdout } = await cluster.runOk([join(cluster.postgres.bin, 'pg_controldata'), cluster.dataDir]);
  const found = /REDO WAL file:\s+([0-9A-F]{24})/.exec(stdout)?.[1];
  if (found === undefined) throw new Error('pg_controldata names no WAL file');
  return found;
}

async function forgetWalBefore(cluster: Cluster, segment: string): Promise<void> {
  const folder = join(cluster.dataDir, 'pg_wal');
  const old = (await readdir(folder)).filter((name) => /^[0-9A-F]{24}/.test(name) && name < segment);
  const notes = (await readdir(join(folder, 'archive_status'))).map((name) => join('archive_status', name));
  if (old.length + notes.length > 0)
    await cluster.runOk(['rm', '-f', ...[...old, ...notes].map((name) => join(folder, name))]);
}

import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { callHook } from './hook-call.ts';
import { nameOf, segmentBytes } from './made-segments.ts';
import { PretendCluster, type PretendOptions } from './pretend-cluster.ts';
import { segmentPath } from './repository-files.ts';
import type { RunOptions, RunResult } from './run.ts';
import { waitFor } from './wait-for.ts';
import { workersOf } from './workers.ts';

/** With it a program cannot run, so that whoever is answered was answered by the launcher. */
export const NO_PROGRAM: RunOptions = { env: { NODE_OPTIONS: '--no-such-option' } };

const RECOVERED = 'pg_wal/RECOVERYXLOG';

/** This process plays a server over a data directory that none ever ran in: what it calls, a postmaster calls, and workers serve it. */
export class CallingServer implements AsyncDisposable {
  readonly cluster: PretendCluster;
  /** A folder that will be the repository. */
  readonly repository: string;

  private constructor(cluster: PretendCluster, repository: string) {
    this.cluster = cluster;
    this.repository = repository;
  }

  /** Both are made below `folder`. */
  static async start(folder: string, options: PretendOptions = {}): Promise<CallingServer> {
    const cluster = await PretendCluster.create(join(folder, 'data'), options);
    await mkdir(join(cluster.path, 'pg_wal/archive_status'));
    await cluster.pretendToRun();
    return new CallingServer(cluster, join(folder, 'repo'));
  }

  get path(): string {
    return this.cluster.path;
  }

  get spool(): string {
    return join(this.path, 'pg_wal/pgsql_tmp.walhold');
  }

  get workers(): number[] {
    return workersOf(this.path);
  }

  /** Complete segments that wait for the archiver. */
  async ready(...segnos: number[]): Promise<void> {
    for (const segno of segnos) {
      await this.cluster.putSegment(segno);
      await this.cluster.put(`pg_wal/archive_status/${nameOf(segno)}.ready`, '');
    }
  }

  async push(segno: number, words: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    const argv = ['--repo', `file://${this.repository}`, ...words, `pg_wal/${nameOf(segno)}`];
    return await callHook('walhold-push', this.cluster, argv, options);
  }

  /** As the archiver does when a call said 0. */
  async done(segno: number): Promise<void> {
    const status = join(this.path, 'pg_wal/archive_status', nameOf(segno));
    await rename(`${status}.ready`, `${status}.done`);
  }

  /** Without a worker, and gone from `pg_wal` afterwards. */
  async archive(...segnos: number[]): Promise<void> {
    for (const segno of segnos) {
      await this.cluster.putSegment(segno);
      const { status, stderr } = await this.push(segno, ['--push-ahead', '0']);
      if (status !== 0) throw new Error(`could not archive segment ${segno}: ${stderr}`);
      await unlink(join(this.path, 'pg_wal', nameOf(segno)));
    }
  }

  async fetch(segno: number, words: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    const argv = ['--repo', `file://${this.repository}`, '--gap-grace', '0', ...words, nameOf(segno), RECOVERED];
    return await callHook('walhold-fetch', this.cluster, argv, options);
  }

  /** What a fetch has brought, taken away as a server does. `undefined`: nothing. */
  async takeRecovered(): Promise<Buffer | undefined> {
    const path = join(this.path, RECOVERED);
    if (!existsSync(path)) return undefined;
    const bytes = await readFile(path);
    await unlink(path);
    return bytes;
  }

  /** Whether the segment was brought, every byte of it. */
  async hasRecovered(segno: number): Promise<boolean> {
    return (await this.takeRecovered())?.equals(segmentBytes(segno)) === true;
  }

  isStored(segno: number): boolean {
    return existsSync(segmentPath(this.repository, nameOf(segno)));
  }

  /** The segments that workers have answers for: stored ones, or fetched ones. */
  answers(role: 'push' | 'fetch', spool: string = this.spool): string[] {
    const folders = readdirSync(spool).filter((name) => name.startsWith(`${role}-`) && !name.endsWith('.json'));
    const names = folders.flatMap((folder) => readdirSync(join(spool, folder)));
    return names.filter((name) => /^[0-9A-F]{24}$/.test(name)).toSorted();
  }

  async waitUntilServed(role: 'push' | 'fetch'): Promise<void> {
    await waitFor(() => existsSync(join(this.spool, role)), { what: 'a worker to serve', deadlineMs: 30_000 });
  }

  /** Workers end with their server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(join(this.path, 'postmaster.pid'), { force: true });
    await waitFor(() => this.workers.length === 0, { what: 'the workers to end', deadlineMs: 20_000 });
  }
}

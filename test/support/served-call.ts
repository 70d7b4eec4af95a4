import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VERSION } from '../../src/base/version.ts';
import { settingVariables } from '../../src/config/setting-name.ts';
import { callKey, type PostmasterLines } from '../../src/spool/call-key.ts';
import { readState } from '../../src/spool/file-state.ts';
import { FetchAnswers } from '../../src/spool/fetch-answers.ts';
import { PushAnswers } from '../../src/spool/push-answers.ts';
import { announceService, listedHistories, SERVICE_DIRECTORY, type Role } from '../../src/spool/service.ts';
import { nameOf, segmentBytes } from './made-segments.ts';
import { PretendCluster } from './pretend-cluster.ts';
import { plainEnvironment } from './run.ts';

/** The shells that `/bin/sh` may be, those that this machine has. */
export const SHELLS: readonly (readonly string[])[] = [['dash'], ['bash', '--posix'], ['busybox', 'sh']].filter(
  ([program = '']) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0,
);

/** A data directory whose worker has answered: what a launcher finds when it is called. */
export class ServedCluster {
  readonly cluster: PretendCluster;
  readonly answers: PushAnswers;
  readonly fetched: FetchAnswers;
  /** The configuration file; it does not exist until a test makes it. */
  readonly config: string;

  private constructor(
    cluster: PretendCluster,
    { answers, fetched }: { answers: PushAnswers; fetched: FetchAnswers },
    config: string,
  ) {
    this.cluster = cluster;
    this.answers = answers;
    this.fetched = fetched;
    this.config = config;
  }

  static async create(path: string, { spool }: { spool?: string } = {}): Promise<ServedCluster> {
    const cluster = await PretendCluster.create(path);
    await cluster.pretendToRun();
    await mkdir(join(path, SERVICE_DIRECTORY), { mode: 0o700 });
    const folder = spool ?? join(path, SERVICE_DIRECTORY);
    const answers = await PushAnswers.create(folder, path);
    const fetched = await FetchAnswers.create(folder, path);
    return new ServedCluster(cluster, { answers, fetched }, join(path, 'walhold.conf'));
  }

  get run(): PostmasterLines {
    return [String(process.pid), this.cluster.path, '1700000000'];
  }

  /** A worker, this process by default, announces that it serves such calls. */
  async announce(
    argv: readonly string[],
    { role = 'push', environment = {}, pid = process.pid, polls = 0, run = this.run }: ServiceOptions = {},
  ): Promise<string | undefined> {
    const key = callKey({
      program: `walhold-${role}`,
      version: VERSION,
      run,
      argv,
      environment: { ...plainEnvironment(), ...environment },
      settingVariables: settingVariables(),
    });
    if (key === undefined) return undefined;
    const config = { path: this.config, state: await readState(this.config) };
    const answers = role === 'push' ? this.answers.path : this.fetched.path;
    const service = { key, pid, polls, answers, config };
    const histories = listedHistories(await readdir(join(this.cluster.path, 'pg_wal')));
    const whole = role === 'push' ? service : { ...service, histories };
    await announceService(join(this.cluster.path, SERVICE_DIRECTORY), role, whole);
    return key;
  }

  /** A segment in `pg_wal` that the worker has stored. */
  async store(segno: number): Promise<string> {
    const walPath = await this.cluster.putSegment(segno);
    await this.answer(segno);
    return walPath;
  }

  /** A segment that the worker has fetched. */
  async fetch(segno: number): Promise<void> {
    await writeFile(this.fetched.pathOf(nameOf(segno)), segmentBytes(segno));
  }

  async answer(segno: number): Promise<boolean> {
    const path = join(this.cluster.path, 'pg_wal', nameOf(segno));
    const state = await readState(path);
    return state !== undefined && (await this.answers.stored(nameOf(segno), path, state));
  }

  /** Other bytes of the same size under a segment's name, in place. */
  async overwrite(segno: number): Promise<void> {
    await writeFile(join(this.cluster.path, 'pg_wal', nameOf(segno)), segmentBytes(segno + 1));
  }
}

export interface ServiceOptions {
  role?: Role;
  run?: PostmasterLines;
  environment?: Readonly<Record<string, string>>;
  pid?: number;
  polls?: number;
}

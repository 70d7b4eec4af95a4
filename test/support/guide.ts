import { join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { textsWithPlaces, type DocumentBlock } from './document-blocks.ts';
import { archiveInto, built, restoreCommand, writeConfig } from './hook.ts';
import { installedForOthers } from './installed.ts';
import type { InitOptions } from './initdb.ts';
import type { RunResult } from './run.ts';
import type { Settings } from './server-settings.ts';

/** Where the documents keep everything of PostgreSQL's; in a test this is the cluster's place. */
const SHOWN_HOME = '/var/lib/pgsql';

/** A cluster that archives into a repository of files, as the documents assume one, and runs what they show. */
export class Guide implements AsyncDisposable {
  readonly cluster: Cluster;
  /** The repository's folder. */
  readonly repository: string;
  /** walhold's configuration file, in which `repo` names {@link repository}. */
  readonly config: string;

  /** Over a cluster that is there already, a standby for instance. */
  constructor(cluster: Cluster, repository: string, config: string) {
    this.cluster = cluster;
    this.repository = repository;
    this.config = config;
  }

  /** The cluster runs and archives. */
  static async start(
    options: ClusterOptions & InitOptions = {},
    configuration: (repository: string) => Settings = () => ({}),
  ): Promise<Guide> {
    const cluster = await Cluster.create(options);
    try {
      const repository = await cluster.place.folder('main');
      const settings = { repo: `file://${repository}`, ...configuration(repository) };
      const config = await writeConfig(cluster, settings);
      await archiveInto(cluster, { config });
      // The restored server, too, is to be found here.
      await cluster.configure({
        unix_socket_directories: cluster.socketDir,
        restore_command: await restoreCommand({ config }),
      });
      await cluster.start();
      return new Guide(cluster, repository, config);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs `walhold` with this configuration as the server's user; it must succeed. */
  async walhold(...argv: string[]): Promise<RunResult> {
    return await this.cluster.runOk([await built('walhold'), '--config', this.config, ...argv], { timeoutMs: 120_000 });
  }

  /** A base backup; returns its id. */
  async backUp(): Promise<string> {
    const { cluster } = this;
    const argv = ['backup', '-D', cluster.dataDir, '-d', cluster.connectionString, '-c', 'fast'];
    return (await this.walhold(...argv)).stdout.trim();
  }

  /**
   * Runs blocks of a document, one after the other, in a shell that stops at the first failure, as the server's user, with
   * walhold and PostgreSQL on the PATH.
   *
   * @param places what the document shows, and what it is here; the home of PostgreSQL is known.
   * @returns of the last block.
   * @throws when one does not end with 0.
   */
  async run(blocks: readonly DocumentBlock[], places: Readonly<Record<string, string>> = {}): Promise<RunResult> {
    const result = await this.attempt(blocks, places);
    if (result.status !== 0) {
      throw new Error(`${blocks[0]?.document}: ended with ${result.status}\n${result.stdout}${result.stderr}`);
    }
    return result;
  }

  /** {@link run} for blocks that are shown to fail: the result is of the first that does. */
  async attempt(blocks: readonly DocumentBlock[], places: Readonly<Record<string, string>> = {}): Promise<RunResult> {
    const { cluster, config } = this;
    const known = blocks.some(({ text }) => text.includes(SHOWN_HOME)) ? { [SHOWN_HOME]: cluster.place.path } : {};
    const path = `${await installedForOthers()}/bin:${cluster.postgres.bin}:${cluster.env['PATH'] ?? ''}`;
    const env = { PATH: path, PGHOST: cluster.socketDir, PGPORT: '5432', PGUSER: 'postgres', WALHOLD_CONFIG: config };
    let last: RunResult | undefined;
    for (const script of textsWithPlaces(blocks, { ...places, ...known })) {
      last = await cluster.run(['sh', '-eu', '-c', script], { env, cwd: cluster.place.path, timeoutMs: 180_000 });
      if (last.status !== 0) break;
    }
    if (last === undefined) throw new Error('there is no block to run');
    return last;
  }

  /** The rows of a query to the server that listens on this port of the cluster's socket. */
  async queryAt<Row extends QueryResultRow>(port: number, sql: string): Promise<Row[]> {
    const client = new Client({ host: this.cluster.socketDir, port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** A path in the cluster's place, where the documents have the home of PostgreSQL. */
  path(name: string): string {
    return join(this.cluster.place.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}

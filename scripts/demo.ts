// The story that scripts/demo tells. It checks what it shows, and ends with 1 when anything fails or differs.
import { isDeepStrictEqual } from 'node:util';
import { archiveEverything } from '../test/support/archiving.ts';
import { Cluster } from '../test/support/cluster.ts';
import { fingerprint, type TableFingerprint } from '../test/support/fingerprint.ts';
import { archiveInto, built, writeConfig } from '../test/support/hook.ts';
import { startLoad } from '../test/support/load.ts';
import { waitFor } from '../test/support/wait-for.ts';
import { Story } from './demo-story.ts';

/** How many full segments are archived while clients write, before the backup and again after it. */
const SEGMENTS_UNDER_LOAD = 4;

const LOAD = { clients: 4, payloadBytes: 8000, table: 'orders' };

const LOAD_DEADLINE_MS = 60_000;

class Demo {
  readonly #story = new Story();
  readonly #major: number | undefined;

  constructor(major: number | undefined) {
    this.#major = major;
  }

  async run(): Promise<void> {
    const story = this.#story;
    await story.step('Build walhold, find PostgreSQL', async () => await this.#prepare());
    const { cluster, config } = await story.step('Make a cluster that archives', async () => await this.#create());
    await using original = cluster;
    await story.step('Write, and archive meanwhile', async () => await this.#writeUnderLoad(original));
    await story.step('Take a base backup while clients write', async () => await this.#backUp(original, config));
    await story.step('Go on writing', async () => await this.#writeUnderLoad(original));
    const lost = await story.step('Drop a table by accident', async () => await this.#dropTable(original));
    await using restored = await Cluster.over(undefined, { major: original.postgres.major, name: 'demo-restored' });
    await story.step('Restore into a fresh directory', async () => await this.#restore(restored, config, lost.before));
    await story.step('Replay to the moment before', async () => await this.#replay(restored));
    await story.step('Compare', async () => await this.#compare(original, restored, lost.content));
    story.end();
  }

  async #prepare(): Promise<void> {
    const program = await built('walhold');
    this.#story.say(`walhold is built: ${program}`);
  }

  async #create(): Promise<{ cluster: Cluster; config: string }> {
    const options = { name: 'demo', settings: { fsync: true, shared_buffers: '64MB', timezone: 'UTC' } };
    const cluster = await Cluster.create(this.#major === undefined ? options : { ...options, major: this.#major });
    try {
      this.#story.command('$', `initdb -D ${cluster.dataDir}`);
      const repo = `file://${await cluster.place.folder('repository')}`;
      const config = await writeConfig(cluster, { repo, jobs: 2 });
      this.#story.say(`${config} says: repo = '${repo}'`);
      await archiveInto(cluster, { config });
      this.#story.say(
        `postgresql.conf says: archive_mode = on, archive_command = 'walhold-push --config ${config} %p'`,
      );
      await cluster.start();
      const version = await cluster.value<string>('show server_version');
      this.#story.say(
        `PostgreSQL ${version} runs as ${cluster.user.name}, on a private socket in ${cluster.socketDir}`,
      );
      return { cluster, config };
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #writeUnderLoad(cluster: Cluster): Promise<void> {
    const before = await archivedCount(cluster);
    await using load = await startLoad(cluster, LOAD);
    const archived = async (): Promise<boolean> => (await archivedCount(cluster)) >= before + SEGMENTS_UNDER_LOAD;
    try {
      await waitFor(archived, { what: 'segments to be archived', deadlineMs: LOAD_DEADLINE_MS });
    } catch (error) {
      throw new Error(`too little was archived\n${await cluster.logTail()}`, { cause: error });
    }
    const { committed } = await load.stop();
    const files = (await archivedCount(cluster)) - before;
    this.#story.say(`${LOAD.clients} clients committed ${committed.length} orders; ${files} WAL files are archived`);
  }

  async #backUp(cluster: Cluster, config: string): Promise<void> {
    await using load = await startLoad(cluster, LOAD);
    const argv = ['--config', config, 'backup', '-D', cluster.dataDir, '-d', cluster.connectionString, '-c', 'fast'];
    const id = await this.#walhold(cluster, argv);
    this.#story.say(`${(await load.stop()).committed.length} orders came in meanwhile; the backup is ${id.trim()}`);
  }

  async #dropTable(cluster: Cluster): Promise<{ before: string; content: Record<string, TableFingerprint> }> {
    const content = await fingerprint(cluster);
    this.#story.say(tell('before', content));
    const before = await cluster.value<string>('select clock_timestamp()::text');
    this.#story.command('=#', 'drop table orders;');
    await cluster.query('drop table orders');
    await cluster.query('create table life_goes_on as select generate_series(1, 1000)');
    const last = await archiveEverything(cluster);
    this.#story.say(`it was still there at ${before}; all WAL up to ${last} is archived`);
    return { before, content };
  }

  async #restore(restored: Cluster, config: string, time: string): Promise<void> {
    const target = ['--target-time', time, '--target-action', 'promote'];
    await this.#walhold(restored, ['--config', config, 'restore', '-D', restored.dataDir, ...target]);
  }

  async #replay(restored: Cluster): Promise<void> {
    this.#story.command('$', `pg_ctl -D ${restored.dataDir} start`);
    await restored.start();
    await restored.waitUntilPromoted();
    const log = await restored.logText();
    const stopped = log.split('\n').findLast((line) => line.includes('recovery stopping'));
    if (stopped !== undefined) this.#story.output(stopped.replace(/^.*LOG: {2}/, ''));
  }

  async #compare(original: Cluster, restored: Cluster, lost: Record<string, TableFingerprint>): Promise<void> {
    const found = await fingerprint(restored);
    this.#story.say(tell('restored', found));
    if (!isDeepStrictEqual(found, lost)) throw new Error('the restored rows are not those of before the drop');
    const still = Object.keys(await fingerprint(original));
    this.#story.say(`the same rows, by count and checksum; the original runs on with ${still.join(', ')}`);
  }

  /** Runs the companion as the server's user, shows the command and what it says; returns its stdout. */
  async #walhold(cluster: Cluster, argv: readonly string[]): Promise<string> {
    this.#story.command('$', ['walhold', ...argv.map(shown)].join(' '));
    const result = await cluster.runOk([await built('walhold'), ...argv], { timeoutMs: 120_000 });
    this.#story.output(result.stderr);
    this.#story.output(result.stdout);
    return result.stdout;
  }
}

async function archivedCount(cluster: Cluster): Promise<number> {
  return Number(await cluster.value<string>('select archived_count from pg_stat_archiver'));
}

function tell(when: string, content: Record<string, TableFingerprint>): string {
  const tables = Object.entries(content).map(([name, { rows, digest }]) => `${name}: ${rows} rows, checksum ${digest}`);
  return `${when}: ${tables.join('; ')}`;
}

/** A word as it would be typed. */
function shown(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}

function majorOf(word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  if (!/^1[3-8]$/.test(word)) throw new Error(`"${word}" is not a major version of PostgreSQL from 13 to 18`);
  return Number(word);
}

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  // Ends through the exit listeners, which stop the servers and remove their files.
  process.once(signal, () => process.exit(status));
}

try {
  await new Demo(majorOf(process.argv[2])).run();
  process.stdout.write('\nThe rows are back.\n');
} catch (error) {
  process.stderr.write(`\nThe demonstration failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

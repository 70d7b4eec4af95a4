import { realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { basename } from 'node:path';
import { spawnSync } from 'node:child_process';
import { waitUntilArchived } from '../../../test/support/archiving.ts';
import type { Cluster } from '../../../test/support/cluster.ts';
import { newCase, type Case, type Values } from '../figures.ts';
import { spreadOf } from '../statistics.ts';
import { takeTurns } from '../turns.ts';
import type { Archiver } from './archiver.ts';
import type { Bench } from './bench.ts';
import { bareScript, LAUNCHER_ALONE } from './floors.ts';
import { cp } from './plain-copy.ts';
import { fillAll } from './recovery.ts';
import type { Repository } from './repository.ts';
import { toRecover, withBacklog } from './servers.ts';
import type { Stores } from './stores.ts';
import type { Wal } from './wal.ts';
import { whoCan } from './who-can.ts';

/** Segments that nobody times: the first is the server's own call, which starts what runs behind the calls, then comes one more. */
const BY_SERVER = 1;
const WARM_UP = 2;

/** In the data directory, as soon as the server has made its call. */
const NOTE = 'parked';

/** What runs behind the calls gets this long to prepare its answers, before the first call that counts and between two. */
const HEAD_START_S = 3;
const PAUSE_S = 0.3;

export const CALL_METHOD: readonly string[] = [
  "one call with its answer ready, as the server would make it: `sh -c COMMAND` in the data directory, with the server's environment, by one bash that reads its own clock before and after. Right before each, the same bash times `sh -c true`; added: the median of the differences",
  'the server runs meanwhile and has the same work to do, but after its first segment its own archiver or startup process is parked in a loop of the shell, so that nobody else takes the answers. A tool that works behind the calls has had the time to do so; of the others this is the whole of their work',
  `${LAUNCHER_ALONE}: a script of one line, for a push \`[ -f FILE ]\`, for a fetch \`ln -f\`, without any server: what a launcher that is a script takes that does just this`,
  'walhold is called through `/bin/sh`, and by other shells that read the same launcher',
];

const MEASURES = [
  { key: 'ms', title: 'ms', main: true },
  { key: 'addedMs', title: 'ms added to `sh -c true`' },
  { key: 'slowestMs', title: 'slowest' },
  { key: 'shMs', title: '`sh -c true`, ms' },
] as const;

/** A contender and the shell that reads its launcher, if that is not the system's. */
interface Caller {
  name: string;
  archiver: Archiver;
  shell: string;
}

interface Contender {
  name: string;
  trial: () => Promise<Values>;
}

/** What a single call costs for which everything has been done before. Repositories in folders: the store does not matter. */
export async function call(bench: Bench, cases: Case[]): Promise<void> {
  const names = bench.wal.segments.slice(0, bench.options.calls + WARM_UP);
  await callToPush(bench, cases, names);
  await callToFetch(bench, cases, names);
}

async function callToPush(
  { wal, archivers, stores, options, tell }: Bench,
  cases: Case[],
  names: readonly string[],
): Promise<void> {
  const one = newCase('A push whose segment is stored already', 'walhold', MEASURES);
  cases.push(one);
  const callers = withShells(whoCan(one, archivers, 'files')).map(({ name, archiver, shell }): Contender => {
    const trial = async (): Promise<Values> => {
      const repository = await stores.repository('files');
      const { length } = names;
      const server = await parked(async (archive) => await withBacklog(wal, length, archiver, repository, { archive }));
      const values = await pushes(server, repository, names, shell);
      await repository.remove();
      return values;
    };
    return { name, trial };
  });
  const all = [...callers, bare('push', wal, stores, names)];
  await takeTurns(one, all, { rounds: options.rounds, tell }, async ({ trial }) => await trial());
}

/** Where the segments lie in `pg_wal`, and no server runs. */
function bare(role: 'push' | 'fetch', wal: Wal, stores: Stores, names: readonly string[]): Contender {
  const trial = async (): Promise<Values> => {
    const repository = await stores.repository('files');
    await using server = await withBacklog(wal, names.length, await cp(), repository);
    const script = await bareScript(server.place, role);
    const path = (name: string): string => (role === 'push' ? `pg_wal/${name}` : `${name} pg_wal/RECOVERYXLOG`);
    const values = await timed(
      server,
      names.slice(WARM_UP).map((name) => `${script} ${path(name)}`),
    );
    await repository.remove();
    return values;
  };
  return { name: LAUNCHER_ALONE, trial };
}

async function callToFetch(bench: Bench, cases: Case[], names: readonly string[]): Promise<void> {
  const { wal, archivers, stores, options, tell } = bench;
  const one = newCase('A fetch whose segment is there already', 'walhold', MEASURES);
  cases.push(one);
  await using filled = await fillAll(bench, one, whoCan(one, archivers, 'files'), 'files', names.length);
  const repositories = new Map(filled.all.map(({ archiver, repository }) => [archiver, repository]));
  const callers = withShells([...repositories.keys()]).map(({ name, archiver, shell }): Contender => {
    const trial = async (): Promise<Values> => {
      const repository = repositories.get(archiver);
      if (repository === undefined) throw new Error('its repository was not filled');
      const server = await parked(async (restore) => await toRecover(wal, archiver, repository, { restore }));
      return await fetches(server, names, shell);
    };
    return { name, trial };
  });
  const all = [...callers, bare('fetch', wal, stores, names)];
  await takeTurns(one, all, { rounds: options.rounds, tell }, async ({ trial }) => await trial());
}

/** A stopped server whose own command will wait for ever after its first segment, and what it would be. */
interface Parked {
  cluster: Cluster;
  command: string;
}

async function parked(make: (park: (command: string) => string) => Promise<Cluster>): Promise<Parked> {
  let command = '';
  const cluster = await make((own) => {
    command = own;
    const wait = `if [ -e ${NOTE} ]; then while :; do sleep 1; done; fi; : >${NOTE}`;
    return `case %f in *.history) ;; *) ${wait} ;; esac; ${own}`;
  });
  return { cluster, command };
}

async function pushes(
  { cluster, command }: Parked,
  repository: Repository,
  names: readonly string[],
  shell: string,
): Promise<Values> {
  await using server = cluster;
  await server.start();
  const [first = '', ...rest] = names;
  await waitUntilArchived(server, first);
  const commands = rest.map((name) => filled(command, name, `pg_wal/${name}`, shell));
  await warmUp(server, commands);
  await untilNoMoreIsStored(repository, new Set(names));
  return await timed(server, commands.slice(WARM_UP - BY_SERVER));
}

/** All of it is, where somebody works behind the calls. */
async function untilNoMoreIsStored(repository: Repository, names: ReadonlySet<string>): Promise<void> {
  let last = -1;
  for (let now = 0; now > last && now < names.size; now = (await repository.stored(names)).names) {
    last = now;
    await delay(HEAD_START_S * 1000);
  }
}

async function fetches({ cluster, command }: Parked, names: readonly string[], shell: string): Promise<Values> {
  await using server = cluster;
  await server.start({ until: 'nothing' });
  const [first = '', ...rest] = names;
  await server.waitForLog(new RegExp(`restored log file "${first}"`));
  const commands = rest.map((name) => filled(command, name, 'pg_wal/RECOVERYXLOG', shell));
  await warmUp(server, commands);
  return await timed(server, commands.slice(WARM_UP - BY_SERVER));
}

async function warmUp(server: Cluster, commands: readonly string[]): Promise<void> {
  for (const command of commands.slice(0, WARM_UP - BY_SERVER)) {
    await server.runOk(['sh', '-c', command], { cwd: server.dataDir });
  }
}

// The server takes what a fetch has brought out of the way before it asks again, and so does this.
// Prints, for each line of its input: the command's status, and the microseconds before and after `sh -c true` and after the command.
const TIMER = `
sleep ${HEAD_START_S}
while IFS= read -r command; do
  rm -f pg_wal/RECOVERYXLOG
  sleep ${PAUSE_S}
  a=\${EPOCHREALTIME/[.,]/}
  sh -c true
  b=\${EPOCHREALTIME/[.,]/}
  sh -c "$command" </dev/null
  status=$?
  c=\${EPOCHREALTIME/[.,]/}
  echo "$status $a $b $c"
done`;

async function timed(server: Cluster, commands: readonly string[]): Promise<Values> {
  const { stdout, stderr } = await server.runOk(['bash', '-c', TIMER], {
    cwd: server.dataDir,
    input: `${commands.join('\n')}\n`,
    timeoutMs: commands.length * 5_000 + 60_000,
  });
  const calls = stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [status = 1, a = 0, b = 0, c = 0] = line.split(' ').map(Number);
      if (status !== 0) throw new Error(`a call ended with ${status}: ${stderr}`);
      return { sh: (b - a) / 1000, ms: (c - b) / 1000 };
    });
  if (calls.length !== commands.length) throw new Error(`${calls.length} of ${commands.length} calls were made`);
  const { median, max } = spreadOf(calls.map(({ ms }) => ms));
  return {
    ms: median,
    addedMs: spreadOf(calls.map(({ ms, sh }) => ms - sh)).median,
    slowestMs: max,
    shMs: spreadOf(calls.map(({ sh }) => sh)).median,
  };
}

/** As the server replaces its placeholders. The launchers are scripts, which any shell can be told to read. */
function filled(command: string, name: string, path: string, shell: string): string {
  const values: Readonly<Record<string, string>> = { '%p': path, '%f': name, '%%': '%' };
  const text = command.replaceAll(/%[pf%]/g, (found) => values[found] ?? found);
  return shell === '' ? text : `${shell} ${text}`;
}

/** walhold once more for each further shell of this machine. */
function withShells(archivers: readonly Archiver[]): Caller[] {
  const system = basename(realpathSync('/bin/sh'));
  const others = ['dash', 'bash', 'busybox sh'].filter((shell) => !shell.startsWith(system) && works(shell));
  return archivers.flatMap((archiver) => {
    const shells = archiver.name === 'walhold' ? ['', ...others] : [''];
    return shells.map((shell) => ({ name: shell === '' ? archiver.name : `walhold by ${shell}`, archiver, shell }));
  });
}

function works(shell: string): boolean {
  const [program = '', ...words] = shell.split(' ');
  return spawnSync(program, [...words, '-c', 'exit 0']).status === 0;
}

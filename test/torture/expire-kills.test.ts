/** `walhold expire` against SIGKILL at any moment: what is needed stays, and the next run finishes what was begun. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ExpireJson } from '../../src/commands/expire/expire-output.ts';
import type { ListJson } from '../../src/commands/list.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import { parseExpiredRecord } from '../../src/repository/retention/expired-record.ts';
import { callCompanion, jsonOf } from '../support/companion-call.ts';
import { LONG } from '../support/effort.ts';
import { GOING, KEPT, NEWEST, putExpirable } from '../support/expirable.ts';
import type { Fault } from '../support/fake-s3-faults.ts';
import { asUsual } from '../support/fake-s3-faults.ts';
import type { FakeBucket } from '../support/fake-s3-bucket.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { FileRepository } from '../support/file-repository.ts';
import { built } from '../support/hook.ts';
import { seededNumbers } from '../support/killer.ts';

const SEED = Number(process.env['WALHOLD_TEST_SEED'] ?? 20261122);
/** Repositories, and how often each is killed in before a run may end. */
const WORLDS = LONG ? 40 : 4;
const KILLS = 4;

/** Where an expire runs, and what is there. */
interface World {
  settings: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** Every object by its key. */
  contents(): Promise<Map<string, Buffer>>;
  /** Kills the process at some moment of its work; answers whether that came before its end. */
  killDuring(run: ChildProcess): Promise<boolean>;
}

describe(`with seed ${SEED}`, () => {
  test('a directory keeps what is needed', async () => {
    await using template = await FileRepository.create();
    await putExpirable(template);
    const random = seededNumbers(SEED);
    let kills = 0;
    for (let n = 0; n < WORLDS; n += 1) {
      await using repository = await FileRepository.create();
      await cp(template.root, repository.root, { recursive: true });
      kills += await torture(directoryWorld(repository.root, random));
    }
    expect(kills).toBeGreaterThan(WORLDS);
  });

  test('a bucket with versions keeps what is needed', async () => {
    await using template = await FileRepository.create();
    await putExpirable(template);
    const random = seededNumbers(SEED + 1);
    let kills = 0;
    for (let n = 0; n < WORLDS; n += 1) {
      await using fake = await FakeS3.start();
      kills += await torture(await bucketWorld(fake, template.root, random));
    }
    expect(kills).toBeGreaterThan(2 * WORLDS);
  });
});

/** Answers how often a run was killed. */
async function torture(world: World): Promise<number> {
  const before = await world.contents();
  const told = jsonOf<ExpireJson>(await call(world, ['expire', '--dry-run', '--json', '--retention-full', '1']));
  const doomed = new Set(told.removed);
  expect(doomed.size).toBeGreaterThan(20);
  let kills = 0;
  for (let attempt = 0; attempt < KILLS; attempt += 1) {
    if (await world.killDuring(await startExpire(world))) kills += 1;
    await requireKept(world, before, doomed);
    const verify = jsonOf<VerifyJson>(await call(world, ['verify', '--quick', '--json']));
    expect(verify.problems).toEqual([]);
  }
  const last = await call(world, ['expire', '--json', '--retention-full', '1']);
  expect(last).toMatchObject({ status: 0, stderr: '' });
  const after = await world.contents();
  const kept = [...before.keys()].filter((key) => !doomed.has(key));
  expect(stored(after)).toEqual(kept.toSorted());
  requireIndex(after, doomed);
  expect(jsonOf<ExpireJson>(await call(world, ['expire', '--json', '--retention-full', '1'])).removed).toEqual([]);
  expect(await world.contents()).toEqual(after);
  const { backups, gaps } = jsonOf<ListJson>(await call(world, ['list', '--json']));
  expect([backups.map(({ id }) => id), gaps]).toEqual([[KEPT, NEWEST], []]);
  return kills;
}

/** Nothing but what is doomed is gone, and nothing has another content; of a backup its record goes first. */
async function requireKept(
  world: World,
  before: ReadonlyMap<string, Buffer>,
  doomed: ReadonlySet<string>,
): Promise<void> {
  const now = await world.contents();
  for (const [key, bytes] of before) {
    const found = now.get(key);
    if (found === undefined) expect(doomed.has(key), key).toBe(true);
    else expect(found.equals(bytes), key).toBe(true);
  }
  for (const id of GOING) {
    if (!now.has(`backup/${id}/backup.json`)) continue;
    const own = [...before.keys()].filter((key) => key.startsWith(`backup/${id}/`));
    expect(own.filter((key) => !now.has(key))).toEqual([]);
  }
}

/** What the records name together is what is gone, and no more. */
function requireIndex(after: ReadonlyMap<string, Buffer>, doomed: ReadonlySet<string>): void {
  const records = [...after]
    .filter(([key]) => key.startsWith('expired/'))
    .map(([key, bytes]) => parseExpiredRecord(bytes, key));
  expect(records.length).toBeGreaterThan(0);
  const backups = new Set(records.flatMap((record) => record.backups));
  expect([...backups].toSorted()).toEqual(GOING.toSorted());
  const isNamed = (key: string): boolean => {
    const segno = BigInt(`0x${/([0-9A-F]{8})\.zst$/.exec(key)?.[1] ?? ''}`);
    return records.some(({ wal }) => wal.some(({ first, last }) => first <= segno && segno <= last));
  };
  for (const key of doomed) if (key.startsWith('wal/')) expect(isNamed(key), key).toBe(true);
  for (const key of after.keys()) if (/^wal\/.*[0-9A-F]{24}\.zst$/.test(key)) expect(isNamed(key), key).toBe(false);
}

function stored(contents: ReadonlyMap<string, Buffer>): string[] {
  return [...contents.keys()].filter((key) => !key.startsWith('expired/')).toSorted();
}

async function call({ settings, environment }: World, argv: readonly string[]): ReturnType<typeof callCompanion> {
  const own = Object.fromEntries(Object.keys(environment).map((name) => [name, process.env[name]]));
  Object.assign(process.env, environment);
  try {
    return await callCompanion([...argv, ...settings]);
  } finally {
    for (const [name, value] of Object.entries(own)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** The built program, in a process group of its own. */
async function startExpire({ settings, environment }: World): Promise<ChildProcess> {
  const argv = ['expire', '--retention-full', '1', '--jobs', '2', ...settings];
  const env = { ...process.env, ...environment };
  return spawn(await built('walhold'), argv, { env, stdio: 'ignore', detached: true });
}

/** The launcher and the program that it may have started. */
function kill(run: ChildProcess): boolean {
  if (run.pid === undefined || run.exitCode !== null || run.signalCode !== null) return false;
  return process.kill(-run.pid, 'SIGKILL');
}

function directoryWorld(root: string, random: (limit: number) => number): World {
  return {
    settings: ['--repo', `file://${root}`],
    environment: {},
    contents: async () => {
      const found = await readdir(root, { recursive: true, withFileTypes: true });
      // What a killed run had not named yet is no object, and goes after a day.
      const objects = found.filter((one) => one.isFile() && !one.parentPath.endsWith('/.walhold-tmp'));
      const paths = objects.map((one) => join(one.parentPath, one.name));
      return new Map(
        await Promise.all(
          paths.map(async (path) => [path.slice(root.length + 1), await readFile(path)] as [string, Buffer]),
        ),
      );
    },
    killDuring: async (run) => {
      const ended = once(run, 'exit') as Promise<[number | null, string | null]>;
      let left = random(14);
      const seen = (): void => {
        left -= 1;
        if (left <= 0) kill(run);
      };
      const folders = ['', 'wal/00000001/0000000100000000', ...GOING.map((id) => `backup/${id}`)];
      const watched = folders.map((folder) => join(root, folder)).filter((path) => existsSync(path));
      const watchers = watched.map((path) => watch(path, seen));
      const [, signalled] = await ended;
      for (const watcher of watchers) watcher.close();
      return signalled === 'SIGKILL';
    },
  };
}

async function bucketWorld(fake: FakeS3, root: string, random: (limit: number) => number): Promise<World> {
  const bucket: FakeBucket = fake.makeBucket('expiring', { lock: {} });
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  for (const one of found.filter((each) => each.isFile())) {
    const path = join(one.parentPath, one.name);
    bucket.add(`main/${path.slice(root.length + 1)}`, await readFile(path));
  }
  const place = ['--repo', 's3://expiring/main', '--s3-endpoint', fake.endpoint, '--s3-path-style', 'on'];
  return {
    settings: [...place, '--s3-region', fake.region],
    environment: { AWS_ACCESS_KEY_ID: fake.accessKey, AWS_SECRET_ACCESS_KEY: fake.secretKey },
    contents: () => {
      const all = [...bucket.versions].map(([key, versions]): [string, Buffer] => {
        expect(versions).toHaveLength(1);
        return [key.slice('main/'.length), versions[0]?.bytes ?? Buffer.alloc(0)];
      });
      return Promise.resolve(new Map(all));
    },
    killDuring: async (run) => {
      const ended = once(run, 'exit') as Promise<[number | null, string | null]>;
      const isDone = random(2) === 0;
      const dies: Fault = (_, carryOut, response) => {
        if (isDone) carryOut();
        kill(run);
        response.destroy();
      };
      fake.fail(asUsual, { times: 1 + random(50) });
      fake.fail(dies);
      const [, signalled] = await ended;
      fake.forget();
      return signalled === 'SIGKILL';
    },
  };
}

import { existsSync, readFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRoot } from '../../scripts/server-user.ts';
import { CallingServer, NO_PROGRAM } from '../support/calling-server.ts';
import { mount, noMount, unmount } from '../support/mount.ts';
import { Place } from '../support/place.ts';
import { run, type RunOptions, type RunResult } from '../support/run.ts';
import { waitFor } from '../support/wait-for.ts';

let place: Place;
let server: CallingServer;
let elsewhere: string;

beforeEach(async () => {
  place = await Place.create('spool', 'current user');
  server = await CallingServer.start(place.path);
  elsewhere = join(place.path, 'spool');
});
afterEach(async () => {
  if (isRoot()) await run(['chattr', '-i', server.spool]);
  await server[Symbol.asyncDispose]();
  for (const path of [server.spool, elsewhere]) unmount(path);
  await place[Symbol.asyncDispose]();
});

/** What was said before is remembered here, if anywhere. */
const options = (): RunOptions => ({ env: { TMPDIR: place.path } });

/** A filesystem of its own, in which nothing fits any more. */
async function fill(path: string): Promise<void> {
  for (let at = 0; ; at += 1) {
    const isFull = await appendFile(join(path, 'filler'), Buffer.alloc(4096, at)).catch(() => true);
    if (isFull === true) return;
  }
}

interface Trouble {
  what: string;
  needsMount?: boolean;
  /** Returns the words that name the spool. */
  make: () => Promise<string[]>;
}

const onTmpfs = async (path: string, flags: string): Promise<void> => {
  await mkdir(path, { mode: 0o700 });
  mount('tmpfs', path, `size=64k,mode=700${flags}`);
};

const TROUBLES: Trouble[] = [
  {
    what: 'full',
    needsMount: true,
    make: async () => {
      await onTmpfs(server.spool, '');
      await fill(server.spool);
      return [];
    },
  },
  {
    what: 'full, elsewhere',
    needsMount: true,
    make: async () => {
      await onTmpfs(elsewhere, '');
      await fill(elsewhere);
      return ['--spool-path', elsewhere];
    },
  },
  {
    what: 'without room for one more file',
    needsMount: true,
    make: async () => {
      await onTmpfs(server.spool, ',nr_inodes=1');
      return [];
    },
  },
  {
    what: 'read-only',
    needsMount: true,
    make: async () => {
      await onTmpfs(server.spool, ',ro');
      return [];
    },
  },
  {
    what: 'denied',
    make: async () => {
      await mkdir(server.spool, { mode: 0o500 });
      if (isRoot()) await run(['chattr', '+i', server.spool]);
      return [];
    },
  },
  {
    what: 'a file',
    make: async () => {
      await writeFile(server.spool, '');
      return [];
    },
  },
  { what: 'below a missing folder', make: async () => ['--spool-path', join(place.path, 'no/spool')] },
  { what: 'of too long a name', make: async () => ['--spool-path', join(place.path, 'x'.repeat(300))] },
  { what: 'of too long a path', make: async () => ['--spool-path', `${place.path}${'/x'.repeat(2500)}`] },
];

const warningsOf = (results: readonly RunResult[]): string[] =>
  results.flatMap(({ stderr }) => stderr.split('\n').filter((line) => line.includes('warning:')));

describe.each(TROUBLES)('with a spool that is $what', ({ needsMount = false, make }) => {
  it.skipIf(needsMount && noMount !== undefined)(
    'pushes and fetches go the direct way, with one warning among them',
    async () => {
      const words = await make();
      const calls: RunResult[] = [];
      for (const segno of [5, 6]) {
        await server.ready(segno);
        calls.push(await server.push(segno, words, options()));
        expect(server.isStored(segno)).toBe(true);
        await server.done(segno);
      }
      await server.cluster.put('recovery.signal', '');
      calls.push(await server.fetch(6, words, options()));
      expect(await server.hasRecovered(6)).toBe(true);
      calls.push(await server.fetch(7, words, options()));
      expect(await server.takeRecovered()).toBeUndefined();
      expect(calls.map(({ status }) => status)).toEqual([0, 0, 0, 1]);
      expect(warningsOf(calls)).toHaveLength(1);
      expect(warningsOf(calls)[0]).toContain('in the spool');
    },
  );
});

describe('a worker that cannot use its spool', () => {
  it('is not tried again by each call', async () => {
    const words = ['--spool-path', join(place.path, 'no/spool')];
    const call = async (segno: number): Promise<void> => {
      await server.ready(segno);
      expect(await server.push(segno, words, options())).toMatchObject({ status: 0 });
      await server.done(segno);
    };
    await call(5);
    await waitFor(() => ended().length === 1, { what: 'the worker to end', deadlineMs: 15_000 });
    await call(6);
    await call(7);
    expect(server.workers).toEqual([]);
    expect(ended()).toHaveLength(1);
  });

  /** What workers said last. */
  const ended = (): string[] => {
    const log = join(server.spool, 'worker.log');
    return existsSync(log) ? (readFileSync(log, 'utf8').match(/error: .*/g) ?? []) : [];
  };
});

describe('a spool that fills up under a worker', () => {
  /** For whoever looks at the note that no worker could serve. */
  const aMinuteLater = async (): Promise<void> => {
    const note = join(server.spool, 'unserved.json');
    if (!existsSync(note)) return;
    const fields = JSON.parse(readFileSync(note, 'utf8')) as { at: number };
    await writeFile(note, JSON.stringify({ ...fields, at: fields.at - 61_000 }));
  };

  it.skipIf(noMount !== undefined)(
    'ends it: pushes are done and true, and another comes when there is room',
    async () => {
      await onTmpfs(server.spool, '');
      await server.ready(4);
      expect(await server.push(4, [], options())).toMatchObject({ status: 0, stderr: '' });
      await server.done(4);
      await server.waitUntilServed('push');
      await fill(server.spool);
      await server.ready(5, 6, 7);
      for (const segno of [5, 6, 7]) {
        expect(await server.push(segno, [], options())).toMatchObject({ status: 0 });
        expect(server.isStored(segno)).toBe(true);
        await server.done(segno);
      }
      await rm(join(server.spool, 'filler'));
      await aMinuteLater();
      await server.ready(8);
      expect(await server.push(8, [], options())).toMatchObject({ status: 0 });
      await server.done(8);
      await server.waitUntilServed('push');
      await server.ready(9);
      await waitFor(() => server.answers('push').length === 1, { what: 'an answer', deadlineMs: 15_000 });
      expect(await server.push(9, [], NO_PROGRAM)).toMatchObject({ status: 0, stderr: '' });
    },
  );

  it.skipIf(noMount !== undefined)('leaves fetches to the direct way, and cuts none short', async () => {
    await server.archive(4, 5, 6, 7, 8);
    await server.cluster.put('recovery.signal', '');
    // Room for two segments and a half.
    await rm(server.spool, { recursive: true, force: true });
    await mkdir(server.spool, { mode: 0o700 });
    mount('tmpfs', server.spool, 'size=2560k,mode=700');
    for (const segno of [4, 5, 6, 7, 8]) {
      expect(await server.fetch(segno, [], options())).toMatchObject({ status: 0 });
      expect(await server.hasRecovered(segno)).toBe(true);
      if (segno === 4) {
        await server.waitUntilServed('fetch');
        await waitFor(() => server.answers('fetch').length >= 2, { what: 'what fits to be there', deadlineMs: 15_000 });
      }
    }
    expect((await server.fetch(9, [], options())).status).toBe(1);
    expect(existsSync(join(server.path, 'pg_wal/RECOVERYXLOG'))).toBe(false);
  });
});

describe('what was said', () => {
  it('is remembered by this user alone, for an hour, and said of each trouble', async () => {
    await writeFile(server.spool, '');
    const say = async (segno: number): Promise<number> => {
      await server.ready(segno);
      return warningsOf([await server.push(segno, [], options())]).length;
    };
    const notes = async (): Promise<string[]> =>
      (await readdir(place.path)).filter((name) => name.startsWith('walhold-')).map((name) => join(place.path, name));
    expect(await say(5)).toBe(1);
    const [note = '', ...others] = await notes();
    expect(others).toEqual([]);
    expect((await stat(note)).mode & 0o777).toBe(0o600);
    expect(await say(6)).toBe(0);
    await utimes(note, Date.now() / 1000 - 3700, Date.now() / 1000 - 3700);
    expect(await say(7)).toBe(1);
    await rm(note);
    await symlink('/dev/null', note);
    expect(await say(8)).toBe(1);
  });
});

import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, symlink, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LONG } from '../support/effort.ts';
import { FileRepository } from '../support/file-repository.ts';
import { callHook } from '../support/hook-call.ts';
import { nameOf, putSegments, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { PretendCluster } from '../support/pretend-cluster.ts';
import type { RunOptions, RunResult } from '../support/run.ts';
import { WalBuilder } from '../support/wal-builder.ts';

let place: Place;
let cluster: PretendCluster;
let stored: FileRepository;
let target: string;

beforeEach(async () => {
  place = await Place.create('fetch');
  cluster = await PretendCluster.create(join(place.path, 'data'));
  stored = await FileRepository.create();
  target = join(cluster.path, 'pg_wal/RECOVERYXLOG');
});
afterEach(async () => {
  await stored[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const fetchFile = async (name: string, words: readonly string[] = [], options?: RunOptions): Promise<RunResult> =>
  await callHook(
    'walhold-fetch',
    cluster,
    ['--repo', stored.repository.url, '--gap-grace', '0', ...words, name, 'pg_wal/RECOVERYXLOG'],
    options,
  );
const becomeStandby = async (): Promise<string> => await cluster.put('standby.signal', '');
const history = (timeline: number, segno: number): string => `${timeline}\t0/${segno.toString(16)}00100\twhy\n`;

describe('a fetch', () => {
  it('puts the verified segment in place and says nothing', async () => {
    await putSegments(stored, 5, 5);
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect((await readFile(target)).equals(segmentBytes(5))).toBe(true);
    expect(await readdir(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'))).toEqual([]);
  });

  it('replaces what lies there', async () => {
    await putSegments(stored, 5, 5);
    await cluster.put('pg_wal/RECOVERYXLOG', 'old');
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 0 });
    expect((await readFile(target)).equals(segmentBytes(5))).toBe(true);
  });

  it('brings history files and labels', async () => {
    await stored.putWal('00000002.history', history(1, 5));
    await stored.putWal(`${nameOf(5)}.00000028.backup`, 'label');
    expect(await fetchFile('00000002.history')).toMatchObject({ status: 0, stderr: '' });
    expect(await readFile(target, 'utf8')).toBe(history(1, 5));
    expect(await fetchFile(`${nameOf(5)}.00000028.backup`)).toMatchObject({ status: 0, stderr: '' });
  });

  it('answers 1, quietly, for what is proven absent', async () => {
    await putSegments(stored, 5, 5);
    await stored.putWal(`${nameOf(6)}.00000028.backup`, 'a label is no segment');
    for (const name of [nameOf(6), '00000002.history', '00000001.history', `${nameOf(5)}.00000028.backup`]) {
      expect(await fetchFile(name)).toMatchObject({ status: 1, stdout: '', stderr: '' });
    }
    expect(existsSync(target)).toBe(false);
  });

  it('never serves a .partial', async () => {
    await putSegments(stored, 5, 5);
    expect(await fetchFile(`${nameOf(5)}.partial`)).toMatchObject({ status: 1 });
  });

  it('for pg_rewind leaves the spool alone and works from anywhere', async () => {
    await putSegments(stored, 5, 5);
    const result = await callHook('walhold-fetch', cluster, [nameOf(5), target, '--repo', stored.repository.url], {
      cwd: '/',
    });
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect((await readFile(target)).equals(segmentBytes(5))).toBe(true);
    expect(await readdir(join(cluster.path, 'pg_wal'))).toEqual(['RECOVERYXLOG']);
  });

  it('works with a pg_wal that is a link to another filesystem', async () => {
    await putSegments(stored, 5, 5);
    const elsewhere = join('/dev/shm', `walhold-fetch-${process.pid}`);
    await mkdir(elsewhere);
    try {
      await rm(join(cluster.path, 'pg_wal'), { recursive: true });
      await symlink(elsewhere, join(cluster.path, 'pg_wal'));
      expect(await fetchFile(nameOf(5))).toMatchObject({ status: 0, stderr: '' });
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  it.each([
    ['lies on another filesystem', '/dev/shm/walhold-fetch-spool'],
    ['cannot be made', '/proc/walhold-spool'],
  ])('works with a spool that %s', async (_, spool) => {
    await putSegments(stored, 5, 5);
    try {
      expect(await fetchFile(nameOf(5), ['--spool-path', spool])).toMatchObject({ status: 0 });
      expect((await readFile(target)).equals(segmentBytes(5))).toBe(true);
      expect(await readdir(join(cluster.path, 'pg_wal'))).toEqual(['RECOVERYXLOG']);
    } finally {
      await rm(spool, { recursive: true, force: true });
    }
  });

  it('works without a data directory, by what the repository says of its cluster', async () => {
    await putSegments(stored, 5, 5);
    const words = [nameOf(5), join(place.path, 'out'), '--repo', stored.repository.url];
    const result = await callHook('walhold-fetch', cluster, words, { cwd: place.path });
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect((await readFile(join(place.path, 'out'))).equals(segmentBytes(5))).toBe(true);
  });
});

describe('a damaged object', () => {
  it('is never handed over, whichever bit is flipped', async () => {
    const key = await stored.putWal(nameOf(5), segmentBytes(5));
    const path = join(stored.root, key);
    const good = await readFile(path);
    // Every byte of the description and of the frame's start, then every 97th byte, one bit each; in CI one of three.
    const places = [
      ...Array.from({ length: 40 }, (_, at) => at),
      ...Array.from({ length: 30 }, (_, at) => 40 + at * 97),
    ].filter((_, index) => LONG || index % 3 === 0);
    for (const at of places.filter((place) => place < good.length)) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(path, bad);
      const result = await fetchFile(nameOf(5));
      expect([at, result.status]).toEqual([at, 200]);
      expect(result.stderr).toContain('error: could not trust');
      expect(existsSync(target)).toBe(false);
    }
  }, 120_000);

  it.each([0, 1, 11, 100, 400, 600])('is never handed over when it was cut at byte %d', async (length) => {
    const key = await stored.putWal(nameOf(5), segmentBytes(5));
    await truncate(join(stored.root, key), length);
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 200 });
    expect(existsSync(target)).toBe(false);
  });

  const builder = (options: ConstructorParameters<typeof WalBuilder>[0]): Buffer => {
    const made = new WalBuilder(options);
    made.record();
    made.switchSegment();
    return made.segment(0);
  };
  const wrong: [string, () => Buffer, string][] = [
    ['another segment', () => segmentBytes(6), 'page address is 0/600000, expected 0/500000'],
    ['a segment of a later timeline', () => segmentBytes(5, 2), 'header timeline is 00000002'],
    ['a segment of another cluster', () => builder({ segno: 5n, systemId: 9n }), 'system identifier is 9, expected'],
    [
      'a segment of half the size',
      () => segmentBytes(5).subarray(0, 524_288),
      'file size is 524288 bytes, expected 1048576 bytes',
    ],
  ];
  it.each(wrong)('is what holds %s under the name', async (_, bytes, reason) => {
    await stored.putWal(nameOf(5), bytes());
    const result = await fetchFile(nameOf(5));
    expect(result.status).toBe(200);
    expect(result.stderr).toContain(reason);
    expect(existsSync(target)).toBe(false);
  });

  it('is what says that it belongs to another cluster', async () => {
    await stored.putWal('00000002.history', history(1, 5), { systemId: '9' });
    const result = await fetchFile('00000002.history');
    expect(result.status).toBe(200);
    expect(result.stderr).toContain('system identifier is 9');
  });

  it('is what claims a size that no segment has', async () => {
    await stored.putWal(nameOf(5), Buffer.alloc(3 * 1024 * 1024));
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 200 });
  });

  it('in one repository is read from the next, which is said', async () => {
    await using second = await FileRepository.create(2);
    const key = await stored.putWal(nameOf(5), segmentBytes(5));
    await truncate(join(stored.root, key), 400);
    await putSegments(second, 5, 5);
    const result = await fetchFile(nameOf(5), ['--repo2', second.repository.url]);
    expect(result.status).toBe(0);
    expect(result.stderr).toContain(`warning: could not read ${nameOf(5)} from ${stored.repository.url}`);
    expect((await readFile(target)).equals(segmentBytes(5))).toBe(true);
  });

  it('everywhere lets a standby go on, with an error', async () => {
    await becomeStandby();
    const key = await stored.putWal(nameOf(5), segmentBytes(5));
    await truncate(join(stored.root, key), 400);
    const result = await fetchFile(nameOf(5));
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`error: going on without ${nameOf(5)}: could not trust`);
  });
});

describe('absence', () => {
  it.each([
    ['a repository without an identity', async () => await unlink(join(stored.root, 'walhold.json'))],
    ['a repository whose directory is gone', async () => await rm(stored.root, { recursive: true })],
    [
      'an empty directory, as an unmounted share looks',
      async () => {
        await rm(stored.root, { recursive: true });
        await mkdir(stored.root);
      },
    ],
    [
      "another cluster's repository",
      async () => await stored.put('walhold.json', '{"format":1,"systemId":"9","createdAt":"","by":""}'),
    ],
    ['an identity of nonsense', async () => await stored.put('walhold.json', '[')],
  ])('is not believed of %s, nor is what is stored, nor is anything made there', async (_, lose) => {
    await putSegments(stored, 5, 5);
    await lose();
    for (const segno of [9, 5]) {
      const result = await fetchFile(nameOf(segno));
      expect(result.status).toBe(200);
      expect(result.stderr).toMatch(/walhold-fetch: error: .+\n.*hint: /s);
    }
    expect(existsSync(target)).toBe(false);
    expect(existsSync(join(stored.root, 'walhold.json'))).toBe(/another|nonsense/.test(_));
    await becomeStandby();
    expect(await fetchFile(nameOf(9))).toMatchObject({ status: 1 });
  });

  it('needs every repository', async () => {
    await putSegments(stored, 5, 5);
    await using second = await FileRepository.create(2);
    const words = ['--repo2', second.repository.url];
    expect(await fetchFile(nameOf(6), words)).toMatchObject({ status: 1 });
    await unlink(join(second.root, 'walhold.json'));
    expect(await fetchFile(nameOf(6), words)).toMatchObject({ status: 200 });
    await rm(second.root, { recursive: true });
    expect(await fetchFile(nameOf(6), words)).toMatchObject({ status: 200 });
    expect(await fetchFile(nameOf(5), words)).toMatchObject({ status: 0, stderr: '' });
    expect(await fetchFile(nameOf(6), [...words, '--use-repo', '1'])).toMatchObject({ status: 1 });
    expect(await fetchFile(nameOf(6), [...words, '--use-repo', '2'])).toMatchObject({ status: 200 });
    expect(await fetchFile(nameOf(6), [...words, '--use-repo', '3'])).toMatchObject({ status: 200 });
  });
});

describe('a hole', () => {
  it('is not the end of WAL while a later segment is stored', async () => {
    await putSegments(stored, 5, 5);
    await putSegments(stored, 7, 7);
    const result = await fetchFile(nameOf(6));
    expect(result.status).toBe(200);
    expect(result.stderr).toContain(`error: ${nameOf(6)} is missing in every repository, but WAL goes on behind it`);
    expect(result.stderr).toContain(`detail: ${nameOf(7)} is stored`);
    expect(await fetchFile(nameOf(8))).toMatchObject({ status: 1, stderr: '' });
  });

  it('is passed where allow_gap names it, and only there', async () => {
    await putSegments(stored, 7, 7);
    expect(await fetchFile(nameOf(5), ['--allow-gap', nameOf(6)])).toMatchObject({ status: 200 });
    expect(await fetchFile(nameOf(6), ['--allow-gap', nameOf(6)])).toMatchObject({ status: 1 });
    expect(await fetchFile(nameOf(6), ['--allow-gap', 'on'])).toMatchObject({ status: 200 });
  });

  it('that WAL may end at is no reason to go on along the timeline that was left', async () => {
    await putSegments(stored, 5, 9);
    await stored.putWal('00000002.history', history(1, 7));
    await cluster.put('pg_wal/00000002.history', history(1, 7));
    await putSegments(stored, 8, 9, { timeline: 2 });
    const words = ['--allow-gap', nameOf(7, 2)];
    expect(await fetchFile(nameOf(6), words)).toMatchObject({ status: 0 });
    expect(await fetchFile(nameOf(7, 2), words)).toMatchObject({ status: 1 });
    const result = await fetchFile(nameOf(7), words);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`${nameOf(7)} is left out: WAL ends at ${nameOf(7, 2)}, as allow_gap says`);
    // Who recovers along the first timeline is not concerned.
    await cluster.put('postgresql.auto.conf', "recovery_target_timeline = '1'\n");
    expect(await fetchFile(nameOf(7), words)).toMatchObject({ status: 0 });
  });

  it('lets a standby go on, with an error', async () => {
    await becomeStandby();
    await putSegments(stored, 7, 7);
    const result = await fetchFile(nameOf(6));
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`error: going on without ${nameOf(6)}: ${nameOf(6)} is missing`);
  });

  it('is judged on all repositories together', async () => {
    await using second = await FileRepository.create(2);
    await putSegments(stored, 5, 5);
    await putSegments(second, 7, 7);
    expect(await fetchFile(nameOf(6), ['--repo2', second.repository.url])).toMatchObject({ status: 200 });
  });

  it('shows in a .partial of a later segment, not in its own', async () => {
    const put = async (segno: number): Promise<void> =>
      await stored.put(`wal/00000001/0000000100000000/${nameOf(segno)}.partial.0123456789abcdef.zst`, 'x');
    await put(6);
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 1 });
    await put(7);
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 200 });
  });

  it('shows on a timeline that descends from it there or later, not on one that left before', async () => {
    await putSegments(stored, 5, 5);
    await stored.putWal('00000002.history', history(1, 7));
    await putSegments(stored, 8, 8, { timeline: 2 });
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 200 });
    expect(await fetchFile(nameOf(7))).toMatchObject({ status: 200 });
    expect(await fetchFile(nameOf(8))).toMatchObject({ status: 1 });
  });

  it('does not show on a timeline whose segments are not behind it', async () => {
    await stored.putWal('00000002.history', history(1, 6));
    await putSegments(stored, 6, 6, { timeline: 2 });
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 1 });
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 200 });
  });

  it('cannot be ruled out while the history that decides is damaged', async () => {
    const key = await stored.putWal('00000002.history', history(1, 7));
    await truncate(join(stored.root, key), 50);
    await putSegments(stored, 8, 8, { timeline: 2 });
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 200 });
  });

  it('is not made of keys that are none of ours', async () => {
    await putSegments(stored, 5, 5);
    for (const key of ['wal/00000001/zzz', 'wal/00000001/0000000100000000/0000000100000000000000FF.gz', 'wal/zz/x']) {
      await stored.put(key, 'x');
    }
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 1 });
  });

  it('is a history file without which segments of its timeline, or higher timelines, are stored', async () => {
    await putSegments(stored, 5, 5);
    await putSegments(stored, 8, 8, { timeline: 3 });
    const result = await fetchFile('00000003.history');
    expect(result.status).toBe(200);
    expect(result.stderr).toContain('timeline 3 is stored');
    expect(await fetchFile('00000002.history')).toMatchObject({ status: 200 });
    expect(await fetchFile('00000004.history')).toMatchObject({ status: 1 });
    expect(await fetchFile('00000002.history', ['--allow-gap', '00000002.history'])).toMatchObject({ status: 1 });
    await cluster.put('postgresql.auto.conf', "recovery_target_timeline = '1'\n");
    expect(await fetchFile('00000002.history')).toMatchObject({ status: 1 });
    expect(await fetchFile('00000003.history')).toMatchObject({ status: 200 });
  });
});

describe('a stray timeline', () => {
  beforeEach(async () => {
    await putSegments(stored, 5, 9);
    await stored.putWal('00000002.history', history(1, 7));
    await cluster.put('pg_wal/00000002.history', history(1, 7));
  });

  it('keeps the segments of its parent from the fork on from being replayed', async () => {
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 0 });
    const result = await fetchFile(nameOf(7));
    expect(result.status).toBe(200);
    expect(result.stderr).toContain(`error: ${nameOf(7)} lies behind the fork to timeline 2`);
    expect(await fetchFile(nameOf(8))).toMatchObject({ status: 200 });
    await becomeStandby();
    expect(await fetchFile(nameOf(8))).toMatchObject({ status: 1 });
  });

  it('is none once a segment of it is stored', async () => {
    await putSegments(stored, 7, 7, { timeline: 2 });
    expect(await fetchFile(nameOf(7))).toMatchObject({ status: 0 });
  });

  it('is none for a recovery that follows another timeline', async () => {
    for (const value of ['1', 'current', '0x1']) {
      await cluster.put('postgresql.auto.conf', `recovery_target_timeline = '${value}'\n`);
      expect(await fetchFile(nameOf(8))).toMatchObject({ status: 0 });
    }
    await cluster.put('postgresql.auto.conf', "recovery_target_timeline = '2'\n");
    expect(await fetchFile(nameOf(8))).toMatchObject({ status: 200 });
  });

  it('is none where the server knows nothing of it', async () => {
    await unlink(join(cluster.path, 'pg_wal/00000002.history'));
    expect(await fetchFile(nameOf(8))).toMatchObject({ status: 0 });
  });
});

describe('a fetch as of a moment', () => {
  const moment = '2026-11-22 18:00:00+00';
  const stamp = async (key: string, time: string): Promise<void> =>
    await utimes(join(stored.root, key), new Date(time), new Date(time));
  const keyOf = (segno: number): string => `wal/00000001/0000000100000000/${nameOf(segno)}.zst`;

  beforeEach(async () => {
    await putSegments(stored, 5, 7);
    await stamp('walhold.json', '2026-11-22T17:00:00Z');
    await stamp(keyOf(5), '2026-11-22T17:59:59Z');
    await stamp(keyOf(6), '2026-11-22T18:00:01Z');
    await stamp(keyOf(7), '2026-11-22T18:00:02Z');
  });

  it('brings what was stored by then, and finds no hole in what came later', async () => {
    expect(await fetchFile(nameOf(5), ['--as-of', moment])).toMatchObject({ status: 0, stderr: '' });
    expect((await readFile(target)).equals(segmentBytes(5))).toBe(true);
    expect(await fetchFile(nameOf(6), [`--as-of=${moment}`])).toMatchObject({ status: 1, stderr: '' });
  });

  it('takes a time without a zone for a local one', async () => {
    const env = { TZ: 'Etc/GMT-1' };
    expect(await fetchFile(nameOf(5), ['--as-of', '2026-11-22 19:00'], { env })).toMatchObject({ status: 0 });
    expect(await fetchFile(nameOf(6), ['--as-of', '2026-11-22 19:00'], { env })).toMatchObject({ status: 1 });
  });

  it('leaves nothing behind that a fetch without it would believe', async () => {
    await fetchFile(nameOf(6), ['--as-of', moment]);
    await fetchFile(nameOf(6), ['--as-of', '2026-11-22 16:00+00']);
    expect(await fetchFile(nameOf(6))).toMatchObject({ status: 0, stderr: '' });
    expect((await readFile(target)).equals(segmentBytes(6))).toBe(true);
    const notes = await readdir(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'));
    expect(notes.filter((name) => !name.startsWith('known-'))).toEqual([]);
  });

  it('proves nothing absent of a moment at which there was no repository', async () => {
    const result = await fetchFile(nameOf(6), ['--as-of', '2026-11-22 16:00+00']);
    expect(result).toMatchObject({ status: 200 });
    expect(result.stderr).toContain('is not, or no longer, a repository');
  });
});

describe('wrong usage and failures of this machine', () => {
  it.each([
    ['no argument', []],
    ['one argument', [nameOf(5)]],
    ['three arguments', [nameOf(5), 'a', 'b']],
    ['a name of nonsense', ['nonsense', 'x']],
    ['a name with a path', [`../${nameOf(5)}`, 'x']],
    ['an unknown option', ['--not-so', 'yesterday', nameOf(5), 'x']],
    ['a moment of nonsense', ['--as-of', 'yesterday', nameOf(5), 'x']],
    ['a moment that is missing', [nameOf(5), 'x', '--as-of']],
  ])('end with 200: %s', async (_, words) => {
    const result = await callHook('walhold-fetch', cluster, ['--repo', stored.repository.url, ...words]);
    expect(result.status).toBe(200);
    expect(result.stderr).toMatch(
      /^walhold-fetch: error: .+\n(walhold-fetch: detail: .+\n)?walhold-fetch: hint: .+\n$/,
    );
  });

  it.each([
    ['no repository', []],
    ['a bad URL', ['--repo', 's3:/x']],
    ['a configuration that cannot be read', ['--config', '/nonexistent/walhold.conf']],
    ['a setting this version lacks', ['--repo', 'file:///x', '--age-recipients', 'age1x']],
  ])('end with 200, in a standby too: %s', async (_, words) => {
    await becomeStandby();
    const result = await callHook('walhold-fetch', cluster, [...words, nameOf(5), 'pg_wal/RECOVERYXLOG']);
    expect(result.status).toBe(200);
    expect(result.stderr).toMatch(
      /^walhold-fetch: error: .+\n(walhold-fetch: detail: .+\n)?walhold-fetch: hint: .+\n$/,
    );
  });

  it('end with 200 where the file cannot be put in place', async () => {
    await putSegments(stored, 5, 5);
    await mkdir(target);
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 200 });
    expect(await readdir(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'))).toEqual(['fetch-error.json']);
  });

  it('end with 200 where pg_control is torn', async () => {
    await putSegments(stored, 5, 5);
    await chmod(join(cluster.path, 'global/pg_control'), 0o600);
    await cluster.put('global/pg_control', Buffer.alloc(8192, 1).fill(0, 0, 12).fill('\x14\x05', 8, 10, 'latin1'));
    expect(await fetchFile(nameOf(5))).toMatchObject({ status: 200 });
  });
});

import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdir, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/stream/checksum.ts';
import { decompressFrames } from '../../src/stream/zstd.ts';
import { SYSTEM_ID } from '../support/file-repository.ts';
import { callHook } from '../support/hook-call.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { PretendCluster } from '../support/pretend-cluster.ts';
import type { RunOptions, RunResult } from '../support/run.ts';
import { filedWal } from '../support/repository-files.ts';
import { WalBuilder } from '../support/wal-builder.ts';

let place: Place;
let cluster: PretendCluster;
let repository: string;

beforeEach(async () => {
  place = await Place.create('push');
  cluster = await PretendCluster.create(join(place.path, 'data'));
  repository = join(place.path, 'repo');
});
afterEach(async () => await place[Symbol.asyncDispose]());

const push = async (walPath: string, options?: RunOptions): Promise<RunResult> =>
  await callHook('walhold-push', cluster, ['--repo', `file://${repository}`, walPath], options);

const objectOf = (name: string): string => join(repository, 'wal', name.slice(0, 8), name.slice(0, 16), `${name}.zst`);

describe('a push', () => {
  it('stores a segment as a plain zstd file, makes the identity, and says nothing', async () => {
    const result = await push(await cluster.putSegment(5));
    expect(result).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const stored = await readFile(objectOf(nameOf(5)));
    expect(decompressFrames(stored, 1024 * 1024).equals(segmentBytes(5))).toBe(true);
    const identity = JSON.parse(await readFile(join(repository, 'walhold.json'), 'utf8')) as object;
    expect(identity).toMatchObject({ format: 1, systemId: String(SYSTEM_ID) });
  });

  it('of the same file again succeeds and writes nothing', async () => {
    const walPath = await cluster.putSegment(5);
    await push(walPath);
    const before = await stat(objectOf(nameOf(5)), { bigint: true });
    expect(await push(walPath)).toMatchObject({ status: 0, stderr: '' });
    const after = await stat(objectOf(nameOf(5)), { bigint: true });
    expect([after.ino, after.mtimeNs, after.ctimeNs]).toEqual([before.ino, before.mtimeNs, before.ctimeNs]);
  });

  it('stores history, label and partial under names of their own', async () => {
    const history = '1\t0/500100\tno recovery target specified\n';
    const label = [
      'START WAL LOCATION: 0/500028 (file 000000010000000000000005)',
      'STOP WAL LOCATION: 0/500100 (file 000000010000000000000005)',
      'CHECKPOINT LOCATION: 0/500060',
      'BACKUP METHOD: streamed',
      'BACKUP FROM: primary',
      'START TIME: 2026-11-22 17:45:00 UTC',
      'LABEL: nightly',
      'START TIMELINE: 1',
      'STOP TIME: 2026-11-22 17:46:00 UTC',
      'STOP TIMELINE: 1',
      '',
    ].join('\n');
    await cluster.put('pg_wal/00000002.history', history);
    await cluster.put(`pg_wal/${nameOf(5)}.00000028.backup`, label);
    await cluster.put(`pg_wal/${nameOf(5)}.partial`, segmentBytes(5));
    for (const name of ['00000002.history', `${nameOf(5)}.00000028.backup`, `${nameOf(5)}.partial`]) {
      expect(await push(`pg_wal/${name}`)).toMatchObject({ status: 0, stderr: '' });
    }
    expect(await filedWal(repository)).toEqual(
      [
        '00000002.history.zst',
        `${nameOf(5)}.00000028.backup.zst`,
        `${nameOf(5)}.partial.${sha256(segmentBytes(5)).slice(0, 16)}.zst`,
      ].toSorted(),
    );
    const stored = await readFile(join(repository, 'wal', '00000002.history.zst'));
    expect(decompressFrames(stored, 1024 * 1024).toString()).toBe(history);
  });

  it('stores another .partial of the same segment beside the first', async () => {
    const walPath = `pg_wal/${nameOf(5)}.partial`;
    for (const segno of [5, 5]) {
      const bytes = segmentBytes(segno);
      if (existsSync(repository)) bytes.writeUInt32LE(7, bytes.length - 4);
      await cluster.put(walPath, bytes);
      expect(await push(walPath)).toMatchObject({ status: 0, stderr: '' });
    }
    expect(await filedWal(repository)).toHaveLength(2);
  });

  it('takes a .partial whose pages are what a recycled file left, with a warning', async () => {
    const walPath = `pg_wal/${nameOf(5)}.partial`;
    await cluster.put(walPath, segmentBytes(2));
    const result = await push(walPath);
    expect(result).toMatchObject({ status: 0 });
    expect(result.stderr).toContain('warning: 000000010000000000000005.partial: page address is 0/200000');
  });
});

describe('other content under the name', () => {
  const other = (): Buffer => {
    const builder = new WalBuilder({ segno: 5n, systemId: SYSTEM_ID, magic: 0xd110 });
    builder.record({ xid: 700, data: Buffer.from('another history') });
    builder.switchSegment();
    return builder.segment(0);
  };

  it('is refused with both digests, and the object stays', async () => {
    const walPath = await cluster.putSegment(5);
    await push(walPath);
    const before = await readFile(objectOf(nameOf(5)));
    await cluster.put(walPath, other());
    const result = await push(walPath);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`error: could not store ${nameOf(5)}: other content is stored under this name`);
    expect(result.stderr).toContain(sha256(segmentBytes(5)));
    expect(result.stderr).toContain(sha256(other()));
    expect(result.stderr).toMatch(/first difference at byte \d+: they differ in the record at 0\/500028/);
    expect(result.stderr).toMatch(/by walhold \d+\.\d+\.\d+ on \S+ at 20\d\d-/);
    expect(result.stderr).toContain('hint: ');
    expect((await readFile(objectOf(nameOf(5)))).equals(before)).toBe(true);
  });

  it('that differs only behind the last record is success with a warning', async () => {
    const walPath = await cluster.putSegment(5);
    await push(walPath);
    const bytes = segmentBytes(5);
    // As a file that was recycled leaves it: pages of another place.
    bytes.subarray(-8192).fill(0xaa);
    await cluster.put(walPath, bytes);
    const result = await push(walPath);
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/warning: .* holds other bytes than .* here, but the same records/);
  });

  it('of another size is refused without reading it', async () => {
    const walPath = await cluster.putSegment(5);
    await push(walPath);
    const big = await PretendCluster.create(join(place.path, 'big'), { segmentBytes: 2 * 1024 * 1024 });
    const builder = new WalBuilder({ segno: 5n, systemId: SYSTEM_ID, segmentBytes: 2 * 1024 * 1024 });
    builder.record();
    builder.switchSegment();
    await big.put(walPath, builder.segment(0));
    const result = await callHook('walhold-push', big, ['--repo', `file://${repository}`, walPath]);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('their sizes differ');
  });

  it('in a history file is refused', async () => {
    await cluster.put('pg_wal/00000002.history', '1\t0/500100\tone\n');
    await push('pg_wal/00000002.history');
    await cluster.put('pg_wal/00000002.history', '1\t0/500100\tother\n');
    const result = await push('pg_wal/00000002.history');
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('other content is stored under this name');
    expect(result.stderr).toContain('first difference at byte 12');
  });

  it.each([
    ['cut off in its description', async (path: string) => await truncate(path, 300)],
    ['cut off behind it', async (path: string) => await truncate(path, (await stat(path)).size - 1)],
    ['empty', async (path: string) => await truncate(path, 0)],
    ['without a description', async (path: string) => await writeFile(path, 'x'.repeat(5000))],
    [
      'with a bit turned in its body',
      async (path: string) => {
        const bytes = await readFile(path);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 50) ^ 1, bytes.length - 50);
        await writeFile(path, bytes);
      },
    ],
  ])('that is damaged (%s) is never success, and is not touched', async (_, damage) => {
    const walPath = await cluster.putSegment(5);
    await push(walPath);
    await chmod(objectOf(nameOf(5)), 0o600);
    await damage(objectOf(nameOf(5)));
    const before = await readFile(objectOf(nameOf(5)));
    const result = await push(walPath);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`could not store ${nameOf(5)}: the object under its name is damaged`);
    expect((await readFile(objectOf(nameOf(5)))).equals(before)).toBe(true);
  });
});

describe('a file that is not what its name says', () => {
  const OTHER = new WalBuilder({ segno: 5n, systemId: 77n });
  const TWO_MB = new WalBuilder({ segno: 5n, systemId: SYSTEM_ID, segmentBytes: 2 * 1024 * 1024 });
  const cases: [string, string, Buffer, string][] = [
    ['of another cluster', nameOf(5), OTHER.segment(0), `system identifier is 77, expected ${SYSTEM_ID}`],
    ['of another segment size', nameOf(5), TWO_MB.segment(0), 'segment size is 2097152, expected 1048576'],
    ['cut off', nameOf(5), segmentBytes(5).subarray(0, 500_000), 'file size is 500000 bytes, expected 1048576 bytes'],
    [
      'longer than a segment',
      nameOf(5),
      Buffer.concat([segmentBytes(5), Buffer.alloc(8)]),
      'file size is 1048584 bytes',
    ],
    ['empty', nameOf(5), Buffer.alloc(0), 'file size is 0 bytes, expected a whole WAL segment'],
    ['all zeros', nameOf(5), Buffer.alloc(1024 * 1024), 'page magic is 0000'],
    ['under the name of another segment', nameOf(6), segmentBytes(5), 'page address is 0/500000, expected 0/600000'],
    ['of a later timeline', nameOf(5), segmentBytes(5, 2), 'header timeline is 00000002, expected 00000001 or older'],
  ];

  it.each(cases)('is refused: %s', async (_, name, bytes, field) => {
    OTHER.record();
    TWO_MB.record();
    const content = bytes === cases[0]?.[2] ? OTHER.segment(0) : bytes === cases[1]?.[2] ? TWO_MB.segment(0) : bytes;
    await cluster.put(`pg_wal/${name}`, content);
    const result = await push(`pg_wal/${name}`);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`error: could not store ${name}: it is not what its name says`);
    expect(result.stderr).toContain(field);
    expect(existsSync(join(repository, 'wal'))).toBe(false);
  });

  it.each([
    ['an empty history file', '', 'it names no parent timeline'],
    ['a history file of nonsense', 'what\n', 'line 1 of 00000002.history'],
  ])('is refused: %s', async (_, text, reason) => {
    await cluster.put('pg_wal/00000002.history', text);
    const result = await push('pg_wal/00000002.history');
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(reason);
  });

  it.each(['README', `${nameOf(5)}.done`, '00000001000000000000000g', `${nameOf(5).toLowerCase()}x`])(
    'is refused by its name: %s',
    async (name) => {
      await cluster.put(`pg_wal/${name}`, segmentBytes(5));
      const result = await push(`pg_wal/${name}`);
      expect(result.status).toBe(1);
      expect(result.stderr).toContain(`error: ${name} is not the name of a WAL file`);
    },
  );

  it('is refused when it is not there, or no regular file', async () => {
    expect(await push(`pg_wal/${nameOf(5)}`)).toMatchObject({ status: 1 });
    await mkdir(join(cluster.path, 'pg_wal', nameOf(5)));
    expect((await push(`pg_wal/${nameOf(5)}`)).stderr).toContain('it is not a regular file');
  });
});

describe("another cluster's repository", () => {
  it('is refused, and the hint tells of pg_upgrade', async () => {
    await push(await cluster.putSegment(5));
    const other = await PretendCluster.create(join(place.path, 'other'), { systemId: 99n });
    const builder = new WalBuilder({ segno: 6n, systemId: 99n });
    builder.record();
    builder.switchSegment();
    await other.put(`pg_wal/${nameOf(6)}`, builder.segment(0));
    const result = await callHook('walhold-push', other, ['--repo', `file://${repository}`, `pg_wal/${nameOf(6)}`]);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(`system identifier is 99, the repository's is ${SYSTEM_ID}`);
    expect(result.stderr).toContain('pg_upgrade');
    expect(await filedWal(repository)).toEqual([`${nameOf(5)}.zst`]);
  });
});

describe('a repository that is gone', () => {
  it.each([
    ['its directory is missing', async () => await rm(repository, { recursive: true })],
    [
      'its directory is empty, as an unmounted share looks',
      async () => {
        await rm(repository, { recursive: true });
        await mkdir(repository);
      },
    ],
    ['only its identity is missing', async () => await rm(join(repository, 'walhold.json'), { force: true })],
  ])('is refused once it was known: %s', async (_, lose) => {
    await push(await cluster.putSegment(5));
    await lose();
    const result = await push(await cluster.putSegment(6));
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/error: .*(missing|is not, or no longer, a repository)/);
    expect(existsSync(join(repository, 'walhold.json'))).toBe(false);
    expect(existsSync(objectOf(nameOf(6)))).toBe(false);
  });
});

describe('several repositories', () => {
  const both = async (walPath: string, options?: RunOptions): Promise<RunResult> =>
    await callHook(
      'walhold-push',
      cluster,
      ['--repo', `file://${repository}`, '--repo2', `file://${repository}2`, walPath],
      options,
    );

  it('all hold the file when it succeeds', async () => {
    expect(await both(await cluster.putSegment(5))).toMatchObject({ status: 0, stderr: '' });
    expect(await filedWal(repository)).toEqual(await filedWal(`${repository}2`));
  });

  it('are all tried, the error names who failed and who holds it, and the next try only adds what is missing', async () => {
    await both(await cluster.putSegment(5));
    await rm(`${repository}2`, { recursive: true });
    const walPath = await cluster.putSegment(6);
    const failed = await both(walPath);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain(`could not store ${nameOf(6)} in 1 of 2 repositories`);
    expect(failed.stderr).toContain(`file://${repository}2: `);
    expect(failed.stderr).toContain(`stored in file://${repository}`);
    const before = await stat(objectOf(nameOf(6)), { bigint: true });

    await mkdir(`${repository}2`);
    await writeFile(join(`${repository}2`, 'walhold.json'), await readFile(join(repository, 'walhold.json')));
    expect(await both(walPath)).toMatchObject({ status: 0, stderr: '' });
    expect((await stat(objectOf(nameOf(6)), { bigint: true })).ctimeNs).toBe(before.ctimeNs);
    expect(await filedWal(`${repository}2`)).toEqual([`${nameOf(6)}.zst`]);
    expect(await readdir(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'))).not.toContain('push-error.json');
  });
});

describe('wrong usage', () => {
  it.each([
    ['no argument', []],
    ['two arguments', ['a', 'b']],
    ['an unknown option', ['--no-such-thing', 'pg_wal/x']],
    ['an empty argument', ['']],
  ])('ends with 2: %s', async (_, words) => {
    const result = await callHook('walhold-push', cluster, ['--repo', `file://${repository}`, ...words]);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/^walhold-push: error: .+\n(walhold-push: detail: .+\n)?walhold-push: hint: .+\n$/);
  });

  it.each([
    ['no repository', []],
    ['a bad URL', ['--repo', 'ftp://x']],
    ['a bad value', ['--repo', 'file:///x', '--push-timeout', 'soon']],
    ['a setting this version lacks', ['--repo', 'file:///x', '--age-recipients', 'age1x']],
    ['a lock without a period', ['--repo', 'file:///x', '--lock-mode', 'compliance']],
    ['a configuration that is not there', ['--config', '/nonexistent/walhold.conf']],
  ])('ends with 2: %s', async (_, words) => {
    const result = await callHook('walhold-push', cluster, [...words, await cluster.putSegment(5)]);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/^walhold-push: error: .+\n(walhold-push: detail: .+\n)?walhold-push: hint: .+\n$/);
  });

  it('never passes help for success beside a file', async () => {
    expect(await callHook('walhold-push', cluster, ['--help'])).toMatchObject({ status: 0 });
    expect((await callHook('walhold-push', cluster, ['--help', await cluster.putSegment(5)])).status).not.toBe(0);
  });
});

describe('its surroundings', () => {
  it('do not matter: called through a link, from anywhere, with settings behind the file', async () => {
    const walPath = await cluster.putSegment(5);
    await symlink(cluster.path, join(place.path, 'link'));
    const result = await callHook(
      'walhold-push',
      cluster,
      [join(place.path, 'link', walPath), '--repo', `file://${repository}`],
      { cwd: '/' },
    );
    expect(result).toMatchObject({ status: 0, stderr: '' });
  });

  it('need not be a data directory for a segment, which tells itself whose it is', async () => {
    await writeFile(join(place.path, nameOf(5)), segmentBytes(5));
    await writeFile(join(place.path, '00000002.history'), '1\t0/500100\twhy\n');
    const words = (name: string): string[] => ['--repo', `file://${repository}`, join(place.path, name)];
    const options = { cwd: place.path };
    expect(await callHook('walhold-push', cluster, words(nameOf(5)), options)).toMatchObject({ status: 0, stderr: '' });
    const history = await callHook('walhold-push', cluster, words('00000002.history'), options);
    expect(history.status).toBe(1);
    expect(history.stderr).toContain('could not tell which cluster 00000002.history belongs to');
  });

  it('get no spool when the data directory belongs to somebody else', async () => {
    const theirs = await PretendCluster.create(join(place.path, 'theirs'), { owner: place.owner });
    const walPath = await theirs.putSegment(5);
    const result = await callHook('walhold-push', theirs, ['--repo', `file://${repository}`, walPath]);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    const notes = await readdir(join(theirs.path, 'pg_wal'));
    expect(notes.includes('pgsql_tmp.walhold')).toBe(process.geteuid?.() === place.owner.uid);
  });

  it('may hold other things than files in the spool without harm', async () => {
    await mkdir(join(cluster.path, 'pg_wal/pgsql_tmp.walhold'), { recursive: true });
    await appendFile(join(cluster.path, 'pg_wal/pgsql_tmp.walhold/confirmed.json'), '{"name":');
    expect(await push(await cluster.putSegment(5))).toMatchObject({ status: 0, stderr: '' });
  });
});

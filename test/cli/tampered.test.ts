import { chown, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListJson } from '../../src/commands/list.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import type { Inspection } from '../../src/commands/wal-inspection.ts';
import { commitKey, IDENTITY_KEY, partKey } from '../../src/repository/layout.ts';
import type { FakeBucket } from '../support/fake-s3-bucket.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { built } from '../support/hook.ts';
import { callHook } from '../support/hook-call.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { PretendCluster } from '../support/pretend-cluster.ts';
import { SMALL_CLUSTER } from '../support/restorable-backup.ts';
import { run, type RunResult } from '../support/run.ts';
import { junk, storedObjects } from '../support/tampered-repository.ts';

const NOBODY = 65_534;
const BEFORE = new Date('2026-11-22T17:00:00Z');
const ATTACK = new Date('2026-11-22T18:00:00Z');
const AS_OF = '2026-11-22 17:30:00+00';

const stored = await storedObjects();
const { id } = stored.record;
const walKey = (segno: number): string => `wal/00000001/0000000100000000/${nameOf(segno)}.zst`;
const SEGMENT = walKey(5);

let place: Place;
let cluster: PretendCluster;
let fake: FakeS3;
let bucket: FakeBucket;

beforeEach(async () => {
  place = await Place.create('tampered');
  cluster = await PretendCluster.create(join(place.path, 'data'));
  fake = await FakeS3.start();
  bucket = fake.makeBucket('bucket');
  for (const [key, bytes] of stored.objects) bucket.add(`cluster/${key}`, bytes, { storedAt: BEFORE });
});
afterEach(async () => {
  await fake[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const put = (key: string, bytes: Buffer | undefined): string =>
  bucket.add(`cluster/${key}`, bytes, { storedAt: ATTACK }).id;
const realOf = (key: string): Buffer => stored.objects.get(key) ?? Buffer.alloc(0);
const forgeryOf = (key: string): Buffer => stored.forgeries.get(key)?.bytes ?? Buffer.alloc(0);

/** One object of each kind that `list`, `status` and `fetch` read. */
function attack(): void {
  put(IDENTITY_KEY, forgeryOf(IDENTITY_KEY));
  put(SEGMENT, forgeryOf(SEGMENT));
  put('wal/00000002.history.zst', undefined);
  put(commitKey(id), forgeryOf(commitKey(id)));
  put(partKey(id, 1), junk(realOf(partKey(id, 1))));
}

const settings = (): string[] =>
  Object.entries({
    '--repo': 's3://bucket/cluster',
    '--s3-endpoint': fake.endpoint,
    '--s3-path-style': 'on',
    '--s3-region': fake.region,
    '--gap-grace': '0',
  }).flat();
const environment = (): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: fake.accessKey,
  AWS_SECRET_ACCESS_KEY: fake.secretKey,
});
const walhold = async (...argv: string[]): Promise<RunResult> =>
  await run([await built('walhold'), ...argv, ...settings()], { env: environment(), timeoutMs: 60_000 });
const hook = async (name: 'walhold-push' | 'walhold-fetch', ...words: string[]): Promise<RunResult> =>
  await callHook(name, cluster, [...settings(), ...words], { env: environment(), timeoutMs: 60_000 });
const fetchSegment = async (segno: number, ...words: string[]): Promise<RunResult> =>
  await hook('walhold-fetch', ...words, nameOf(segno), 'pg_wal/RECOVERYXLOG');
const fetched = async (): Promise<Buffer> => await readFile(join(cluster.path, 'pg_wal/RECOVERYXLOG'));
const warnings = ({ stderr }: RunResult): string[] => stderr.split('\n').filter((line) => line.includes(' warning: '));

describe('after an attack with the right to write over names', () => {
  it('list shows what it showed before, and warns once, by name', async () => {
    const before = await walhold('list', '--json');
    expect(before).toMatchObject({ status: 0, stderr: '' });
    attack();
    const after = await walhold('list', '--json');
    expect(after).toMatchObject({ status: 0, stdout: before.stdout });
    expect(warnings(after)).toEqual([expect.stringMatching(/: \d traces of somebody else who writes/)]);
    for (const key of [IDENTITY_KEY, SEGMENT, 'wal/00000002.history.zst', commitKey(id)])
      expect(after.stderr).toContain(`s3://bucket/cluster/${key}: `);
  });

  it('verify reads every object, and names each trace with its version', async () => {
    const sound = JSON.parse((await walhold('verify', '--json')).stdout) as VerifyJson;
    expect(sound).toMatchObject({ ok: true, problems: [] });
    attack();
    const result = await walhold('verify', '--json');
    const { checked, problems } = JSON.parse(result.stdout) as VerifyJson;
    expect(result.status).toBe(1);
    expect(checked).toEqual(sound.checked);
    expect(problems.map(({ code, object }) => [code, object])).toEqual([
      ['extra-version', commitKey(id)],
      ['extra-version', partKey(id, 1)],
      ['extra-version', SEGMENT],
      ['delete-marker', 'wal/00000002.history.zst'],
      ['extra-version', IDENTITY_KEY],
    ]);
    for (const { object, message } of problems) {
      const version = bucket.versions.get(`cluster/${object}`)?.at(-1)?.id ?? 'none';
      expect(message).toContain(`version ${version}`);
      expect(message).toContain('2026-11-22T18:00:00.000Z');
    }
  });

  it('status tells of them, in JSON, in text and as a metric', async () => {
    attack();
    const marker = put('wal/00000002.history.zst', undefined);
    const { tampering } = JSON.parse((await walhold('status', '--json')).stdout) as StatusJson;
    expect(tampering).toContainEqual({
      repository: 1,
      kind: 'delete-marker',
      object: 'wal/00000002.history.zst',
      version: marker,
      at: '2026-11-22T18:00:00.000Z',
    });
    const text = await walhold('status');
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/^tampering: +wal\/00000002\.history\.zst: a delete marker of 2026-11-22T18:00:00/m);
    expect((await walhold('status', '--prometheus')).stdout).toMatch(/^walhold_tampering\{.*\} [4-9]$/m);
  });

  it('wal inspect shows every version of a segment, oldest first, and describes ours', async () => {
    const version = put(SEGMENT, forgeryOf(SEGMENT));
    put(SEGMENT, Buffer.from('junk'));
    put(SEGMENT, undefined);
    const result = await walhold('wal', 'inspect', nameOf(5), '--json');
    const { copies, problems, fits, bytes } = JSON.parse(result.stdout) as Inspection;
    expect(result.status).toBe(1);
    expect({ fits, bytes }).toEqual({ fits: true, bytes: 1024 * 1024 });
    expect(copies.map(({ error }) => error === null)).toEqual([true, true, false]);
    expect(copies[1]?.version).toBe(version);
    expect(problems).toContain(`version ${version} in repository 1 has other content`);
    expect(problems).toContainEqual(expect.stringMatching(/^repository 1: a delete marker of 2026-11-22T18/));
  });

  it('a fetch brings the segment that was stored, and says so in one line', async () => {
    attack();
    const result = await fetchSegment(5);
    expect(result.status).toBe(0);
    expect((await fetched()).equals(segmentBytes(5))).toBe(true);
    expect(warnings(result)).toHaveLength(1);
    expect(result.stderr).toContain(SEGMENT);
    put(walKey(6), undefined);
    expect(await fetchSegment(6)).toMatchObject({ status: 0 });
    expect((await fetched()).equals(segmentBytes(6))).toBe(true);
  });

  it('a restore brings the backup back as it was taken, and names the part that was written over', async () => {
    attack();
    const target = join(place.path, 'restored');
    await mkdir(target);
    if (process.getuid?.() === 0) await chown(target, NOBODY, NOBODY);
    const result = await walhold('restore', '-D', target, '-j', '2');
    expect(result.status, result.stderr).toBe(0);
    for (const path of ['PG_VERSION', 'base/1/1259', 'global/pg_control']) {
      expect((await readFile(join(target, path))).equals(Buffer.from(SMALL_CLUSTER[path] ?? '')), path).toBe(true);
    }
    expect(result.stderr.match(/traces of somebody else/g)).toHaveLength(1);
    expect(result.stderr).toContain(`s3://bucket/cluster/${partKey(id, 1)}: version `);
  });

  it('nothing of it is there as of a moment before', async () => {
    const before = await walhold('list', '--json');
    attack();
    expect(await walhold('list', '--json', '--as-of', AS_OF)).toMatchObject({
      status: 0,
      stdout: before.stdout,
      stderr: '',
    });
    expect(await walhold('verify', '--as-of', AS_OF)).toMatchObject({ status: 0, stderr: '' });
    expect(await fetchSegment(5, '--as-of', AS_OF)).toMatchObject({ status: 0, stderr: '' });
    const nothing = await walhold('list', '--as-of', '2026-11-22 16:00+00');
    expect(nothing.status).toBe(1);
    expect(nothing.stderr).toContain('is not, or no longer, a repository');
  });
});

describe('what was stored after a moment', () => {
  it('is not listed as of then, and no hole to a fetch', async () => {
    bucket.remove(`cluster/${walKey(6)}`, bucket.current(`cluster/${walKey(6)}`)?.id ?? '');
    put('wal/00000001/0000000100000000/note.txt', Buffer.from('pay'));
    bucket.add(`cluster/${walKey(7)}`, realOf(walKey(5)), { storedAt: ATTACK });
    for (const segno of [6, 7, 8]) {
      const key = `wal/00000002/0000000200000000/${nameOf(segno, 2)}.zst`;
      bucket.versions.delete(`cluster/${key}`);
    }
    bucket.versions.delete('cluster/wal/00000002.history.zst');
    expect(await fetchSegment(6)).toMatchObject({ status: 200 });
    expect(await fetchSegment(6, '--as-of', AS_OF)).toMatchObject({ status: 1, stderr: '' });
    const { gaps } = JSON.parse((await walhold('list', '--json', '--as-of', AS_OF)).stdout) as ListJson;
    expect(gaps).toEqual([]);
  });
});

describe('a name that somebody took before the server came there', () => {
  const key = 'wal/00000001/0000000100000000/000000010000000000000009.zst';

  it('fails the push by name, version and way out, stops a recovery, and works again once it is free', async () => {
    const version = put(key, Buffer.from('junk'));
    const pushed = await hook('walhold-push', await cluster.putSegment(9));
    expect(pushed.status).toBe(1);
    expect(pushed.stderr).toContain(`s3://bucket/cluster/${key} (version ${version})`);
    expect(pushed.stderr).toContain(`"walhold wal resolve ${nameOf(9)}"`);
    const stopped = await fetchSegment(9);
    expect(stopped).toMatchObject({ status: 200 });
    expect(stopped.stderr).toContain('could not trust');

    put(key, undefined);
    expect(await hook('walhold-push', await cluster.putSegment(9))).toMatchObject({ status: 0 });
    expect(await hook('walhold-push', await cluster.putSegment(9))).toMatchObject({ status: 0 });
    expect(await fetchSegment(9)).toMatchObject({ status: 0 });
    expect((await fetched()).equals(segmentBytes(9))).toBe(true);
  });
});

describe('credentials that may not list versions', () => {
  it('read what is current, and warn; as of a moment they read nothing', async () => {
    fake.addKey('AKPLAIN', ['s3:GetObject', 's3:ListBucket']);
    const env = { ...environment(), AWS_ACCESS_KEY_ID: 'AKPLAIN' };
    const list = async (...flags: string[]): Promise<RunResult> =>
      await run([await built('walhold'), 'list', ...settings(), ...flags], { env });
    const plain = await list();
    expect(plain.status).toBe(0);
    expect(plain.stderr).toContain('only the newest version of each object in s3://bucket/cluster can be read');
    expect(await list('--as-of', AS_OF)).toMatchObject({ status: 1, stdout: '' });
  });
});

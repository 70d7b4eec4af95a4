import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RepoCopyJson } from '../../src/commands/repo-copy.ts';
import { hangs } from '../support/fake-s3-faults.ts';
import { FakeS3 } from '../support/fake-s3.ts';
import { FileRepository } from '../support/file-repository.ts';
import { built } from '../support/hook.ts';
import { putSegments } from '../support/made-segments.ts';
import { patternBytes } from '../support/bytes.ts';
import { Place } from '../support/place.ts';
import { plainEnvironment, run } from '../support/run.ts';
import { inSegment, putBackup } from '../support/stored-backup.ts';
import { waitFor } from '../support/wait-for.ts';

const WALHOLD = await built('walhold');
/** The identity, five segments, three parts, a manifest and a record. */
const OBJECTS = 11;

describe('walhold repo copy', () => {
  test('is killed in the middle of an upload and run again, from files to S3 and back', async () => {
    await using source = await FileRepository.create();
    await putSegments(source, 2, 6);
    const large = { 'base/1/1': patternBytes(20 * 1024 * 1024) };
    const parts = [{ PG_VERSION: '15\n' }, { 'base/1/2': 'small', 'global/pg_control': 'x' }, large];
    await putBackup(source, { startLsn: inSegment(3), stopLsn: inSegment(4, 400), parts });
    await using fake = await FakeS3.start();
    const bucket = fake.makeBucket('copies');
    const env = { ...plainEnvironment(), AWS_ACCESS_KEY_ID: fake.accessKey, AWS_SECRET_ACCESS_KEY: fake.secretKey };
    const places = [
      '--repo',
      `file://${source.root}`,
      '--repo2',
      's3://copies/main',
      '--repo2-s3-endpoint',
      fake.endpoint,
    ];
    const settings = [...places, '--repo2-s3-path-style', 'on', '--repo2-s3-region', fake.region, '--jobs', '2'];
    const argv = ['repo', 'copy', '--json', ...settings];

    // The first piece of the large part is never answered.
    fake.fail(hangs, { operation: 'UploadPart', times: 100 });
    const killed = spawn(WALHOLD, [...argv, '--from', '1', '--to', '2'], { env, detached: true, stdio: 'ignore' });
    const ended = once(killed, 'exit');
    await waitFor(() => fake.requests.includes('UploadPart'), { what: 'the upload of a large part' });
    process.kill(-(killed.pid ?? 0), 'SIGKILL');
    await ended;
    fake.forget();
    const half = bucket.keys.length;
    expect(half).toBeGreaterThan(0);
    expect(half).toBeLessThan(OBJECTS);
    expect(bucket.keys.filter((key) => key.endsWith('backup.json'))).toEqual([]);

    const again = await run([WALHOLD, ...argv, '--from', '1', '--to', '2'], { env });
    expect({ status: again.status, stderr: again.stderr }).toEqual({ status: 0, stderr: '' });
    const { copied, present, conflicts, damaged } = JSON.parse(again.stdout) as RepoCopyJson;
    expect({ conflicts, damaged, objects: copied + present }).toEqual({
      conflicts: [],
      damaged: [],
      objects: OBJECTS - 1,
    });
    expect(present).toBe(half - 1);
    expect(bucket.keys).toHaveLength(OBJECTS);

    await using place = await Place.create('repo-copy', 'current user');
    const third = join(place.path, 'third');
    const back = [...argv, '--repo3', `file://${third}`, '--from', '2', '--to', '3'];
    expect(await run([WALHOLD, ...back], { env })).toMatchObject({ status: 0 });
    const verified = await run([WALHOLD, 'verify', '--repo', `file://${third}`, '--json'], { env });
    expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, checked: { objects: OBJECTS - 2 } });
  });
});

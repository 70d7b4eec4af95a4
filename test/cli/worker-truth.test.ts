import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decompressFrames } from '../../src/stream/zstd.ts';
import { CallingServer, NO_PROGRAM } from '../support/calling-server.ts';
import { SYSTEM_ID } from '../support/file-repository.ts';
import { callHook } from '../support/hook-call.ts';
import { nameOf, segmentBytes } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { PretendCluster } from '../support/pretend-cluster.ts';
import { segmentPath } from '../support/repository-files.ts';
import type { RunResult } from '../support/run.ts';
import { waitFor } from '../support/wait-for.ts';
import { WalBuilder } from '../support/wal-builder.ts';
import { workersOf } from '../support/workers.ts';

const MIB = 1024 * 1024;

let place: Place;
let server: CallingServer;

beforeEach(async () => {
  place = await Place.create('truth', 'current user');
  server = await CallingServer.start(place.path);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

/** A segment of the same cluster and number as {@link segmentBytes} gives, with other WAL in it. */
function otherBytes(segno: number, systemId: bigint = SYSTEM_ID): Buffer {
  const builder = new WalBuilder({ segno: BigInt(segno), timeline: 1, systemId, magic: 0xd110 });
  builder.record({ xid: 701, data: Buffer.from(`another segment ${segno}`) });
  builder.switchSegment();
  return builder.segment(0);
}

async function storedBytes(segno: number, repository: string = server.repository): Promise<Buffer> {
  return decompressFrames(await readFile(segmentPath(repository, nameOf(segno))), MIB);
}

/** Has a worker serve that has stored these segments, for which nobody has asked yet. */
async function served(...segnos: number[]): Promise<void> {
  await server.ready(4);
  expect(await server.push(4)).toMatchObject({ status: 0, stderr: '' });
  await server.done(4);
  await server.waitUntilServed('push');
  await server.ready(...segnos);
  await waitFor(() => server.answers('push').length === segnos.length, { what: 'the answers', deadlineMs: 15_000 });
}

const expectRefused = ({ status, stderr }: RunResult): void => {
  expect(stderr).toContain('other content is stored under this name');
  expect(status).toBe(1);
};

describe('what a worker has stored is no answer for', () => {
  it('other bytes under the same name, however old they are said to be', async () => {
    await served(5, 6, 7, 8, 9);
    await server.cluster.put(`pg_wal/${nameOf(8)}`, otherBytes(8));
    expectRefused(await server.push(8));
    expect(await storedBytes(8)).toEqual(segmentBytes(8));
    expect(await server.push(9, [], NO_PROGRAM)).toMatchObject({ status: 0 });
    const now = Date.now() / 1000;
    for (const [segno, at] of [
      [5, now - 1],
      [6, 1],
      [7, now + 1e8],
    ] as const) {
      await server.cluster.put(`pg_wal/${nameOf(segno)}`, otherBytes(segno));
      await utimes(join(server.path, 'pg_wal', nameOf(segno)), at, at);
      expectRefused(await server.push(segno));
    }
  });

  it('a file that was recycled under another name, nor is that taken for what its name says', async () => {
    await served(5);
    expect(await server.push(5, [], NO_PROGRAM)).toMatchObject({ status: 0 });
    await server.done(5);
    await waitFor(() => server.answers('push').length === 0, { what: 'the answer to be forgotten' });
    const recycled = `pg_wal/${nameOf(9)}`;
    await rename(join(server.path, 'pg_wal', nameOf(5)), join(server.path, recycled));
    await server.cluster.put(`pg_wal/archive_status/${nameOf(9)}.ready`, '');
    const early = await server.push(9);
    expect(early.status).toBe(1);
    expect(early.stderr).toContain('it is not what its name says');
    expect(server.isStored(9)).toBe(false);
    // Written in place, as a server does.
    await server.ready(9);
    expect(await server.push(9)).toMatchObject({ status: 0, stderr: '' });
    expect(await storedBytes(9)).toEqual(segmentBytes(9));
  });
});

describe('times that jump', () => {
  it('keep no segment from being stored, and no call from its answer', async () => {
    await served();
    let segno = 5;
    for (const at of [1, Date.now() / 1000 + 1e8, Date.now() / 1000 - 3600]) {
      await server.cluster.putSegment(segno);
      await utimes(join(server.path, 'pg_wal', nameOf(segno)), at, at);
      await server.cluster.put(`pg_wal/archive_status/${nameOf(segno)}.ready`, '');
      await waitFor(() => server.answers('push').includes(nameOf(segno)), { what: 'the answer', deadlineMs: 15_000 });
      expect(await server.push(segno, [], NO_PROGRAM)).toMatchObject({ status: 0, stderr: '' });
      expect(await storedBytes(segno)).toEqual(segmentBytes(segno));
      await server.done(segno);
      segno += 1;
    }
  });
});

describe('a copy of a data directory with a worker and its answers', () => {
  const ALIVE: [string, () => Promise<void>][] = [
    ['while the original runs', async () => undefined],
    [
      'after its worker was killed',
      async () => {
        process.kill(server.workers[0] ?? 0, 'SIGKILL');
        await waitFor(() => server.workers.length === 0, { what: 'its end' });
      },
    ],
  ];
  it.each(ALIVE)('is answered by none of them, taken %s', async (_, happens) => {
    await served(5, 6, 7);
    await happens();
    const copy = join(place.path, 'copy');
    await cp(server.path, copy, { recursive: true, preserveTimestamps: true });
    const push = async (segno: number): Promise<RunResult> =>
      await callHook('walhold-push', { path: copy } as PretendCluster, [
        '--repo',
        `file://${server.repository}`,
        `pg_wal/${nameOf(segno)}`,
      ]);
    const overwrite = async (segno: number): Promise<void> => {
      await rm(join(copy, 'pg_wal', nameOf(segno)));
      await cp(await place.file(`other-${segno}`, otherBytes(segno)), join(copy, 'pg_wal', nameOf(segno)));
    };
    // Called by hand, in a copy that still says that the original's server runs there.
    await overwrite(5);
    expectRefused(await push(5));
    // Its own server has been started.
    const started = `${process.pid}\n${copy}\n1700000009\n5432\n`;
    await rm(join(copy, 'postmaster.pid'));
    await rename(await place.file('started', started), join(copy, 'postmaster.pid'));
    await overwrite(6);
    expectRefused(await push(6));
    expect((await push(7)).status).toBe(0);
    await unlink(join(copy, 'postmaster.pid'));
    await waitFor(() => workersOf(copy).length === 0, { what: 'the worker of the copy to end', deadlineMs: 15_000 });
    expect(await storedBytes(5)).toEqual(segmentBytes(5));
  });

  it('is another cluster at the same place, once it was restored there', async () => {
    await served(5, 6);
    const before = server.workers;
    await rename(server.path, `${server.path}.old`);
    const restored = await PretendCluster.create(server.path);
    await mkdir(join(restored.path, 'pg_wal/archive_status'));
    await cp(join(`${server.path}.old`, 'pg_wal/pgsql_tmp.walhold'), server.spool, {
      recursive: true,
      preserveTimestamps: true,
    });
    await restored.pretendToRun(process.pid, 1_700_000_009);
    await restored.put(`pg_wal/${nameOf(5)}`, otherBytes(5));
    expectRefused(await server.push(5));
    await waitFor(() => !server.workers.includes(before[0] ?? 0), {
      what: 'the old worker to end',
      deadlineMs: 10_000,
    });
  });
});

describe('two clusters on one host', () => {
  it('with one spool are each served their own', async () => {
    const spool = await place.folder('spool');
    const words = ['--spool-path', spool];
    const otherId = SYSTEM_ID + 1n;
    await using other = await CallingServer.start(await place.folder('other'), { systemId: otherId });
    const put = async (segno: number): Promise<void> => {
      await server.ready(segno);
      await other.cluster.put(`pg_wal/${nameOf(segno)}`, otherBytes(segno, otherId));
      await other.cluster.put(`pg_wal/archive_status/${nameOf(segno)}.ready`, '');
    };
    await put(4);
    for (const each of [server, other]) {
      expect(await each.push(4, words)).toMatchObject({ status: 0, stderr: '' });
      await each.done(4);
      await each.waitUntilServed('push');
    }
    for (const segno of [5, 6]) await put(segno);
    await waitFor(() => server.answers('push', spool).length === 4, { what: 'four answers', deadlineMs: 15_000 });
    expect(server.workers).toHaveLength(1);
    expect(other.workers).toHaveLength(1);
    for (const segno of [5, 6]) {
      for (const each of [other, server]) {
        expect(await each.push(segno, words, NO_PROGRAM)).toMatchObject({ status: 0, stderr: '' });
      }
      expect(await storedBytes(segno)).toEqual(segmentBytes(segno));
      expect(await storedBytes(segno, other.repository)).toEqual(otherBytes(segno, otherId));
    }
  });
});

describe('as of a moment', () => {
  const moment = '2026-11-22 18:00:00+00';
  const stamp = async (path: string, time: string): Promise<void> => await utimes(path, new Date(time), new Date(time));

  beforeEach(async () => {
    await server.archive(4, 5, 6, 7);
    await stamp(join(server.repository, 'walhold.json'), '2026-11-22T17:00:00Z');
    for (const segno of [4, 5, 6, 7]) {
      const time = segno <= 5 ? '2026-11-22T17:59:59Z' : '2026-11-22T18:00:01Z';
      await stamp(segmentPath(server.repository, nameOf(segno)), time);
    }
    await server.cluster.put('recovery.signal', '');
  });

  const startFetching = async (words: readonly string[], count: number): Promise<void> => {
    expect(await server.fetch(4, words)).toMatchObject({ status: 0, stderr: '' });
    expect(await server.hasRecovered(4)).toBe(true);
    await server.waitUntilServed('fetch');
    await waitFor(() => server.answers('fetch').length === count, { what: 'what was there', deadlineMs: 15_000 });
  };

  it('a worker brings what was there, and nothing of it goes to a call that asks for all, or for another moment', async () => {
    await startFetching(['--as-of', moment], 1);
    expect(await server.fetch(5, ['--as-of', moment], NO_PROGRAM)).toMatchObject({ status: 0 });
    expect(await server.hasRecovered(5)).toBe(true);
    expect(await server.fetch(6, ['--as-of', moment])).toMatchObject({ status: 1, stderr: '' });
    expect(await server.fetch(6, ['--as-of', '2026-11-22 19:00+00'])).toMatchObject({ status: 0 });
    expect(await server.hasRecovered(6)).toBe(true);
    expect(await server.fetch(7)).toMatchObject({ status: 0 });
    expect(await server.hasRecovered(7)).toBe(true);
  });

  it('nothing comes from a worker that brings all there is', async () => {
    await startFetching([], 3);
    expect(await server.fetch(6, ['--as-of', moment])).toMatchObject({ status: 1, stderr: '' });
    expect(existsSync(join(server.path, 'pg_wal/RECOVERYXLOG'))).toBe(false);
  });

  it('without a zone means the zone of the call', async () => {
    const local = ['--as-of', '2026-11-22 18:00:00'];
    const utc = { env: { TZ: 'UTC' } };
    expect(await server.fetch(4, local, utc)).toMatchObject({ status: 0 });
    expect(await server.hasRecovered(4)).toBe(true);
    await server.waitUntilServed('fetch');
    await waitFor(() => server.answers('fetch').length === 1, { what: 'what was there', deadlineMs: 15_000 });
    // An hour earlier, when nothing was there but the identity.
    const east = await server.fetch(5, local, { env: { TZ: 'Etc/GMT-1' } });
    expect(east.status).toBe(1);
    expect(await server.takeRecovered()).toBeUndefined();
  });
});

import { readFile, writeFile, chmod } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { VerifyJson } from '../../src/commands/verify.ts';
import { parseWalHeader } from '../../src/postgres/wal-header.ts';
import { walkRecords, type WalRecord } from '../../src/postgres/wal-records.ts';
import { decodeObject, encodeObject } from '../../src/repository/object-codec.ts';
import { archivedCluster, backUp, walhold, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import type { Cluster } from '../support/cluster.ts';
import { CHOSEN_MAJORS } from '../support/effort.ts';
import { filedSegments, segmentPath } from '../support/repository-files.ts';
import { makeStandby, waitUntilCaughtUp } from '../support/standby.ts';

const MIB = 1024 * 1024;

async function verify({ cluster, config }: Archived): Promise<VerifyJson> {
  const { stdout, stderr } = await walhold(cluster, config, ['verify', '--json']);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as VerifyJson;
}

/** Small records, page images, and one that fills more than two segments. */
async function write(cluster: Cluster): Promise<void> {
  await cluster.query('insert into t select i, md5(i::text) from generate_series(1, 20000) i');
  await cluster.query('update t set v = v || i where i % 7 = 0');
  await cluster.query(`select pg_logical_emit_message(false, 'test', repeat('x', ${2.5 * MIB}))`);
  await cluster.query('checkpoint');
  await cluster.query('delete from t where i % 3 = 0');
}

describe.each(CHOSEN_MAJORS)('WAL of PostgreSQL %i', (major) => {
  test('is proven record by record through a crash and a failover, and a wrong byte is found under right digests', async () => {
    await using archived = await archivedCluster({ major, settings: { wal_keep_size: '256MB', wal_level: 'logical' } });
    const { cluster: primary, config, repository } = archived;
    await primary.start();
    await primary.query('create table t (i int, v text)');
    await write(primary);
    await backUp(primary, config);
    await write(primary);
    await primary.kill9();
    await primary.start();
    await write(primary);
    await using next = await makeStandby(primary, { name: 'next', streaming: true });
    await next.start();
    await write(primary);
    await archiveEverything(primary);
    await primary.query('insert into t select i from generate_series(1, 100) i');
    await waitUntilCaughtUp(next, primary);
    await primary.kill9();
    await next.promote();
    await write(next);
    await archiveEverything(next);

    const sound = await verify(archived);
    expect(sound.problems).toEqual([]);
    expect(sound.checked.records).toBeGreaterThan(100_000);
    // Only where the new timeline begins in the middle of a record's segment.
    expect(sound.checked.unproven).toBeLessThanOrEqual(1);

    const { path, name, record } = await ordinaryRecord(repository);
    const { head, plain } = decodeObject(await readFile(path), name, MIB);
    const wrong = Buffer.from(plain);
    const at = Number(record.lsn % BigInt(MIB)) + 40;
    wrong.writeUInt8((wrong[at] ?? 0) ^ 1, at);
    const { kind, systemId } = head;
    await chmod(path, 0o600);
    await writeFile(path, encodeObject(wrong, { kind, name, systemId }, 1).bytes);
    expect((await verify(archived)).problems).toMatchObject([
      {
        code: 'bad-record',
        object: path.slice(repository.length + 1),
        message: expect.stringContaining('wrong CRC-32C') as string,
      },
    ]);
  });
});

/** One of a segment that has many after it. */
async function ordinaryRecord(repository: string): Promise<{ path: string; name: string; record: WalRecord }> {
  for (const name of await filedSegments(repository, '00000001')) {
    const path = segmentPath(repository, name);
    const records = recordsIn(decodeObject(await readFile(path), name, MIB).plain);
    const record = records.slice(0, -100).find(({ totalLength }) => totalLength > 60 && totalLength < 4000);
    if (record !== undefined) return { path, name, record };
  }
  throw new Error('there is no such record');
}

function recordsIn(plain: Buffer): WalRecord[] {
  const header = parseWalHeader(plain);
  if (!header.ok) throw new Error(header.fault.field);
  const records: WalRecord[] = [];
  walkRecords(plain, header.header.pageAddress, { onRecord: (record) => records.push(record) });
  return records;
}

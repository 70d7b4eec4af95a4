import {
  DeleteObjectCommand,
  GetObjectLockConfigurationCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import type { LockStatusJson } from '../../src/commands/lock/lock-status-json.ts';
import type { StatusJson } from '../../src/commands/status-json.ts';
import type { VerifyJson } from '../../src/commands/verify.ts';
import { formatIdentity } from '../../src/repository/identity.ts';
import { archivedCluster, backUp, restored, walhold, walholdOk, type Archived } from '../support/archived-cluster.ts';
import { archiveEverything } from '../support/archiving.ts';
import { adminClient } from '../support/bucket.ts';
import type { Cluster } from '../support/cluster.ts';
import { patternBytes } from '../support/bytes.ts';
import { startLoad, type LoadReport } from '../support/load.ts';
import { clientOf, environmentOf, sessionFor } from '../support/minio-sessions.ts';
import { EVERYTHING, judgeRows } from '../support/recovered-rows.ts';
import { archivingToS3 } from '../support/s3-cluster.ts';
import { waitFor } from '../support/wait-for.ts';
import { s3ServerKinds, startMinio, type S3Server } from '../support/s3-server.ts';

const BUCKET = 'bucket';
const PREFIX = 'cluster/';
const LOCKED = { lock_mode: 'compliance', lock_period: '1d' };
const LOAD = { clients: 2, payloadBytes: 1000, pauseMs: 5 };
const junk = patternBytes(3000, 7);

describe.skipIf(!s3ServerKinds().includes('minio'))('an attacker with all that the database host has', () => {
  test('destroys nothing that was stored before, and leaves traces that are named', async () => {
    await using server = await startMinio();
    await server.makeBucket(BUCKET, { objectLock: true });
    await using original = await archivedTo(server);
    const { cluster } = original;
    await cluster.start();
    const rows = await writeAndBackUp(original);

    const before = new Date(await cluster.value<string>("select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")); // prettier-ignore
    const archiver = clientOf(server, keysOf(cluster));
    // Recovery to a time ends at the first commit after it.
    await cluster.query('create table later ()');
    await archiveEverything(cluster);
    const future = await nextSegments(cluster, 3);
    const attacked = await attack(server, archiver, future, before);
    archiver.destroy();
    // The junk under the next segment's name is not taken for it: the server goes on asking, and keeps its own.
    await expectPushRefused(original, future[0] ?? '');
    await cluster.kill9();

    // The archiver's keys are burnt; recovery comes with the restorer's.
    Object.assign(cluster.env, environmentOf(await sessionFor(server, await policyFor(original, 'restorer'))));
    const asOf = attacked.begun.toISOString();
    await expectEveryRow(original, rows, ['--as-of', asOf]);
    await expectEveryRow(original, rows, ['--target-time', before.toISOString(), '--target-action', 'promote']);
    await expectTracesNamed(original, attacked);
  });
});

/** A cluster that archives with the archiver's least-privilege keys, as `walhold lock policy` has them. */
async function archivedTo(server: S3Server): Promise<Archived> {
  const { walhold: settings, env } = archivingToS3(server, BUCKET);
  const archived = await archivedCluster({ walhold: { ...settings, ...LOCKED, gap_grace: 0 }, env });
  const keys = await sessionFor(server, await policyFor(archived, 'archiver'));
  Object.assign(archived.cluster.env, environmentOf(keys));
  return archived;
}

async function policyFor({ cluster, config }: Archived, role: string): Promise<object> {
  return JSON.parse((await walholdOk(cluster, config, ['lock', 'policy', '--for', role])).stdout) as object;
}

function keysOf({ env }: Cluster): Parameters<typeof clientOf>[1] {
  const of = (name: string): string => env[name] ?? expect.unreachable(name);
  return {
    accessKeyId: of('AWS_ACCESS_KEY_ID'),
    secretAccessKey: of('AWS_SECRET_ACCESS_KEY'),
    sessionToken: of('AWS_SESSION_TOKEN'),
  };
}

/** Rows before, within and after a backup, all archived, and a second timeline's history beside them. */
async function writeAndBackUp({ cluster, config }: Archived): Promise<LoadReport> {
  await using load = await startLoad(cluster, LOAD);
  await archiveEverything(cluster);
  await backUp(cluster, config);
  await archiveEverything(cluster);
  const rows = await load.stop();
  await archiveEverything(cluster);
  expect(rows.committed.length).toBeGreaterThan(20);
  return rows;
}

/** The names that the server will archive next (one byte on: before 17 a boundary belongs to the segment that it ends). */
async function nextSegments(cluster: Cluster, count: number): Promise<string[]> {
  const sql = `select pg_walfile_name(pg_current_wal_lsn() + 1 + $1::bigint * 1024 * 1024) as name`;
  return await Promise.all(Array.from({ length: count }, async (_, at) => cluster.value<string>(sql, [at])));
}

interface Attacked {
  /** By the store's clock: whatever is as old or older is ours. */
  begun: Date;
  overwritten: string[];
  beside: string[];
  squatted: string[];
}

/** Everything that the archiver's keys could be used for. */
async function attack(
  server: S3Server,
  archiver: S3Client,
  future: readonly string[],
  before: Date,
): Promise<Attacked> {
  const listed = await archiver.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: PREFIX }));
  const objects = listed.Contents ?? [];
  const keys = objects.flatMap(({ Key }) => Key ?? []);
  expect(listed.IsTruncated).not.toBe(true);
  expect(keys.length).toBeGreaterThan(6);
  const last = Math.max(...objects.map(({ LastModified }) => LastModified?.getTime() ?? 0), before.getTime());
  // S3 tells whole seconds: the attack begins in the next one.
  const begun = new Date(Math.ceil(last / 1000) * 1000);
  await untilAfter(begun);
  await expectForbidden(server, archiver, keys[0] ?? '');

  // A forged identity, and junk over everything.
  const identity = formatIdentity({ format: 1, systemId: 1n, createdAt: begun.toISOString(), by: 'nobody' });
  for (const Key of keys) {
    const Body = Key.endsWith('walhold.json') ? identity : junk;
    await archiver.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  }
  const squatted = future.map((name) => `wal/${name.slice(0, 8)}/${name.slice(0, 16)}/${name}.zst`);
  const beside = ['wal/00000001/evil', 'backup/evil.txt'];
  for (const key of [...squatted, ...beside]) {
    await archiver.send(new PutObjectCommand({ Bucket: BUCKET, Key: PREFIX + key, Body: junk }));
  }
  const overwritten = keys.map((key) => key.slice(PREFIX.length));
  return { begun, overwritten, beside, squatted };
}

async function untilAfter(moment: Date): Promise<void> {
  await waitFor(() => Date.now() > moment.getTime() + 1000, { what: 'the second to pass' });
}

/** Each of these must be refused, and leave the first version as it was. */
async function expectForbidden(server: S3Server, archiver: S3Client, Key: string): Promise<void> {
  const admin = adminClient(server);
  try {
    const { Versions = [] } = await admin.send(new ListObjectVersionsCommand({ Bucket: BUCKET, Prefix: Key }));
    const VersionId = Versions.at(-1)?.VersionId ?? expect.unreachable();
    const object = { Bucket: BUCKET, Key };
    const version = { ...object, VersionId };
    const soon = new Date(Date.now() + 60_000);
    const Rule = { ID: 'gone', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 1 } } as const;
    const statement = { Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: `arn:aws:s3:::${BUCKET}/*` };
    const attempts: Record<string, () => Promise<unknown>> = {
      'delete the name': () => archiver.send(new DeleteObjectCommand(object)),
      'delete the version': () => archiver.send(new DeleteObjectCommand(version)),
      'delete it past the lock': () =>
        archiver.send(new DeleteObjectCommand({ ...version, BypassGovernanceRetention: true })),
      'shorten the lock': () => archiver.send(new PutObjectRetentionCommand({ ...version, Retention: { Mode: 'COMPLIANCE', RetainUntilDate: soon } })), // prettier-ignore
      'weaken the lock': () => archiver.send(new PutObjectRetentionCommand({ ...version, BypassGovernanceRetention: true, Retention: { Mode: 'GOVERNANCE', RetainUntilDate: soon } })), // prettier-ignore
      'hold it for ever': () =>
        archiver.send(new PutObjectLegalHoldCommand({ ...version, LegalHold: { Status: 'ON' } })),
      'expire all by a rule': () => archiver.send(new PutBucketLifecycleConfigurationCommand({ Bucket: BUCKET, LifecycleConfiguration: { Rules: [Rule] } })), // prettier-ignore
      'suspend versioning': () => archiver.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: { Status: 'Suspended' } })), // prettier-ignore
      'change the default lock': () => archiver.send(new PutObjectLockConfigurationCommand({ Bucket: BUCKET, ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled' } })), // prettier-ignore
      'put where nothing of ours lies': () =>
        archiver.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${PREFIX}evil`, Body: junk })),
      'open the bucket to all': () => archiver.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }) })), // prettier-ignore
    };
    for (const [what, attempt] of Object.entries(attempts)) {
      const outcome = await attempt().then(
        () => 'accepted',
        (error: Error) => error.name,
      );
      expect(outcome, what).not.toBe('accepted');
    }
    await admin.send(new GetObjectLockConfigurationCommand({ Bucket: BUCKET }));
    const after = await admin.send(new ListObjectVersionsCommand({ Bucket: BUCKET, Prefix: Key }));
    expect(after.Versions).toEqual(Versions);
  } finally {
    admin.destroy();
  }
}

async function expectPushRefused({ cluster }: Archived, squatted: string): Promise<void> {
  await cluster.markLog('squatted');
  await cluster.query(`select pg_switch_wal() from pg_logical_emit_message(false, 'test', 'switch')`);
  const named = new RegExp(`could not store ${squatted}: .*`);
  await cluster.waitForLog(named, { after: 'squatted' });
  expect(await cluster.walFiles('archive_status')).toContain(`${squatted}.ready`);
}

async function expectEveryRow({ cluster, config }: Archived, rows: LoadReport, flags: string[]): Promise<void> {
  await using back = await restored(cluster, config, flags);
  await back.start();
  await back.waitUntilPromoted();
  const { found, ...faults } = await judgeRows(back, rows, EVERYTHING);
  expect(faults, flags.join(' ')).toEqual({ missing: [], surplus: [], unknown: [], altered: [], undecided: 0 });
  expect(found).toBe(rows.committed.length);
}

async function expectTracesNamed({ cluster, config }: Archived, attacked: Attacked): Promise<void> {
  let said = '';
  const json = async <T>(...argv: string[]): Promise<T> => {
    const result = await walhold(cluster, config, [...argv, '--json']);
    said = result.stderr;
    return JSON.parse(result.stdout) as T;
  };
  const { overwritten, squatted, beside } = attacked;
  const verified = await json<VerifyJson>('verify');
  const problems = new Map(verified.problems.map(({ object, code }) => [object, code]));
  expect(verified.ok).toBe(false);
  for (const key of overwritten) expect(problems.get(key), `verify names ${key}`).toBe('extra-version');
  for (const key of squatted) expect(problems.get(key), `verify names ${key}`).toBe('damaged');
  for (const key of beside) expect(said, `verify names ${key}`).toContain(key);

  const { tampering } = await json<StatusJson>('status', '-D', cluster.dataDir);
  const inStatus = new Set(tampering.map(({ object }) => object));
  const inLocks = (await json<LockStatusJson>('lock', 'status')).repositories.flatMap((one) => one.tampering.traces);
  const lockTraces = new Set(inLocks.map(({ object }) => object));
  for (const key of overwritten) {
    expect(lockTraces.has(key), `lock status names ${key}`).toBe(true);
    expect(inStatus.has(key), `status names ${key}`).toBe(true);
  }
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../../scripts/build.ts';
import type { PolicyDocument, PolicyStatement } from '../../../../src/commands/lock/s3-policy.ts';
import { callCompanion, jsonOf } from '../../../support/companion-call.ts';

const S3 = ['--repo', 's3://my-bucket/main'];
const LOCKED = [...S3, '--lock-mode', 'compliance', '--lock-period', '30d'];
const GCS = ['--repo', 'gs://my-bucket/main', '--lock-mode', 'governance', '--lock-period', '30d'];

async function policy(...flags: string[]): Promise<PolicyStatement[]> {
  const result = await callCompanion(['lock', 'policy', ...flags]);
  expect(result.stderr).toBe('');
  return jsonOf<PolicyDocument>(result).Statement;
}

const actionsOf = (statements: readonly PolicyStatement[]): string[] => statements.flatMap(({ Action }) => Action);

describe('lock policy on S3', () => {
  it('gives an archiver no right to delete, replace, or touch records of locks', async () => {
    const statements = await policy('--for', 'archiver', ...LOCKED);
    const actions = actionsOf(statements);
    expect(actions.filter((one) => /Delete|Bypass|Bucket(?!$|Versions$)|\*/.test(one))).toEqual([]);
    const put = statements.find(({ Action }) => Action.includes('s3:PutObject'));
    expect(put?.Resource).toEqual([
      'arn:aws:s3:::my-bucket/main/walhold.json',
      'arn:aws:s3:::my-bucket/main/walhold.probe*',
      'arn:aws:s3:::my-bucket/main/wal/*',
      'arn:aws:s3:::my-bucket/main/backup/*',
      'arn:aws:s3:::my-bucket/main/drill/*',
    ]);
  });

  it('caps how long whoever locks may lock', async () => {
    for (const role of ['archiver', 'extender']) {
      const statements = await policy('--for', role, ...LOCKED, '--lock-max', '90d');
      const locks = statements.filter(({ Action }) => Action.includes('s3:PutObjectRetention'));
      expect(locks.map(({ Effect, Condition }) => [Effect, Condition])).toEqual([
        ['Allow', undefined],
        // A condition of what is allowed would never be met where a server does not know the days.
        ['Deny', { NumericGreaterThan: { 's3:object-lock-remaining-retention-days': '90' } }],
      ]);
    }
  });

  it('needs no right to lock where the bucket locks by itself', async () => {
    const byBucket = [...S3, '--lock-mode', 'bucket', '--lock-period', '30d'];
    expect(actionsOf(await policy('--for', 'archiver', ...byBucket))).not.toContain('s3:PutObjectRetention');
    expect(actionsOf(await policy('--for', 'extender', ...byBucket))).toContain('s3:PutObjectRetention');
  });

  it('lets a restorer read versions and write nothing', async () => {
    expect(await policy('--for', 'restorer', ...S3)).toEqual([
      { Effect: 'Allow', Action: ['s3:GetObject', 's3:GetObjectVersion'], Resource: 'arn:aws:s3:::my-bucket/main/*' },
      { Effect: 'Allow', Action: ['s3:ListBucket', 's3:ListBucketVersions'], Resource: 'arn:aws:s3:::my-bucket' },
    ]);
    expect(actionsOf(await policy('--for', 'restorer', ...LOCKED)).filter((one) => /Put|Delete/.test(one))).toEqual([]);
  });

  it('lets an extender write records alone, and hold only when told', async () => {
    const statements = await policy('--for', 'extender', ...LOCKED);
    const put = statements.find(({ Action }) => Action.includes('s3:PutObject'));
    expect(put?.Resource).toEqual(['arn:aws:s3:::my-bucket/main/lock/*', 'arn:aws:s3:::my-bucket/main/seal/*']);
    expect(actionsOf(statements).filter((one) => /Delete|Bypass|PutObjectLegalHold/.test(one))).toEqual([]);
    expect(actionsOf(await policy('--for', 'extender', '--with-holds', ...LOCKED))).toContain('s3:PutObjectLegalHold');
  });

  it('lets a pruner delete, and never bypass, or write anything but the index of what it deleted', async () => {
    const statements = await policy('--for', 'pruner', ...LOCKED);
    const actions = actionsOf(statements);
    expect(actions).toContain('s3:DeleteObjectVersion');
    expect(actions.filter((one) => /Bypass|Hold$/.test(one))).toEqual(['s3:GetObjectLegalHold']);
    const writes = statements.filter(({ Action }) => Action.some((one) => one.startsWith('s3:Put')));
    expect(writes.map(({ Effect, Action }) => [Effect, ...Action])).toEqual([
      ['Allow', 's3:PutObject'],
      ['Allow', 's3:PutObjectRetention'],
      ['Deny', 's3:PutObjectRetention'],
    ]);
    for (const { Resource } of writes) expect(Resource).toMatch(/\/expired\/\*$/);
  });

  it.each([
    ['1234abcd-12ab', 'arn:aws:kms:eu-central-1:ACCOUNT-ID:key/1234abcd-12ab', undefined],
    ['arn:aws:kms:eu-west-1:111122223333:key/1234', 'arn:aws:kms:eu-west-1:111122223333:key/1234', undefined],
    [
      'alias/walhold',
      'arn:aws:kms:eu-central-1:ACCOUNT-ID:key/*',
      { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': ['alias/walhold'] } },
    ],
  ])('names the key %s', async (key, resource, condition) => {
    const flags = [...LOCKED, '--s3-region', 'eu-central-1', '--s3-kms-key', key];
    const archiver = (await policy('--for', 'archiver', ...flags)).at(-1);
    expect(archiver).toMatchObject({ Action: ['kms:GenerateDataKey', 'kms:Decrypt'], Resource: resource });
    expect(archiver?.Condition).toEqual(condition);
    expect((await policy('--for', 'restorer', ...flags)).at(-1)?.Action).toEqual(['kms:Decrypt']);
  });

  it('leaves out the slash of an empty prefix', async () => {
    const [read] = await policy('--for', 'restorer', '--repo', 's3://my-bucket');
    expect(read?.Resource).toBe('arn:aws:s3:::my-bucket/*');
  });

  it('takes the repository that is named', async () => {
    const two = [...S3, '--repo2', 's3://other/place'];
    const [read] = await policy('--for', 'restorer', '--repo-number', '2', ...two);
    expect(read?.Resource).toBe('arn:aws:s3:::other/place/*');
    const missing = await callCompanion(['lock', 'policy', '--for', 'restorer', '--repo-number', '3', ...two]);
    expect(missing).toMatchObject({ status: 2, stdout: '' });
    expect(missing.stderr).toContain('there is no repository number 3');
  });

  it('has the bucket refuse writes without the condition, deletes, and other rules', async () => {
    const statements = await policy('--bucket', ...LOCKED);
    expect(statements.every(({ Effect, Principal }) => Effect === 'Deny' && Principal === '*')).toBe(true);
    expect(statements[0]).toEqual({
      Sid: 'WalholdCreateOnly',
      Effect: 'Deny',
      Principal: '*',
      Action: ['s3:PutObject'],
      Resource: 'arn:aws:s3:::my-bucket/main/*',
      Condition: { Null: { 's3:if-none-match': 'true' }, Bool: { 's3:ObjectCreationOperation': 'true' } },
    });
    const refused = actionsOf(statements);
    for (const action of [
      's3:DeleteObject',
      's3:DeleteObjectVersion',
      's3:BypassGovernanceRetention',
      's3:PutLifecycleConfiguration',
      's3:PutBucketVersioning',
    ]) {
      expect(refused).toContain(action);
    }
    expect(statements.at(-1)?.Condition).toEqual({ Bool: { 'aws:SecureTransport': 'false' } });
  });

  it.each(['archiver', 'restorer'])('is what README.md shows for the %s', async (role) => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const block = new RegExp(`<!-- test: test/postgres/five-minutes.test.ts#${role} -->\n\`\`\`json\n(.*?)\`\`\``, 's');
    const shown = block.exec(readme)?.[1] ?? '';
    expect(JSON.parse(shown)).toEqual({ Version: '2012-10-17', Statement: await policy('--for', role, ...S3) });
  });
});

describe('lock policy elsewhere', () => {
  it('makes roles and bindings for GCS, where creating alone cannot replace', async () => {
    const archiver = await callCompanion(['lock', 'policy', '--for', 'archiver', ...GCS]);
    expect(archiver.stdout).toContain('--permissions=storage.objects.create,storage.objects.setRetention\n');
    expect(archiver.stdout).toContain('resource.name.startsWith("projects/_/buckets/my-bucket/objects/main/wal/")');
    expect(archiver.stdout).not.toMatch(/storage\.objects\.(?:delete|update|overrideUnlockedRetention)/);
    const pruner = await callCompanion(['lock', 'policy', '--for', 'pruner', ...GCS]);
    expect(pruner.stdout).toContain('storage.objects.delete');
    const extender = await callCompanion(['lock', 'policy', '--for', 'extender', ...GCS]);
    expect(extender.stdout).toContain('--permissions=storage.objects.setRetention,storage.objects.update\n');
  });

  it('refuses directories, and a call that says nobody', async () => {
    const file = await callCompanion(['lock', 'policy', '--for', 'archiver', '--repo', 'file:///mnt/x']);
    expect(file).toMatchObject({ status: 2, stdout: '' });
    expect(await callCompanion(['lock', 'policy', ...S3])).toMatchObject({ status: 2, stdout: '' });
  });
});

/** The least that each role needs on S3, as policies to paste. Which right serves what: README.md and SECURITY.md. Pure. */
import type { LockPolicy } from '../../config/config.ts';
import type { S3Settings } from '../../store/open-store.ts';
import {
  BACKUP_PREFIX,
  DRILL_PREFIX,
  EXPIRED_PREFIX,
  IDENTITY_KEY,
  LOCK_PREFIX,
  PROBE_KEY,
  SEAL_PREFIX,
  WAL_PREFIX,
} from '../../repository/layout.ts';

export const ROLES = ['archiver', 'restorer', 'extender', 'pruner'] as const;
export type Role = (typeof ROLES)[number];

export interface PolicyStatement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: '*';
  Action: string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

export interface PolicyDocument {
  Version: '2012-10-17';
  Statement: PolicyStatement[];
}

export interface PolicyOptions {
  /** Of the extender: may also set and lift legal holds. */
  withHolds: boolean;
}

const DAY_MS = 86_400_000;
/** To be replaced by whoever pastes it. */
const ACCOUNT = 'ACCOUNT-ID';

/** What an identity (a user, a role) gets. */
export function s3Policy(
  role: Role,
  store: S3Settings,
  lock: LockPolicy | undefined,
  { withHolds }: PolicyOptions,
): PolicyDocument {
  const place = placeOf(store);
  const statements: Record<Role, PolicyStatement[]> = {
    archiver: archiver(place, lock),
    restorer: [allow([...READ, ...(lock === undefined ? [] : SEE_LOCKS)], place.all)],
    extender: extender(place, lock, withHolds),
    pruner: pruner(place, lock),
  };
  const looks = role === 'extender' ? [...LIST, ...SEE_BUCKET] : LIST;
  const key = keyStatements(store, role !== 'restorer');
  return { Version: '2012-10-17', Statement: [...statements[role], allow(looks, place.bucket), ...key] };
}

/** Versions, too: a name's truth is its oldest. Without the right to list S3 answers "forbidden" for what is absent. */
const READ = ['s3:GetObject', 's3:GetObjectVersion'];
const LIST = ['s3:ListBucket', 's3:ListBucketVersions'];
/** Without these S3 leaves locks out of its answers in silence. */
const SEE_LOCKS = ['s3:GetObjectRetention', 's3:GetObjectLegalHold'];
const SEE_BUCKET = ['s3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration', 's3:GetLifecycleConfiguration'];

function archiver(place: Place, lock: LockPolicy | undefined): PolicyStatement[] {
  const see = lock === undefined ? [] : SEE_LOCKS;
  const statements = [
    allow([...READ, ...see], place.all),
    // Not the records of locks, nor seals: those are the extender's.
    allow(['s3:PutObject', 's3:AbortMultipartUpload'], place.written),
  ];
  // Where the bucket's own default locks, whoever writes needs no right to: and so cannot lock junk for long.
  if (lock !== undefined && lock.mode !== 'bucket') statements.push(...mayLock(place.written, lock));
  return statements;
}

function extender(place: Place, lock: LockPolicy | undefined, withHolds: boolean): PolicyStatement[] {
  const holds = withHolds ? [allow(['s3:PutObjectLegalHold'], place.all)] : [];
  return [
    allow([...READ, ...SEE_LOCKS], place.all),
    allow(
      ['s3:PutObject'],
      [LOCK_PREFIX, SEAL_PREFIX].map((prefix) => `${place.object}${prefix}*`),
    ),
    ...mayLock(place.all, lock),
    ...holds,
  ];
}

/** May delete, and store the index of what it deleted: nothing else. */
function pruner(place: Place, lock: LockPolicy | undefined): PolicyStatement[] {
  const index = `${place.object}${EXPIRED_PREFIX}*`;
  const locks = lock !== undefined && lock.mode !== 'bucket' ? mayLock(index, lock) : [];
  return [
    allow([...READ, ...SEE_LOCKS, 's3:DeleteObject', 's3:DeleteObjectVersion'], place.all),
    allow(['s3:PutObject'], index),
    ...locks,
  ];
}

/**
 * Whoever may lock may lock for too long: capped, so that a stolen key cannot make a bucket cost for a hundred years. As a refusal, since
 * servers that do not know the days (MinIO, of a write) would never meet a condition of what is allowed.
 */
function mayLock(resource: string | string[], lock: LockPolicy | undefined): PolicyStatement[] {
  const Action = ['s3:PutObjectRetention'];
  const may = allow(Action, resource);
  return lock === undefined ? [may] : [may, { Effect: 'Deny', Action, Resource: resource, ...longerThan(lock) }];
}

function longerThan(lock: LockPolicy): Required<Pick<PolicyStatement, 'Condition'>> {
  return { Condition: { NumericGreaterThan: { 's3:object-lock-remaining-retention-days': cap(lock) } } };
}

function cap({ maxMs }: LockPolicy): string {
  return String(Math.max(1, Math.ceil(maxMs / DAY_MS)));
}

/**
 * What the bucket itself refuses to everybody: writes that could cover another object, deletes, and changes to what protects it. It
 * holds for identities with any rights, a stolen archiver's key first of all. `BREAK-GLASS` stands for the one that may mend it.
 */
export function s3BucketPolicy(store: S3Settings, lock: LockPolicy | undefined): PolicyDocument {
  const place = placeOf(store);
  const breakGlass = `arn:aws:iam::${ACCOUNT}:role/BREAK-GLASS`;
  const pruner = `arn:aws:iam::${ACCOUNT}:role/PRUNER`;
  const allBut = (...roles: string[]): PolicyStatement['Condition'] => ({ ArnNotLike: { 'aws:PrincipalArn': roles } });
  return {
    Version: '2012-10-17',
    Statement: [
      {
        ...deny('CreateOnly', ['s3:PutObject'], place.all),
        // Not of uploads in parts until they are completed: their beginning and their parts take no condition.
        Condition: { Null: { 's3:if-none-match': 'true' }, Bool: { 's3:ObjectCreationOperation': 'true' } },
      },
      {
        ...deny('NoDeletes', ['s3:DeleteObject', 's3:DeleteObjectVersion'], place.all),
        ...condition(allBut(breakGlass, pruner)),
      },
      { ...deny('NoBypass', ['s3:BypassGovernanceRetention'], place.all), ...condition(allBut(breakGlass)) },
      {
        ...deny('NoOtherRules', RULES_OF_BUCKETS, place.bucket),
        ...condition(allBut(breakGlass)),
      },
      ...(lock === undefined
        ? []
        : [
            {
              ...deny('NoLongerLocks', ['s3:PutObject', 's3:PutObjectRetention'], place.all),
              ...longerThan(lock),
            },
          ]),
      {
        ...deny('OnlyTls', ['s3:*'], [place.bucket, `${place.bucket}/*`]),
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      },
    ],
  };
}

const RULES_OF_BUCKETS = [
  's3:DeleteBucket',
  's3:DeleteBucketPolicy',
  's3:PutBucketObjectLockConfiguration',
  's3:PutBucketPolicy',
  's3:PutBucketVersioning',
  's3:PutEncryptionConfiguration',
  's3:PutLifecycleConfiguration',
  's3:PutReplicationConfiguration',
];

interface Place {
  bucket: string;
  /** Every object of the repository. */
  all: string;
  /** Begins the name of each. */
  object: string;
  /** What pushes and backups write. */
  written: string[];
}

function placeOf({ bucket, prefix }: S3Settings): Place {
  const arn = `arn:aws:s3:::${bucket}`;
  const object = prefix === '' ? `${arn}/` : `${arn}/${prefix}/`;
  const written = [IDENTITY_KEY, `${PROBE_KEY}*`, `${WAL_PREFIX}*`, `${BACKUP_PREFIX}*`, `${DRILL_PREFIX}*`].map(
    (key) => object + key,
  );
  return { bucket: arn, all: `${object}*`, object, written };
}

/** Writing in parts decrypts, too. */
function keyStatements({ kmsKey, region }: S3Settings, writes: boolean): PolicyStatement[] {
  if (kmsKey === undefined) return [];
  const actions = writes ? ['kms:GenerateDataKey', 'kms:Decrypt'] : ['kms:Decrypt'];
  const keys = `arn:aws:kms:${region ?? '*'}:${ACCOUNT}:key`;
  if (/^arn:[^:]*:kms:[^:]*:[^:]*:key\//.test(kmsKey)) return [allow(actions, kmsKey)];
  const alias = /(?:^|:)(alias\/.*)$/.exec(kmsKey)?.[1];
  if (alias === undefined) return [allow(actions, `${keys}/${kmsKey}`)];
  const named = { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': [alias] } };
  return [{ ...allow(actions, `${keys}/*`), Condition: named }];
}

function allow(actions: string[], resource: string | string[]): PolicyStatement {
  return { Effect: 'Allow', Action: actions, Resource: resource };
}

function deny(sid: string, actions: string[], resource: string | string[]): PolicyStatement {
  return { Sid: `Walhold${sid}`, Effect: 'Deny', Principal: '*', Action: actions, Resource: resource };
}

function condition(one: PolicyStatement['Condition']): Pick<PolicyStatement, 'Condition'> {
  return one === undefined ? {} : { Condition: one };
}

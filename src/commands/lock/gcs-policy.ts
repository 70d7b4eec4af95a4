/** The least that each role needs on Google Cloud Storage, as commands to run. Pure. */
import type { LockPolicy } from '../../config/config.ts';
import type { GcsSettings } from '../../store/open-store.ts';
import { quoteShellWord } from '../../postgres/shell-quote.ts';
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
import type { PolicyOptions, Role } from './s3-policy.ts';

/** To be replaced by whoever runs it. */
const PROJECT = 'PROJECT-ID';

/**
 * A custom role and its bindings. Whoever only creates cannot replace either: replacing needs `storage.objects.delete`, which is in
 * the pruner's role alone. What may change metadata (`storage.objects.update`, without which no lock is lengthened) could also lift
 * holds, so it is the extender's alone.
 */
export function gcsPolicy(
  role: Role,
  store: GcsSettings,
  lock: LockPolicy | undefined,
  { withHolds }: PolicyOptions,
): string {
  const reads = ['storage.objects.get', 'storage.objects.list', 'storage.buckets.get'];
  const locks = lock === undefined || lock.mode === 'bucket' ? [] : ['storage.objects.setRetention'];
  const lengthens = ['storage.objects.setRetention', 'storage.objects.update'];
  const override = lock?.mode === 'compliance' ? ['storage.objects.overrideUnlockedRetention'] : [];
  const { name, all, written, record, index } = placeOf(store);
  const commands: Record<Role, string[]> = {
    archiver: [
      ...roleWith('walholdArchiver', 'walhold archiver', ['storage.objects.create', ...locks]),
      bind(store, role, 'walholdArchiver', written),
      ...reader(reads, store, role, all),
    ],
    restorer: reader(reads, store, role, all),
    extender: [
      ...roleWith('walholdExtender', 'walhold extender', lengthens),
      bind(store, role, 'walholdExtender', all),
      ...roleWith('walholdRecorder', 'walhold recorder', ['storage.objects.create', ...locks]),
      bind(store, role, 'walholdRecorder', record),
      ...reader(reads, store, role, all),
    ],
    pruner: [
      ...roleWith('walholdPruner', 'walhold pruner', ['storage.objects.delete']),
      bind(store, role, 'walholdPruner', all),
      ...roleWith('walholdIndexer', 'walhold indexer', ['storage.objects.create', ...locks]),
      bind(store, role, 'walholdIndexer', index),
      ...reader(reads, store, role, all),
    ],
  };
  const remarks = [
    `# The ${role} of gs://${name}. Replace ${PROJECT}; a role that is there already needs no second creation.`,
    ...(role === 'extender' && override.length > 0
      ? [
          `# To make Unlocked retention Locked it would need ${override.join('')} too, which also lets it shorten Unlocked ones.`,
        ]
      : []),
    ...(role === 'extender' && withHolds ? ['# storage.objects.update is also what sets and lifts holds.'] : []),
  ];
  return [...remarks, ...commands[role], ...keyCommands(store)].map((line) => `${line}\n`).join('');
}

/** What the bucket itself should have. */
export function gcsBucketPolicy(store: GcsSettings, lock: LockPolicy | undefined): string {
  const bucket = `gs://${store.bucket}`;
  return [
    `# Nobody reaches it by an access list, or from outside; what is replaced or deleted stays for a while.`,
    `gcloud storage buckets update ${bucket} --uniform-bucket-level-access --public-access-prevention --soft-delete-duration=30d`,
    ...(lock === undefined || lock.mode === 'bucket'
      ? []
      : [
          `# Retention of single objects has to be enabled when the bucket is made (later only in the console):`,
          `gcloud storage buckets create ${bucket} --enable-per-object-retention --uniform-bucket-level-access`,
        ]),
    ...(lock?.mode === 'bucket'
      ? [
          `# The bucket's own policy locks every object for so long. To lock the policy itself cannot be undone:`,
          `gcloud storage buckets update ${bucket} --retention-period=${Math.ceil(lock.periodMs / 1000)}s`,
          `gcloud storage buckets update ${bucket} --lock-retention-period`,
        ]
      : []),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function reader(reads: string[], store: GcsSettings, role: Role, all: string): string[] {
  return [...roleWith('walholdReader', 'walhold reader', reads), bind(store, role, 'walholdReader', all)];
}

function roleWith(id: string, title: string, permissions: readonly string[]): string[] {
  return [
    `gcloud iam roles create ${id} --project=${PROJECT} --title=${quoteShellWord(title)} --permissions=${permissions.join(',')}`,
  ];
}

/** Listing is a right on the bucket, not on objects: a condition on names would take it away. */
function bind({ bucket }: GcsSettings, role: Role, id: string, expression: string): string {
  const member = `serviceAccount:walhold-${role}@${PROJECT}.iam.gserviceaccount.com`;
  const condition = `expression=${expression},title=walhold`;
  return (
    `gcloud storage buckets add-iam-policy-binding gs://${bucket} --member=${member}` +
    ` --role=projects/${PROJECT}/roles/${id} --condition=${quoteShellWord(condition)}`
  );
}

function placeOf({ bucket, prefix }: GcsSettings): {
  name: string;
  all: string;
  written: string;
  record: string;
  index: string;
} {
  const objects = `projects/_/buckets/${bucket}/objects/${prefix === '' ? '' : `${prefix}/`}`;
  const below = (key: string): string => `resource.name.startsWith("${objects}${key}")`;
  const onBucket = 'resource.type == "storage.googleapis.com/Bucket"';
  return {
    name: prefix === '' ? bucket : `${bucket}/${prefix}`,
    all: `${onBucket} || ${below('')}`,
    written: [IDENTITY_KEY, PROBE_KEY, WAL_PREFIX, BACKUP_PREFIX, DRILL_PREFIX].map(below).join(' || '),
    record: [LOCK_PREFIX, SEAL_PREFIX].map(below).join(' || '),
    index: below(EXPIRED_PREFIX),
  };
}

/** The service itself encrypts and decrypts. */
function keyCommands({ kmsKey }: GcsSettings): string[] {
  if (kmsKey === undefined) return [];
  return [`gcloud storage service-agent --project=${PROJECT} --authorize-cmek=${quoteShellWord(kmsKey)}`];
}

/** The commands that mend what `check` finds wrong with a bucket: for people, who have other rights than walhold. */
import type { GcsSettings, S3Settings } from '../../store/open-store.ts';
import { S3Advice } from '../../store/s3-advice.ts';

export interface Mending {
  versioning: string;
  objectLock: string;
  /** At least so long. */
  defaultRetention: (periodMs: number) => string;
  lifecycle: string;
  /** Who may delete or overwrite should not; and who must see more. */
  rights: string;
}

const RIGHTS = '"walhold lock policy" prints policies to paste';

export function mendingOf(settings: S3Settings | GcsSettings): Mending {
  return settings.scheme === 's3' ? ofS3(settings) : ofGcs(settings);
}

function ofS3(settings: S3Settings): Mending {
  const advice = new S3Advice(settings);
  return {
    versioning: advice.command('put-bucket-versioning', '--versioning-configuration Status=Enabled'),
    objectLock: advice.enableLocks(),
    defaultRetention: (periodMs) => advice.lockByDefault(periodMs, 'COMPLIANCE'),
    lifecycle: advice.command('get-bucket-lifecycle-configuration'),
    rights: RIGHTS,
  };
}

function ofGcs({ bucket }: GcsSettings): Mending {
  const update = `gcloud storage buckets update gs://${bucket}`;
  return {
    versioning: `${update} --versioning`,
    objectLock: `Make a new bucket with gcloud storage buckets create gs://NAME --enable-per-object-retention; for one that exists only the console can.`,
    defaultRetention: (periodMs) => `${update} --retention-period=${Math.ceil(periodMs / 1000)}s`,
    lifecycle: `gcloud storage buckets describe gs://${bucket} --format="default(lifecycle_config)"`,
    rights: RIGHTS,
  };
}

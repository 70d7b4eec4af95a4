/** The commands that mend what `check` finds wrong with a bucket: for people, who have other rights than walhold. */
import type { StoreSettings } from '../../store/open-store.ts';

export interface Mending {
  versioning: string;
  objectLock: string;
  defaultRetention: (days: number) => string;
  lifecycle: string;
  /** Who may delete or overwrite should not; and who must see more. */
  rights: string;
}

const RIGHTS = '"walhold lock policy" prints policies to paste';

/** `undefined`: a directory has nothing of all that. */
export function mendingOf(settings: StoreSettings): Mending | undefined {
  switch (settings.scheme) {
    case 'file':
      return undefined;
    case 's3': {
      const { bucket, endpoint } = settings;
      const aws = (call: string): string =>
        `aws s3api ${call} --bucket ${bucket}${endpoint === undefined ? '' : ` --endpoint-url ${endpoint}`}`;
      return {
        versioning: aws('put-bucket-versioning --versioning-configuration Status=Enabled'),
        objectLock: aws('put-object-lock-configuration --object-lock-configuration ObjectLockEnabled=Enabled'),
        defaultRetention(days) {
          const rule = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: days } } };
          return aws(`put-object-lock-configuration --object-lock-configuration '${JSON.stringify(rule)}'`);
        },
        lifecycle: aws('get-bucket-lifecycle-configuration'),
        rights: RIGHTS,
      };
    }
    case 'gs': {
      const { bucket } = settings;
      return {
        versioning: `gcloud storage buckets update gs://${bucket} --versioning`,
        objectLock: `gcloud storage buckets create gs://NEW-BUCKET --enable-per-object-retention (a bucket that exists: in the console only)`,
        defaultRetention: (days) => `gcloud storage buckets update gs://${bucket} --retention-period=${days}d`,
        lifecycle: `gcloud storage buckets describe gs://${bucket} --format="default(lifecycle_config)"`,
        rights: RIGHTS,
      };
    }
  }
}

import { WalholdError } from '../../base/errors.ts';
import type { RepositoryConfig } from '../../config/config.ts';
import type { CommandContext, CommandOutcome } from '../command-context.ts';
import { gcsBucketPolicy, gcsPolicy } from './gcs-policy.ts';
import { s3BucketPolicy, s3Policy, type Role } from './s3-policy.ts';

export interface LockPolicyOptions {
  /** `undefined` only with `bucket`. */
  role: Role | undefined;
  /** What the bucket itself refuses, in place of what an identity may. */
  bucket: boolean;
  withHolds: boolean;
  /** 1 for `repo`; the first where there is one only. */
  repository: number | undefined;
}

/** Prints a policy made from the settings in force. Asks no store. */
export function lockPolicy({ config, print }: CommandContext, options: LockPolicyOptions): CommandOutcome {
  print(policyOf(chosen(config.repositories, options.repository), options));
  return 'done';
}

function policyOf({ store, lock, url }: RepositoryConfig, { role, bucket, withHolds }: LockPolicyOptions): string {
  if (role === undefined && !bucket) {
    throw new WalholdError('usage', 'whose policy is to be printed?', { hint: 'Say --for ROLE, or --bucket.' });
  }
  switch (store.scheme) {
    case 's3': {
      const isForBucket = bucket || role === undefined;
      const document = isForBucket ? s3BucketPolicy(store, lock) : s3Policy(role, store, lock, { withHolds });
      return `${JSON.stringify(document, undefined, 2)}\n`;
    }
    case 'gs':
      return bucket || role === undefined ? gcsBucketPolicy(store, lock) : gcsPolicy(role, store, lock, { withHolds });
    case 'file':
      throw new WalholdError('unsupported', `there are no policies for ${url}`, {
        detail: 'it is a directory',
        hint: 'Let another user than the server own it, or export it without the right to delete; see SECURITY.md.',
      });
  }
}

function chosen(repositories: readonly RepositoryConfig[], number: number | undefined): RepositoryConfig {
  const found = repositories.find((one) => one.number === (number ?? repositories[0]?.number));
  if (found !== undefined) return found;
  throw new WalholdError('usage', `there is no repository number ${number}`, {
    hint: `Configured are: ${repositories.map((one) => one.number).join(', ')}.`,
  });
}

import { WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';

/** `--type`. */
export type BackupType = 'full' | 'incremental' | 'auto';

/** Why there can be no incremental backup, ready to follow "because". */
export interface Refusal {
  why: string;
}

export function isRefusal(value: object): value is Refusal {
  return Object.hasOwn(value, 'why');
}

/** What was found, or `undefined`: a full backup is taken instead, which is said. Throws `refused` where only an incremental one will do. */
export function orFull<T extends object>(found: T | Refusal, type: BackupType, log: Log): T | undefined {
  if (!isRefusal(found)) return found;
  if (type === 'incremental') {
    throw new WalholdError('refused', 'could not take an incremental backup', {
      detail: found.why,
      hint: 'Take a full one (--type full); --type auto does so by itself where it must.',
    });
  }
  log.info(`taking a full backup: ${found.why}`);
  return undefined;
}

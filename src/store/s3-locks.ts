import {
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  type ObjectLockRetentionMode,
  type S3Client,
} from '@aws-sdk/client-s3';
import { WalholdError } from '../base/errors.ts';
import { isAsStrict } from './lock-proof.ts';
import type { S3Advice } from './s3-advice.ts';
import { bucketProtection, lockConfiguration } from './s3-bucket.ts';
import type { S3Clock } from './s3-clock.ts';
import { answerOf, hidden, lacking } from './s3-errors.ts';
import { isWithoutLocks } from './s3-lock-ask.ts';
import { notS3, type S3Place } from './s3-place.ts';
import type { S3Reader } from './s3-read.ts';
import { retentionOf } from './s3-retention.ts';
import type { Protection, ReadOptions, Retention, StoreLocks } from './store.ts';

/** Object Lock: retention and legal holds, which are of one version each. */
export class S3Locks implements StoreLocks {
  private readonly client: S3Client;
  private readonly place: S3Place;
  private readonly reader: S3Reader;
  private readonly clock: S3Clock;
  private readonly advice: S3Advice;

  constructor(client: S3Client, place: S3Place, parts: { reader: S3Reader; clock: S3Clock; advice: S3Advice }) {
    this.client = client;
    this.place = place;
    this.reader = parts.reader;
    this.clock = parts.clock;
    this.advice = parts.advice;
  }

  async look(key: string, options: ReadOptions & { retentionOnly?: boolean }): Promise<Protection | undefined> {
    // One after the other: the second says nothing new about an object that is not there.
    const retention = await this.askRetention(key, options);
    if (retention === 'absent') return undefined;
    const hold = options.retentionOnly === true ? 'none' : await this.askHold(key, options);
    if (hold === 'absent') return undefined;
    return { retention: retention === 'none' ? undefined : retention, hold: hold === 'on' };
  }

  async retain(
    key: string,
    wanted: { mode: 'governance' | 'compliance'; until: Date },
    options: ReadOptions,
  ): Promise<Retention> {
    const what = `lock ${this.place.url}/${key}`;
    const found = await this.askRetention(key, options);
    if (found === 'absent') throw notThere(what);
    if (found !== 'none' && holds(found, wanted)) return found;
    const merged = found === 'none' ? wanted : stricter(found, wanted);
    const command = new PutObjectRetentionCommand({
      ...this.object(key, options),
      Retention: { Mode: MODES[merged.mode], RetainUntilDate: merged.until },
    });
    try {
      await this.place.ask(what, options.signal, (once) => this.client.send(command, once));
    } catch (error) {
      if (error instanceof WalholdError && isWithoutLocks(error)) throw this.cannotLock(what, error);
      throw lacking(error, 's3:PutObjectRetention');
    }
    const after = await this.askRetention(key, options);
    if (after !== 'absent' && after !== 'none' && holds(after, merged)) return after;
    throw new WalholdError('unlocked', `could not ${what}`, {
      detail: 'the store said yes, and the object is not locked as it should be',
      hint: 'This store does not keep its word about object locks: use another.',
    });
  }

  async hold(key: string, on: boolean, options: ReadOptions): Promise<void> {
    const what = `set the legal hold of ${this.place.url}/${key}`;
    const command = new PutObjectLegalHoldCommand({
      ...this.object(key, options),
      LegalHold: { Status: on ? 'ON' : 'OFF' },
    });
    try {
      await this.place.ask(what, options.signal, (once) => this.client.send(command, once));
    } catch (error) {
      if (error instanceof WalholdError && isWithoutLocks(error)) throw this.cannotLock(what, error);
      if (isMissing(error)) throw notThere(what, error);
      throw lacking(error, 's3:PutObjectLegalHold');
    }
  }

  bucket: StoreLocks['bucket'] = ({ signal }) => bucketProtection(this.client, this.place, signal);

  mend: NonNullable<StoreLocks['mend']> = async (lock, { signal }) => {
    try {
      return this.advice.ofDefault(lock, { why: [], ...(await lockConfiguration(this.client, this.place, signal)) });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof WalholdError)) throw error;
      const why = [error.detail ?? error.message];
      return this.advice.ofDefault(lock, { lockable: undefined, defaultRetention: undefined, why });
    }
  };

  private async askRetention(key: string, options: ReadOptions): Promise<Retention | 'none' | 'absent'> {
    const what = `look at the lock of ${this.place.url}/${key}`;
    const command = new GetObjectRetentionCommand(this.object(key, options));
    try {
      const { Retention: got } = await this.place.ask(what, options.signal, (once) => this.client.send(command, once));
      if (got?.Mode === undefined || got.RetainUntilDate === undefined) throw notS3(what, 'retention');
      return retentionOf(got.Mode, got.RetainUntilDate, this.clock.now()) ?? 'none';
    } catch (error) {
      return this.judge(what, key, lacking(error, 's3:GetObjectRetention'), options);
    }
  }

  private async askHold(key: string, options: ReadOptions): Promise<'on' | 'none' | 'absent'> {
    const what = `look at the legal hold of ${this.place.url}/${key}`;
    const command = new GetObjectLegalHoldCommand(this.object(key, options));
    try {
      const { LegalHold: got } = await this.place.ask(what, options.signal, (once) => this.client.send(command, once));
      if (got?.Status === undefined) throw notS3(what, 'legal hold');
      return got.Status === 'ON' ? 'on' : 'none';
    } catch (error) {
      return this.judge(what, key, lacking(error, 's3:GetObjectLegalHold'), options);
    }
  }

  /** What a refusal to speak of a lock says: none, nothing there, or nothing at all. */
  private async judge(what: string, key: string, error: unknown, options: ReadOptions): Promise<'none' | 'absent'> {
    const answer = answerOf(error);
    if (answer?.code === 'NoSuchObjectLockConfiguration') return 'none';
    if (answer?.status === 405 && answer.headers['x-amz-delete-marker'] === 'true')
      throw hidden(`could not ${what}`, error);
    // Neither says that the object is there, nor whether it is hidden.
    if (isMissing(error) || isWithoutLocks(error)) {
      return (await this.reader.stat(key, options)) === undefined ? 'absent' : 'none';
    }
    throw error;
  }

  private cannotLock(what: string, error: WalholdError): WalholdError {
    const { detail } = error;
    return new WalholdError('unlocked', `could not ${what}`, {
      cause: error,
      hint: this.advice.enableLocks(),
      ...(detail === undefined ? {} : { detail }),
    });
  }

  private object(key: string, { version }: ReadOptions): { Bucket: string; Key: string; VersionId?: string } {
    const object = { Bucket: this.place.bucket, Key: this.place.keyOf(key) };
    return version === undefined ? object : { ...object, VersionId: version };
  }
}

const MODES: Readonly<Record<'governance' | 'compliance', ObjectLockRetentionMode>> = {
  governance: 'GOVERNANCE',
  compliance: 'COMPLIANCE',
};

function holds(found: Retention, wanted: { mode: 'governance' | 'compliance'; until: Date }): boolean {
  return found.until >= wanted.until && isAsStrict(found.mode, wanted.mode);
}

/** Neither the mode nor the date may ever go back. */
function stricter(
  found: Retention,
  wanted: { mode: 'governance' | 'compliance'; until: Date },
): { mode: 'governance' | 'compliance'; until: Date } {
  return {
    mode: found.mode === 'compliance' ? 'compliance' : wanted.mode,
    until: found.until > wanted.until ? found.until : wanted.until,
  };
}

function isMissing(error: unknown): boolean {
  const answer = answerOf(error);
  return answer?.code === 'NoSuchKey' || answer?.code === 'NoSuchVersion';
}

function notThere(what: string, cause?: unknown): WalholdError {
  return new WalholdError('not-found', `could not ${what}`, { detail: 'there is no such object', cause });
}

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ioError, WalholdError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { incrementalLabel } from '../../postgres/backup-label.ts';
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts';
import { replayedControl, resumedLabel, type FirstStart } from '../../postgres/resumed-backup.ts';
import type { TimelineId } from '../../postgres/timeline.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import { partKey, type BackupId } from '../../repository/layout.ts';
import type { StoppedBackup } from '../../server/backup-mode.ts';
import { beginObject, type BackupRun } from './backup-run.ts';
import type { CopiedFrame, FinishedPart } from './thread-protocol.ts';
import { writeMembers, type Member } from './write-members.ts';

const MOST_READS = 50;
const BETWEEN_READS_MS = 20;
const FILE_MODE = 0o600;

/**
 * `global/pg_control`, whole. Read it after all other files and before the backup stops: a standby's recovery point in it must not
 * lie behind the position at which the backup says that it ends.
 */
export async function readControlMember(dataDirectory: string, clock: Clock, signal: AbortSignal): Promise<Member> {
  const path = join(dataDirectory, CONTROL_FILE_PATH);
  for (let reads = 0; reads < MOST_READS; reads++) {
    try {
      const content = readFileSync(path);
      const { mode, uid, gid, mtimeMs } = statSync(path);
      const modifiedAt = Math.floor(mtimeMs / 1000);
      if (parseControlFile(content).ok) return { path: CONTROL_FILE_PATH, content, mode, uid, gid, modifiedAt };
    } catch (error) {
      throw ioError(`could not read ${path}`, error);
    }
    await clock.sleep(BETWEEN_READS_MS, signal);
  }
  throw new WalholdError('damaged', `the checksum of ${path} does not fit its contents, however often it is read`);
}

export interface BackupEnd {
  stopped: StoppedBackup;
  control: Member;
  timeline: TimelineId;
  /** Of an incremental backup. */
  parent: Pick<BackupRecord, 'startLsn' | 'timeline'> | undefined;
  /** Where the first of several attempts started. */
  resumed: FirstStart | undefined;
}

/**
 * The part that makes the rest a backup: what the stop gave, and `pg_control` as its last member. Of an incremental backup the
 * label names its parent's start, by which servers from 17 on refuse to start from it alone.
 */
export async function storeLastPart(
  run: BackupRun,
  id: BackupId,
  end: BackupEnd,
): Promise<{ part: FinishedPart; frame: CopiedFrame }> {
  const at = new Date(run.context.clock.now());
  const { uid, gid } = end.control;
  const own = { mode: FILE_MODE, uid, gid, modifiedAt: Math.floor(at.getTime() / 1000) };
  const { tablespaceMap } = end.stopped;
  const members: Member[] = [{ path: 'backup_label', content: labelOf(end), ...own }];
  if (tablespaceMap !== undefined) members.push({ path: 'tablespace_map', content: tablespaceMap, ...own });
  members.push(controlOf(run, end));
  const number = run.counters.nextPart();
  const writer = beginObject(run, { id, key: partKey(id, number), kind: 'backup-part', at });
  const frame = writeMembers(members, { writer, part: number, names: run.names });
  return { frame, part: { part: number, ...(await writer.finish()) } };
}

function labelOf({ stopped: { label }, parent, resumed }: BackupEnd): Buffer {
  const whole = resumed === undefined ? label : resumedLabel(label, resumed);
  if (parent === undefined) return whole;
  return incrementalLabel(whole, { lsn: parent.startLsn, timeline: parent.timeline });
}

/** A standby's says by itself where the backup is consistent. */
function controlOf({ source }: BackupRun, { control, resumed, stopped, timeline }: BackupEnd): Member {
  if (resumed === undefined || source.facts.inRecovery) return control;
  return { ...control, content: replayedControl(control.content, { lsn: stopped.stopLsn, timeline }) };
}

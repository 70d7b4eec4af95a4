import type { AccountNames } from '../../base/account-names.ts';
import type { ObjectKind } from '../../repository/object-head.ts';
import { backupPrefix, type BackupId } from '../../repository/layout.ts';
import { PartWriter } from '../../repository/part-writer.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Store } from '../../store/store.ts';
import type { FrameWriter } from '../../stream/zstd.ts';
import type { CommandContext } from '../command-context.ts';
import type { Progress } from '../progress/progress.ts';
import type { BackupSource } from './backup-source.ts';
import type { SharedCounters } from './shared-counters.ts';

/** What all steps of one backup share. */
export interface BackupRun {
  context: CommandContext;
  source: BackupSource;
  repositories: readonly Repository[];
  counters: SharedCounters;
  /** Of the main thread. */
  frames: FrameWriter;
  names: AccountNames;
  progress: Progress;
  /** Aborts with the command's signal; while files are copied also when the server is lost. */
  signal: AbortSignal;
}

/** Begins an object of the backup in these stores (all, as a rule). */
export function beginObject(
  run: BackupRun,
  object: { id: BackupId; key: string; kind: ObjectKind; at: Date; stores?: readonly Store[] },
): PartWriter {
  const { context, source, repositories, frames, signal } = run;
  const { key, kind, at } = object;
  const about = {
    kind,
    name: `${object.id}/${key.slice(backupPrefix(object.id).length)}`,
    systemId: String(source.control.systemId),
    by: context.by,
    at: at.toISOString(),
  };
  return new PartWriter(
    { key, about, stores: object.stores ?? repositories.map(({ store }) => store), signal },
    frames,
  );
}

/** The host in `walhold 1.2.3 on host`. */
export function hostOf(by: string): string {
  return by.slice(by.lastIndexOf(' ') + 1);
}

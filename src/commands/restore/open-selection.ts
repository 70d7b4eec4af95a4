import type { Log } from '../../base/log.ts';
import type { Manifest } from '../../postgres/manifest-reader.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import type { ChosenDatabases } from './chosen-databases.ts';
import type { Delta } from './open-delta.ts';
import { HELD_BACK } from './prepare-target.ts';
import { RestoreSelection } from './restore-selection.ts';
import { surveyTarget, type Survey, type SurveyInput } from './survey-target.ts';

export interface SelectionSources {
  dataDirectory: string;
  /** `undefined`: nothing lies there. */
  delta: Delta | undefined;
  /** `undefined`: all are restored. */
  databases: ChosenDatabases | undefined;
  jobs: number;
  signal: AbortSignal;
  log: Log;
}

export interface Selected {
  selection: RestoreSelection;
  survey: Survey | undefined;
}

/** Decides what is brought; `undefined`: everything. Reads what lies in the target, and changes nothing. */
export async function openSelection(
  { dataDirectory, delta, databases, jobs, signal, log }: SelectionSources,
  newest: { record: BackupRecord; manifest: Manifest },
): Promise<Selected | undefined> {
  if (delta === undefined && databases === undefined) return undefined;
  const isBlank = databases?.isBlank ?? ((): boolean => false);
  const survey = delta === undefined ? undefined : await surveyTarget(surveyInput(delta));
  const { kept, found } = survey ?? { kept: new Set<string>(), found: new Map<string, never>() };
  const { blockBytes } = newest.record.server;
  return { selection: new RestoreSelection({ kept, found, isBlank, blockBytes }), survey };

  function surveyInput({ roots, tablespaces }: Delta): SurveyInput {
    log.info(`comparing what lies in ${dataDirectory} with backup ${newest.record.id}`);
    const places = tablespaces.map(({ oid, to }) => ({ oid, path: to }));
    const input = { dataDirectory, tablespaces: places, owner: undefined, heldBack: HELD_BACK, groupReads: false };
    const outside = tablespaces.map(({ oid }) => oid);
    return { roots, outside, newest, isBlank, disk: { input, jobs, signal } };
  }
}

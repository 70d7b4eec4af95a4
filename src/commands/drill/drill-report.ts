/** What a drill has shown, as JSON, for people, and for the repository. */
import { parseIso } from '../../postgres/timestamp.ts';
import type { BackupId } from '../../repository/layout.ts';
import {
  LONGEST_DETAIL,
  LONGEST_NAME,
  MOST_CHECKS,
  type DrillCheck,
  type DrillRecord,
} from '../../repository/drill-record.ts';
import { plainText } from '../plain-text.ts';
import type { Findings } from './rehearse.ts';

/** The shape of `walhold drill --json`. `null`: it did not come to that. */
export interface DrillJson {
  ok: boolean;
  /** `null`: there was none to begin with. */
  backup: string | null;
  targetReached: boolean;
  /** From the beginning to the first answer of the recovered server. */
  rtoSeconds: number | null;
  /** The part of it that brought the files, planning included, and the part from the server's start. */
  restoreSeconds: number | null;
  replaySeconds: number | null;
  /** The last commit that was recovered; without any in the WAL, the moment that the backup ended. */
  lastCommitAt: string | null;
  /** How long before the beginning of the drill that was. */
  rpoSeconds: number | null;
  checks: DrillCheck[];
}

/** `begun`: ms since 1970. */
export function drillJson(backup: BackupId | null, begun: number, findings: Findings): DrillJson {
  const { restoredAt, openedAt, lastCommitAt, targetReached } = findings;
  const lastCommit = lastCommitAt === undefined ? undefined : parseIso(lastCommitAt);
  const checks = findings.checks.slice(0, MOST_CHECKS).map(bounded);
  return {
    ok: targetReached && findings.checks.every(({ ok }) => ok),
    backup,
    targetReached,
    rtoSeconds: seconds(begun, openedAt),
    restoreSeconds: seconds(begun, restoredAt),
    replaySeconds: restoredAt === undefined ? null : seconds(restoredAt, openedAt),
    lastCommitAt: lastCommitAt ?? null,
    rpoSeconds: lastCommit === undefined ? null : seconds(Number(lastCommit) / 1000, begun),
    checks,
  };
}

export function drillRecord(
  json: DrillJson,
  rest: Pick<DrillRecord, 'systemId' | 'at' | 'by' | 'backup' | 'target' | 'bytes' | 'walBytes'>,
): DrillRecord {
  const { ok, targetReached, checks } = json;
  return {
    ...rest,
    target: rest.target.slice(0, LONGEST_DETAIL),
    ok,
    targetReached,
    checks,
    rtoSeconds: json.rtoSeconds ?? undefined,
    restoreSeconds: json.restoreSeconds ?? undefined,
    replaySeconds: json.replaySeconds ?? undefined,
    lastCommitAt: json.lastCommitAt ?? undefined,
    rpoSeconds: json.rpoSeconds ?? undefined,
  };
}

export function describeDrill(json: DrillJson, target: string): string {
  const { rtoSeconds, restoreSeconds, replaySeconds, lastCommitAt, rpoSeconds } = json;
  const took = (value: number | null): string => (value === null ? 'it did not come to that' : `${value} s`);
  const rows: [string, string][] = [
    ['backup', json.backup ?? 'none'],
    ['target', `${target}, ${json.targetReached ? 'reached' : 'not reached'}`],
    ['until it took queries', took(rtoSeconds)],
    ['  restore', took(restoreSeconds)],
    ['  replay', took(replaySeconds)],
    [
      'last commit',
      lastCommitAt === null ? 'not known' : `${lastCommitAt}, ${took(rpoSeconds)} before the drill began`,
    ],
    ...json.checks.map(({ name, ok, detail }): [string, string] => [`${ok ? 'ok' : 'WRONG'}  ${name}`, detail]),
  ];
  const verdict = json.ok ? 'recovery works' : 'recovery does not work as it should';
  const lines = rows.map(([name, value]) => `${`${name}:`.padEnd(26)}${plainText(value)}\n`);
  return `${lines.join('')}${verdict}\n`;
}

/** To the millisecond. */
function seconds(from: number, to: number | undefined): number | null {
  return to === undefined ? null : Math.round(to - from) / 1000;
}

/** Words of a server come from a cluster that may be hostile. */
function bounded({ name, ok, detail }: DrillCheck): DrillCheck {
  const text = plainText(detail).toWellFormed().slice(0, LONGEST_DETAIL);
  return { name: name.slice(0, LONGEST_NAME), ok, detail: text.toWellFormed() };
}

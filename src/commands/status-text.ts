import { describeTrace } from '../repository/traces.ts';
import { describeBackupInProgress } from './backup-in-progress.ts';
import { describeProof } from './drills-json.ts';
import { formatBytes } from './format-bytes.ts';
import { plainText } from './plain-text.ts';
import type { ErrorJson, StatusJson, TraceJson } from './status-json.ts';

/** So many traces are named; the rest is counted. */
const MOST_NAMED = 5;

/** For people: a line for each thing that is known. Times are UTC. */
export function describeStatus(status: StatusJson): string {
  const { lastStored, lastBackup, windows, gaps, lastErrors, outages } = status;
  // What no repository was there to say is not "none".
  const unknown = status.repositories.some(({ ok }) => ok) ? 'none' : 'not known';
  const lines: [string, string | undefined][] = [
    ['not yet safe', notSafe(status)],
    ['waiting for the archiver', waiting(status)],
    ['last segment stored', lastStored === null ? unknown : `${lastStored.name}, at ${lastStored.at}`],
    ['last backup', lastBackup === null ? unknown : `${lastBackup.id}, stopped at ${lastBackup.stoppedAt}`],
    ...windows.map(({ timeline, from, to }): [string, string] => [
      'recoverable',
      `${from} to ${to}, timeline ${timeline}`,
    ]),
    ...gaps.map(({ first, last }): [string, string] => ['missing', first === last ? first : `${first} to ${last}`]),
    ['recovery', lastBackup === null ? undefined : describeProof(status)],
    ['next lock to run out', status.nextLockExpiry ?? undefined],
    ['background worker', workerLine(status)],
    ['backup in progress', describeBackupInProgress(status.backupInProgress)],
    ['last push failed', failure(lastErrors.push)],
    ['last fetch failed', failure(lastErrors.fetch)],
    [
      'pushes find down',
      outages.pushRepositories.length === 0 ? undefined : `repository ${outages.pushRepositories.join(', ')}`,
    ],
    [
      'fetches have waited',
      outages.fetchWaitedSeconds === null ? undefined : `${outages.fetchWaitedSeconds} s in this outage`,
    ],
    ...status.repositories
      .filter(({ ok }) => !ok)
      .map(({ repository, url }): [string, string] => ['down', `repository ${repository} (${url})`]),
    ...tampering(status.tampering),
  ];
  return lines
    .filter((line): line is [string, string] => line[1] !== undefined)
    .map(([name, value]) => `${`${name}:`.padEnd(26)}${plainText(value)}\n`)
    .join('');
}

function tampering(traces: readonly TraceJson[]): [string, string][] {
  const named = traces
    .slice(0, MOST_NAMED)
    .map(({ object, at, ...trace }) => `${object}: ${describeTrace({ ...trace, at: new Date(at) })}`);
  const more = traces.length > MOST_NAMED ? [`and ${traces.length - MOST_NAMED} more: "walhold verify" names all`] : [];
  return [...named, ...more].map((text) => ['tampering', text]);
}

function notSafe({ rpoBytes, rpoSeconds, rpoFrom }: StatusJson): string {
  if (rpoBytes === null) return 'not known from here';
  const source = rpoFrom === 'archiver' ? ', by what the archiver was told' : '';
  if (rpoBytes === 0) return `nothing${source}`;
  const age = rpoSeconds === null ? 'of unknown age' : `the oldest ${rpoSeconds} s old`;
  return `${formatBytes(rpoBytes)}, ${age}${source}`;
}

function waiting({ readyFiles, oldestReadySeconds }: StatusJson): string | undefined {
  if (readyFiles === null) return undefined;
  if (readyFiles === 0) return 'nothing';
  return `${readyFiles} files${oldestReadySeconds === null ? '' : `, the oldest for ${oldestReadySeconds} s`}`;
}

function workerLine({ worker }: StatusJson): string | undefined {
  if (!worker.running) return undefined;
  const roles = [['push', worker.push] as const, ['fetch', worker.fetch] as const].flatMap(([name, role]) =>
    role === null ? [] : [`${name} ${role.state}${role.inFlight === 0 ? '' : `, ${role.inFlight} files under way`}`],
  );
  return [`process ${worker.pid}`, ...roles].join('; ');
}

function failure(error: ErrorJson | null): string | undefined {
  if (error === null) return undefined;
  return `${error.file}, at ${error.at}: ${error.message}${error.detail === null ? '' : ` (${error.detail})`}`;
}

/** A recovery from beginning to end, as it would be in earnest, timed, and with a look at what came out of it. */
import { hasCode, WalholdError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { parseLsn, type Lsn } from '../../postgres/lsn.ts';
import { formatIso, parseIso } from '../../postgres/timestamp.ts';
import type { ControlFile } from '../../postgres/control-file.ts';
import type { BackupRecord } from '../../repository/backup-record.ts';
import type { DrillCheck } from '../../repository/drill-record.ts';
import type { NoPlan, RestorePlan } from '../../repository/restore-plan.ts';
import { storedSegmentTimes } from '../../repository/segment-times.ts';
import { flagOf } from '../../config/setting-name.ts';
import type { EffectiveSetting } from '../../config/config.ts';
import { readControlFile } from '../../server/data-directory.ts';
import { PrivateServer, type Entrance } from '../../server/private-server.ts';
import type { CommandContext } from '../command-context.ts';
import { fillTarget } from '../restore/fill-target.ts';
import type { RestoreHost } from '../restore/open-backup.ts';
import type { RestorableBackup } from '../restore/plan-report.ts';
import type { ReadPlan } from '../restore/read-plan.ts';
import { AMCHECK, checkAmcheck } from './check-amcheck.ts';
import { checkPageFiles, PAGES_CHECK } from './check-pages.ts';
import { checkSql } from './check-sql.ts';
import type { DrillOptions } from './drill-options.ts';
import { lastCommitOf } from './last-commit.ts';
import type { Scratch } from './scratch.ts';
import type { ServerAccount } from './server-account.ts';
import { judgeRecovery, RECOVERY_CHECK } from './target-reached.ts';

export interface Rehearsal {
  plan: RestorePlan<RestorableBackup>;
  found: ReadPlan;
  record: BackupRecord;
  scratch: Scratch;
  owner: ServerAccount;
  /** The folder of PostgreSQL's programs. */
  programs: string;
  /** When the drill began, ms since 1970. */
  begun: number;
  host: RestoreHost;
}

/** What came of it. Times in ms since 1970; `undefined`: it did not come to that. */
export interface Findings {
  restoredAt: number | undefined;
  /** The recovered server took its first question. */
  openedAt: number | undefined;
  /** ISO 8601 UTC. */
  lastCommitAt: string | undefined;
  targetReached: boolean;
  checks: DrillCheck[];
}

export const PLAN_CHECK = 'plan';
export const RESTORE_CHECK = 'restore';

/** Of a drill that had nothing to begin with. */
export function unreachable({ why }: NoPlan): Findings {
  return { ...nothingYet(), checks: [{ name: PLAN_CHECK, ok: false, detail: why }] };
}

/** Faults of what is stored are among the findings; everything else that goes wrong is thrown. */
export async function rehearse(
  context: CommandContext,
  options: DrillOptions,
  rehearsal: Rehearsal,
): Promise<Findings> {
  const findings = nothingYet();
  const restored = await restoreInto(context, options, rehearsal);
  findings.checks.push(restored);
  if (!restored.ok) return findings;
  findings.restoredAt = context.clock.now();
  const control = await readControlFile(rehearsal.scratch.dataDirectory);
  const server = privateServer(context, options, rehearsal, control);
  await server.start();
  const entrance = await server.entrance();
  if (entrance === undefined) {
    findings.checks.push({
      name: RECOVERY_CHECK,
      ok: false,
      detail: (await server.lastFailure()) ?? 'it did not start',
    });
    return findings;
  }
  findings.openedAt = context.clock.now();
  await lookInside(context, options, { rehearsal, server, entrance, findings });
  await server.stop();
  if (control !== undefined && 'blockBytes' in control) {
    const { major } = rehearsal.record.server;
    findings.checks.push(
      await checkPageFiles(rehearsal.scratch.dataDirectory, control, { major, signal: context.signal }),
    );
  } else {
    findings.checks.push({
      name: PAGES_CHECK,
      ok: true,
      detail: 'not to be had: pg_control has a format that is not known here',
    });
  }
  return findings;
}

function nothingYet(): Findings {
  return {
    restoredAt: undefined,
    openedAt: undefined,
    lastCommitAt: undefined,
    targetReached: false,
    checks: [],
  };
}

async function restoreInto(
  context: CommandContext,
  { restore }: DrillOptions,
  { plan, found, record, scratch, host }: Rehearsal,
): Promise<DrillCheck> {
  const mappings = record.tablespaces.map(({ oid, path }) => ({
    from: path.replace(/(?<=.)\/+$/, ''),
    to: scratch.tablespace(oid),
  }));
  const options = { ...restore, dataDirectory: scratch.dataDirectory, mappings };
  // What it says to an operator who is going to start the server is not meant for this one.
  const config = { ...context.config, effective: forPractice(context.config.effective) };
  const quiet = { ...context, config, log: quieted(context.log, scratch.path), environment: {} };
  try {
    await fillTarget(quiet, options, host, plan, found);
    return { name: RESTORE_CHECK, ok: true, detail: `every file of ${record.id} is what its manifest says` };
  } catch (error) {
    if (!hasCode(error, 'damaged', 'bad-format', 'not-found', 'hole')) throw error;
    const detail = [error.message, error.detail].filter((part) => part !== undefined).join(': ');
    return { name: RESTORE_CHECK, ok: false, detail };
  }
}

/**
 * What the private server's `restore_command` is told: a store that cannot be reached ends a drill after the budget of an outage, which a
 * recovery in earnest would sit out; and notes of a live server of this cluster are not its own.
 */
function forPractice(effective: readonly EffectiveSetting[]): EffectiveSetting[] {
  const told = new Map([
    ['on_unreachable', 'stop'],
    ['spool_path', 'pg_wal/pgsql_tmp.walhold'],
  ]);
  return effective.map((setting) => {
    const value = told.get(setting.name);
    return value === undefined ? setting : { ...setting, value, source: { kind: 'flag', flag: flagOf(setting.name) } };
  });
}

/** Remarks at a lower level, and none about a directory that nobody will ever see. */
function quieted(log: Log, scratch: string): Log {
  return {
    ...log,
    info: (message, extra) => log.debug(message, extra),
    warning(message, extra) {
      if (message.startsWith(scratch)) log.debug(message, extra);
      else log.warning(message, extra);
    },
  };
}

function privateServer(
  { clock, signal }: CommandContext,
  { preload, username }: DrillOptions,
  { scratch, owner, programs, record }: Rehearsal,
  control: ControlFile | Pick<ControlFile, 'systemId'> | undefined,
): PrivateServer {
  return new PrivateServer({
    keeper: scratch.keeper,
    scratch: scratch.path,
    dataDirectory: scratch.dataDirectory,
    sockets: scratch.sockets,
    account: owner.account,
    programs,
    major: record.server.major,
    recorded: control !== undefined && 'maxConnections' in control ? control : record.server,
    preload,
    users: username === undefined ? owner.superusers : [username],
    clock,
    signal,
  });
}

interface Open {
  rehearsal: Rehearsal;
  server: PrivateServer;
  entrance: Entrance;
  findings: Findings;
}

async function lookInside(context: CommandContext, options: DrillOptions, open: Open): Promise<void> {
  const { rehearsal, server, entrance, findings } = open;
  const { programs, owner, record, plan } = rehearsal;
  const { environment, config, signal } = context;
  await using session = await server.connect(entrance);
  const row = await session.row(
    'ask for the end of replay',
    `select pg_last_wal_replay_lsn()::text as lsn,
            to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
  );
  const end = parseLsn(String(row['lsn']));
  if (end === undefined) throw new WalholdError('server', 'the recovered server does not say what it has replayed');
  const storedEnd = await storedEndOf(plan, rehearsal.found, signal);
  const recovery = judgeRecovery({ target: options.restore.target, end, storedEnd, log: await server.log() });
  findings.targetReached = recovery.ok;
  const lastEnd = typeof row['at'] === 'string' ? parseIso(row['at']) : undefined;
  const lastCommit = await lastCommitOf({ end, lastEnd }, plan, rehearsal.found, signal);
  // Where no commit came after it, what the backup has is what there was when it ended.
  findings.lastCommitAt = (lastCommit === undefined ? undefined : formatIso(lastCommit)) ?? record.stoppedAt;
  findings.checks.push(recovery);
  const { account } = owner;
  const { sockets } = server;
  const jobs = config.jobs;
  context.log.debug(`running ${AMCHECK}`);
  findings.checks.push(
    await checkAmcheck({ session, entrance, programs, sockets, account, environment, jobs, signal }),
  );
  if (options.sql === undefined) return;
  await using asking = await server.connect({ ...entrance, database: options.database ?? entrance.database });
  findings.checks.push(...(await checkSql(asking, options.sql)));
}

/** Where the last record that is to be replayed ends, if its segment says so. */
async function storedEndOf(
  { walTo, partial }: RestorePlan<RestorableBackup>,
  { overview, inventory }: ReadPlan,
  signal: AbortSignal,
): Promise<Lsn | undefined> {
  const { repositories, systemId } = overview;
  const times = storedSegmentTimes(repositories, inventory, { signal, systemId });
  return (await (partial === undefined ? times.segment(walTo) : times.partial(partial))).endLsn;
}

/** `restore_command`: one WAL file out of the first repository that has it. */
import { resolve } from 'node:path';
import { WalholdError } from '../base/errors.ts';
import { parseWalName } from '../postgres/wal-name.ts';
import { chooseRepositories, closeRepositories, openRepositories, type Repository } from '../repository/repository.ts';
import { standsInForGap } from '../repository/stray-timeline.ts';
import { hasStandbySignal, readPostmaster, type Postmaster } from '../server/data-directory.ts';
import { clearError, noteError } from '../spool/last-error.ts';
import { saidLately } from '../spool/said-lately.ts';
import { noteStandby, wasStandby } from '../spool/standby-note.ts';
import type { AsOf } from './as-of.ts';
import { askerAmong } from './asker.ts';
import { engageWorker } from './engage-worker.ts';
import { readRecoveryTarget } from './fetch-target.ts';
import type { Wanted } from './fetch-round.ts';
import { installFile } from './fetch-install.ts';
import { waitForAnswer, type WaitOptions } from './fetch-wait.ts';
import type { HookContext } from './hook-context.ts';
import { openLocalCluster, type LocalCluster } from './local-cluster.ts';
import { warnOfTraces } from './warn-of-traces.ts';

export interface FetchRequest {
  /** `%f`. */
  name: string;
  /** `%p`. */
  target: string;
  /** `--use-repo`: read this one only. */
  useRepo: string | undefined;
  /** `--as-of`. */
  asOf: AsOf | undefined;
}

/** Where a server puts what it restores; from anywhere else it is not a server that asks, and nothing of its spool is touched. */
const SERVER_TARGETS: ReadonlySet<string> = new Set(['pg_wal/RECOVERYXLOG', 'pg_wal/RECOVERYHISTORY']);
/** A retry of one request for a hiccup; outages are waited out by rounds. */
export const FETCH_TRIES = 2;

/**
 * `fetched`: the file is complete, verified and in place. `absent`: it is proven absent in every repository, or this is a standby,
 * which goes on without it. Everything else throws.
 *
 * What is noted in the spool says which stores answer, whose repositories they are, what a standby is, and what failed last; never
 * what they hold: so a call with `asOf` leaves nothing there that would mislead one without.
 */
export async function fetchWal(request: FetchRequest, context: HookContext): Promise<'fetched' | 'absent'> {
  const file = wantedFile(request.name);
  const { config, log, clock, random } = context;
  const chosen = chooseRepositories(config.repositories, request.useRepo);
  // The first timeline has no history, and everybody asks.
  if (file === undefined || file.name === '00000001.history') return 'absent';
  const useSpool = SERVER_TARGETS.has(request.target);
  const local = await openLocalCluster(request.target, context, { useSpool, saidBefore: saidLately });
  let repositories: Repository[] = [];
  try {
    repositories = await openRepositories(
      { ...config, repositories: chosen },
      { clock, random, log, tries: FETCH_TRIES, asOf: request.asOf?.at },
    );
    const seen = await circumstances(file, local);
    if (file.kind === 'segment' && standsInForGap(file, config.allowGap, seen.target)) {
      log.warning(`${file.name} is left out: WAL ends at ${config.allowGap}, as allow_gap says`);
      await closeRepositories(repositories);
      return 'absent';
    }
    const asker = askerAmong(context.callers, seen.postmaster?.pid);
    const options = { ...seen, asker, allowGap: config.allowGap, spool: local.spool, waitedMs: context.waitedMs };
    const plain = await waitForAnswer(repositories, file, options, context);
    await closeRepositories(repositories);
    if (plain === undefined) return 'absent';
    const target = resolve(context.workingDirectory, request.target);
    await installFile(plain, target, { spool: local.spool.path, beforeRename: () => asker.requireWaiting() });
    await clearError(local.spool, 'fetch');
    if (file.kind === 'segment') await engageWorker('fetch', local, context);
    return 'fetched';
  } catch (error) {
    if (error instanceof WalholdError) await noteError(local.spool, 'fetch', file.name, error, clock.now());
    throw error;
  } finally {
    warnOfTraces(log, repositories);
  }
}

/** `undefined`: a `.partial`, which is never served; a restore puts one in place where its target lies in it. */
function wantedFile(name: string): Wanted | undefined {
  const file = parseWalName(name);
  if (file === undefined) {
    throw new WalholdError('usage', `${name} is not the name of a WAL file`, {
      hint: "Call it as restore_command = 'walhold-fetch %f %p'.",
    });
  }
  return file.kind === 'partial' ? undefined : file;
}

/** What the data directory says of the recovery that asks. */
async function circumstances(
  file: Wanted,
  local: LocalCluster,
): Promise<Omit<WaitOptions, 'allowGap' | 'spool' | 'asker' | 'waitedMs'>> {
  const { dataDirectory, control } = local;
  const known = { systemId: control?.systemId, segmentBytes: control?.segmentBytes };
  if (dataDirectory === undefined) {
    return { ...known, standby: false, postmaster: undefined, latest: true, target: undefined, haveLocally: false };
  }
  const [postmaster, recovery] = await Promise.all([readPostmaster(dataDirectory), readRecoveryTarget(dataDirectory)]);
  const { latest, histories, historyAfter } = recovery;
  return {
    ...known,
    standby: await isStandby(dataDirectory, postmaster, local),
    postmaster,
    latest,
    target: historyAfter(file.timeline),
    haveLocally: file.kind === 'history' && histories.some(({ timeline }) => timeline === file.timeline),
  };
}

async function isStandby(
  dataDirectory: string,
  postmaster: Postmaster | undefined,
  { spool }: LocalCluster,
): Promise<boolean> {
  if (await hasStandbySignal(dataDirectory)) {
    if (postmaster !== undefined) await noteStandby(spool, postmaster.run);
    return true;
  }
  return postmaster !== undefined && (await wasStandby(spool, postmaster.run));
}

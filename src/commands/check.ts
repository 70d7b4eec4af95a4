import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../base/errors.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import { readPostmaster } from '../server/data-directory.ts';
import { readSettings } from '../server/read-settings.ts';
import type { ServerSession } from '../server/session.ts';
import { askWalPosition } from '../server/wal-position.ts';
import { failedLook, item, type CheckItem } from './check/check-item.ts';
import { hookChecks } from './check/hook-checks.ts';
import { clockCheck, spaceCheck } from './check/host-checks.ts';
import { repositoryChecks } from './check/repository-checks.ts';
import { controlChecks, SETTINGS_ASKED, settingsChecks, settingsNotChecked } from './check/settings-checks.ts';
import { switchedSegmentChecks } from './check/switched-segment.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { connectServer } from './connect-server.ts';
import { dataDirectoryOf, requireControlFile, type ServerOptions } from './local-server.ts';
import { plainText } from './plain-text.ts';
import { withRepositories } from './with-repositories.ts';

/** The shape of `walhold check --json`. */
export interface CheckJson {
  ok: boolean;
  checks: CheckItem[];
}

/** What is known of the cluster before anything is judged. */
interface Cluster {
  session: ServerSession | undefined;
  settings: ReadonlyMap<string, string> | undefined;
  dataDirectory: string | undefined;
  control: ControlFile | undefined;
  systemId: bigint | undefined;
}

/** Looks at everything, as far as it can be reached; one item that is not right is a fault, and so is one not looked at. */
export async function check(
  context: CommandContext,
  options: ServerOptions & { json: boolean },
): Promise<CommandOutcome> {
  const checks: CheckItem[] = [];
  const { session, item: serverItem } = await tryConnect(context, options.dbname);
  try {
    const cluster = await clusterOf(context, options, session, checks);
    checks.unshift(serverItem);
    await withRepositories(context, async (repositories) => {
      const { settings, control, dataDirectory } = cluster;
      if (settings !== undefined) checks.push(...settingsChecks(settings));
      else checks.push(...(control === undefined ? settingsNotChecked() : controlChecks(control)));
      const pid = dataDirectory === undefined ? undefined : (await readPostmaster(dataDirectory))?.pid;
      const { items, noArchiving } = await hookChecks(context, { settings, dataDirectory, pid });
      const archiver = { session, settings, noArchiving };
      checks.push(...items, ...(await switchedSegmentChecks(context, archiver, repositories)));
      for (const repository of repositories) checks.push(...(await repositoryChecks(context, repository, cluster)));
      const { clock } = context;
      checks.push(await clockCheck(session, clock));
      checks.push(await spaceCheck({ dataDirectory, segmentBytes: control?.segmentBytes, session, clock }));
    });
  } finally {
    await session?.close();
  }
  const result: CheckJson = { ok: checks.every(({ ok }) => ok), checks };
  context.print(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : describe(result));
  return result.ok ? 'done' : 'fault';
}

async function tryConnect(
  context: CommandContext,
  dbname: string | undefined,
): Promise<{ session: ServerSession | undefined; item: CheckItem }> {
  const expected = 'the server answers';
  try {
    const session = await connectServer(context, dbname);
    return { session, item: item('connection', true, session.where, expected) };
  } catch (error) {
    if (hasCode(error, 'usage')) throw error;
    return { session: undefined, item: failedLook('connection', expected, error) };
  }
}

/** A data directory that is not named is where the server says, if that is here. */
async function clusterOf(
  context: CommandContext,
  options: ServerOptions,
  session: ServerSession | undefined,
  checks: CheckItem[],
): Promise<Cluster> {
  const settings = session === undefined ? undefined : await readSettings(session, SETTINGS_ASKED);
  const asked = session === undefined ? undefined : await askWalPosition(session);
  const said = settings?.get('data_directory');
  const own = dataDirectoryOf(context, options.pgdata);
  const here = own ?? (said !== undefined && existsSync(join(said, 'PG_VERSION')) ? said : undefined);
  const control = here === undefined ? undefined : await requireControlFile(here);
  const systemId = asked?.systemId ?? control?.systemId;
  if (control === undefined || asked === undefined || control.systemId === asked.systemId) {
    return { session, settings, dataDirectory: here, control, systemId };
  }
  const hint = 'Name the server of this data directory with -d.';
  const expected = `system identifier ${asked.systemId}`;
  if (own !== undefined) checks.push(item('data directory', false, `${own}, of ${control.systemId}`, expected, hint));
  return { session, settings, dataDirectory: undefined, control: undefined, systemId };
}

function describe({ ok, checks }: CheckJson): string {
  const lines = checks.flatMap((one) => {
    const head = `${one.ok ? 'ok  ' : 'FAIL'}  ${one.name}: ${plainText(one.found)}`;
    const rest = one.ok ? [] : [`      expected: ${plainText(one.expected)}`];
    return [head, ...rest, ...(one.hint === null ? [] : [`      hint: ${plainText(one.hint)}`])];
  });
  const wrong = checks.filter((one) => !one.ok).length;
  lines.push(
    '',
    ok ? 'all is as it must be' : `${wrong} of ${checks.length} are not as they must be, or were not checked`,
  );
  return lines.map((line) => `${line}\n`).join('');
}

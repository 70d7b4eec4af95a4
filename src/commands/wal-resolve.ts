/** The way out of a conflict: what lies under a WAL file's name, everywhere, and the removal of what is not authentic. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode, WalholdError } from '../base/errors.ts';
import type { ControlFile } from '../postgres/control-file.ts';
import { parseWalName, type WalFile } from '../postgres/wal-name.ts';
import { identify } from '../repository/identified.ts';
import type { Repository } from '../repository/repository.ts';
import { examineWal } from '../repository/wal-content.ts';
import { openRemover } from '../store/open-remover.ts';
import { retryPolicy } from '../store/retry.ts';
import type { RemovingStore } from '../store/store.ts';
import { sha256 } from '../stream/checksum.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { dataDirectoryOf, requireControlFile } from './local-server.ts';
import { readWalFile } from './read-wal-file.ts';
import { warnOfUnread } from './repository-failures.ts';
import { carryOut } from './wal-resolve/carry-out.ts';
import { describeResolve, storedJson, type LocalJson, type ResolveJson } from './wal-resolve/resolve-report.ts';
import { decide, remainingConflict } from './wal-resolve/resolve-rule.ts';
import { readContents } from './wal-resolve/stored-content.ts';
import { PATIENCE, withRepositories } from './with-repositories.ts';

export interface ResolveOptions {
  pgdata: string | undefined;
  /** The identifier of one content, as shown. */
  remove: string | undefined;
  dryRun: boolean;
  json: boolean;
}

/** A fault when a conflict is left, or when a repository could not be looked into. */
export async function walResolve(
  context: CommandContext,
  name: string,
  options: ResolveOptions,
): Promise<CommandOutcome> {
  const file = parseWalName(name);
  if (file === undefined) {
    throw new WalholdError('usage', `${JSON.stringify(name)} is not the name of a WAL file`, {
      hint: 'Names are 24 hex digits (a segment), or end in .history, .backup or .partial.',
    });
  }
  const local = await readLocal(context, file, options.pgdata);
  const { config, clock, random, log } = context;
  const policy = retryPolicy({ clock, random, log, ...PATIENCE, requestTimeoutMs: config.requestTimeoutMs });
  const remover = ({ settings }: Repository): Promise<RemovingStore> => openRemover(settings, policy);
  return await withRepositories(context, (repositories) =>
    resolveName({ file, local, repositories, openRemover: remover }, context, options),
  );
}

/** The cluster that lies here, and its file of that name, as far as they are known. */
export interface LocalContent {
  control: Pick<ControlFile, 'systemId' | 'segmentBytes'> | undefined;
  content: { plain: Buffer; json: LocalJson } | undefined;
}

export interface ResolveInput {
  file: WalFile;
  local: LocalContent;
  repositories: readonly Repository[];
  openRemover: (repository: Repository) => Promise<RemovingStore>;
}

export async function resolveName(
  { file, local, repositories, openRemover: remover }: ResolveInput,
  { signal, log, print }: Pick<CommandContext, 'signal' | 'log' | 'print'>,
  options: Pick<ResolveOptions, 'remove' | 'dryRun' | 'json'>,
): Promise<CommandOutcome> {
  const { control, content } = local;
  const { systemId, known, failures } = await identify(repositories, { signal, systemId: control?.systemId });
  const authentic = content?.json.authentic === true ? content.plain : undefined;
  const hasLocal = authentic !== undefined;
  const reading = { signal, systemId, segmentBytes: control?.segmentBytes, local: authentic };
  const contents = await readContents(known, file, reading);
  const { remove } = options;
  if (remove !== undefined && !contents.some(({ id }) => id === remove)) throw noSuchContent(file, remove);
  const decisions = decide({ contents, hasLocal, remove }).map((decision, at) => {
    return { content: contents[at] as (typeof contents)[number], decision };
  });
  const outcomes = await carryOut(decisions, { signal, openRemover: remover, dryRun: options.dryRun });
  const left = outcomes.flatMap(({ content: one, action }) => {
    if (action === 'removed') return [];
    return [action === 'hidden' ? { ...one, current: false } : one];
  });
  const conflict = remainingConflict(left, hasLocal);
  const resolved = conflict === undefined && failures.length === 0;
  const stored = outcomes.map(storedJson);
  const result: ResolveJson = {
    name: file.name,
    resolved,
    conflict: conflict ?? null,
    local: content?.json ?? null,
    stored,
  };
  print(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : describeResolve(result));
  warnOfUnread(log, failures);
  return resolved ? 'done' : 'fault';
}

/** The file in `pg_wal` of the data directory that is named, or that this was called in. */
async function readLocal(context: CommandContext, file: WalFile, pgdata: string | undefined): Promise<LocalContent> {
  const dataDirectory = dataDirectoryOf(context, pgdata);
  if (dataDirectory === undefined) return { control: undefined, content: undefined };
  const control = await requireControlFile(dataDirectory);
  const path = join(dataDirectory, 'pg_wal', file.name);
  const found = await stat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return { control, content: undefined };
  const plain = await readWalFile(path);
  const { systemId, segmentBytes } = control;
  const { faults } = examineWal(file, plain, { systemId, segmentBytes });
  const json = {
    path,
    authentic: faults.length === 0,
    why: [...faults],
    sha256: sha256(plain),
    bytes: plain.length,
    modifiedAt: found.mtime.toISOString(),
  };
  return { control, content: { plain, json } };
}

function noSuchContent(file: WalFile, id: string): WalholdError {
  return new WalholdError('not-found', `nothing stored under ${file.name} has the id ${JSON.stringify(id)}`, {
    hint: 'Call it with --dry-run to see the ids; nothing was removed.',
  });
}

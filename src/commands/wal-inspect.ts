import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { ioError, systemCode, WalholdError } from '../base/errors.ts';
import { parseWalName, type WalFile } from '../postgres/wal-name.ts';
import { identify } from '../repository/identified.ts';
import { decodeObject } from '../repository/object-codec.ts';
import { worstOf, type Repository } from '../repository/repository.ts';
import { MOST_COPIES, readCopies, type StoredCopy } from '../repository/stored-copies.ts';
import { describeTrace, tracesOf } from '../repository/traces.ts';
import { examineWal, WAL_MAX_BYTES } from '../repository/wal-content.ts';
import { sha256 } from '../stream/checksum.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { warnOfUnread } from './repository-failures.ts';
import { copyJson, describeInspection, inspectionOf, type Inspection } from './wal-inspection.ts';
import { withRepositories } from './with-repositories.ts';

type ReadCopy = Extract<StoredCopy['content'], { kind: 'read' }>;

/** Shows a local file: a WAL file as PostgreSQL has it, or an object downloaded from a repository (`.zst`). */
export async function inspectFile(
  context: Pick<CommandContext, 'print'>,
  path: string,
  options: { json: boolean },
): Promise<CommandOutcome> {
  const bytes = await readLocal(path);
  const object = /^(.+?)(?:\.([0-9a-f]{16}))?\.zst$/.exec(basename(path));
  const file = parseWalName(object?.[1] ?? basename(path));
  if (file === undefined) throw notWal(basename(path));
  if (object === null) {
    return show(context, inspectionOf(file, { plain: bytes, sha256: sha256(bytes) }, examineWal(file, bytes)), options);
  }
  const { head, plain } = decodeObject(bytes, path, WAL_MAX_BYTES);
  const inspection = inspectionOf(file, { plain, sha256: head.sha256 }, examineWal(file, plain));
  inspection.copies.push(copyJson(path, { head, storedBytes: bytes.length }));
  if (head.name !== file.name) inspection.problems.push(`the object says that it is ${head.name}`);
  return show(context, inspection, options);
}

/** Shows what every repository holds under a name. Throws `not-found` if none has it. */
export async function inspectStored(
  context: CommandContext,
  name: string,
  options: { json: boolean },
): Promise<CommandOutcome> {
  const file = parseWalName(name);
  if (file === undefined) throw notWal(name);
  const work = async (repositories: readonly Repository[]): Promise<CommandOutcome> => {
    const { signal, log } = context;
    const { systemId, known, failures } = await identify(repositories, { signal });
    const copies: StoredCopy[] = [];
    for (const repository of known) copies.push(...(await readCopies(repository, file, { signal })));
    if (copies.length === 0) {
      if (failures.length > 0) throw worstOf(failures);
      throw new WalholdError('not-found', `${name} is not stored`, {
        hint: `Write ./${name} for a file in this directory; "walhold wal list" shows what is stored.`,
      });
    }
    warnOfUnread(log, failures);
    const outcome = show(context, inspectCopies(file, copies, systemId), options);
    return failures.length === 0 ? outcome : 'fault';
  };
  return await withRepositories(context, work);
}

/** The first authentic copy is the one described; the others are held against it. */
function inspectCopies(file: WalFile, copies: readonly StoredCopy[], systemId: bigint): Inspection {
  const readable = copies.flatMap(({ content }) => (content.kind === 'read' ? [content] : []));
  const first = readable.find((content) => faultsOf(file, content, systemId).length === 0) ?? readable[0];
  const inspection =
    first === undefined
      ? inspectionOf(file, undefined, { header: undefined, faults: ['no copy of it can be read'], warnings: [] })
      : inspectionOf(
          file,
          { plain: first.plain, sha256: first.head.sha256 },
          examineWal(file, first.plain, { systemId }),
        );
  for (const copy of copies) {
    const { repository, key, version, content } = copy;
    const object = `${repository.url}/${key}`;
    if (content.kind === 'damaged') {
      inspection.copies.push(copyJson(object, { version, error: content.error }));
      inspection.problems.push(`${nameOf(copy)} is damaged`);
      continue;
    }
    const { head, info } = content;
    const storedAt = info.storedAt.toISOString();
    inspection.copies.push(copyJson(object, { version, head, storedBytes: info.bytes, storedAt }));
    // Partials may rightly differ: each has a key of its own.
    if (file.kind !== 'partial' && head.sha256 !== inspection.sha256) {
      inspection.problems.push(`${nameOf(copy)} has other content`);
    }
    inspection.problems.push(...faultsOf(file, content, systemId));
  }
  inspection.problems = [...new Set([...inspection.problems, ...tracesAmong(copies)])];
  return inspection;
}

function nameOf({ repository, version }: StoredCopy): string {
  return `${version === undefined ? 'the copy' : `version ${version}`} in repository ${repository.number}`;
}

function faultsOf(file: WalFile, { head, plain }: ReadCopy, systemId: bigint): string[] {
  const faults: string[] = [];
  if (head.name !== file.name) faults.push(`the object says that it is ${head.name}`);
  if (head.systemId !== String(systemId)) faults.push(`the object says that it is of cluster ${head.systemId}`);
  return [...faults, ...examineWal(file, plain, { systemId }).faults];
}

/** What somebody else did to these objects. */
function tracesAmong(copies: readonly StoredCopy[]): string[] {
  const keys = new Set(copies.map(({ key }) => key));
  const repositories = [...new Set(copies.map(({ repository }) => repository))];
  const traces = repositories
    .flatMap(tracesOf)
    .filter(({ object }) => keys.has(object))
    .map((trace) => `repository ${trace.repository}: ${describeTrace(trace)}`);
  const many = [...Map.groupBy(copies, ({ repository, key }) => `${repository.number} ${key}`).values()].filter(
    (group) => group.length === MOST_COPIES,
  );
  return [...traces, ...many.map(() => `there are ${MOST_COPIES} versions or more: the oldest are shown`)];
}

function show(
  { print }: Pick<CommandContext, 'print'>,
  inspection: Inspection,
  options: { json: boolean },
): CommandOutcome {
  print(options.json ? `${JSON.stringify(inspection, undefined, 2)}\n` : describeInspection(inspection));
  return inspection.problems.length === 0 ? 'done' : 'fault';
}

async function readLocal(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw ioError(`could not read "${path}"`, error);
    throw new WalholdError('not-found', `there is no file "${path}"`, {
      hint: 'Write a name without a slash to look into the repositories.',
    });
  }
}

function notWal(name: string): WalholdError {
  return new WalholdError('usage', `${JSON.stringify(name)} is not the name of a WAL file`, {
    hint: 'Names are 24 hex digits (a segment), or end in .history, .backup or .partial; a path has a slash in it.',
  });
}

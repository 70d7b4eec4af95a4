import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { ioError, systemCode, WalholdError } from '../base/errors.ts';
import { parseWalName, type WalFile } from '../postgres/wal-name.ts';
import { identify } from '../repository/identified.ts';
import { decodeObject } from '../repository/object-codec.ts';
import { worstOf } from '../repository/repository.ts';
import { readCopies, type StoredCopy } from '../repository/stored-copies.ts';
import { examineWal, WAL_MAX_BYTES } from '../repository/wal-content.ts';
import { sha256 } from '../stream/checksum.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { warnOfUnread } from './repository-failures.ts';
import { copyJson, describeInspection, inspectionOf, type Inspection } from './wal-inspection.ts';
import { withRepositories } from './with-repositories.ts';

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
  return await withRepositories(context, async (repositories) => {
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
  });
}

/** The first copy that can be read is the one described; the others are held against it. */
function inspectCopies(file: WalFile, copies: readonly StoredCopy[], systemId: bigint): Inspection {
  const first = copies.find(({ content }) => content.kind === 'read')?.content;
  const inspection =
    first?.kind === 'read'
      ? inspectionOf(
          file,
          { plain: first.plain, sha256: first.head.sha256 },
          examineWal(file, first.plain, { systemId }),
        )
      : inspectionOf(file, undefined, { header: undefined, faults: ['no copy of it can be read'], warnings: [] });
  for (const { repository, key, content } of copies) {
    if (content.kind === 'damaged') {
      inspection.copies.push(copyJson(`${repository.url}/${key}`, { error: content.error }));
      inspection.problems.push(`the copy in repository ${repository.number} is damaged`);
      continue;
    }
    const { head, info, plain } = content;
    const storedAt = info.storedAt.toISOString();
    inspection.copies.push(copyJson(`${repository.url}/${key}`, { head, storedBytes: info.bytes, storedAt }));
    if (head.name !== file.name) inspection.problems.push(`the object says that it is ${head.name}`);
    // Partials may rightly differ: each has a key of its own.
    if (file.kind !== 'partial' && head.sha256 !== inspection.sha256) {
      inspection.problems.push(`the copy in repository ${repository.number} has other content`);
    } else if (content !== first) inspection.problems.push(...examineWal(file, plain, { systemId }).faults);
  }
  inspection.problems = [...new Set(inspection.problems)];
  return inspection;
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

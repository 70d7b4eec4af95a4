/** Whether incremental backups stand on what they name: chain by names, each link against its parent, and its label. */
import { parseBackupLabel } from '../postgres/backup-label.ts';
import { incrementalPath, plainPath } from '../postgres/incremental-file.ts';
import { chainOf, labelMisfit, type FindLink } from './backup-chain.ts';
import type { BackupRecord } from './backup-record.ts';
import { readRecord, type BackupSummary } from './backups.ts';
import { commitKey, partKey, type BackupId } from './layout.ts';
import type { Repository } from './repository.ts';
import { memberPlace, readMember } from './stored-member.ts';
import { concernsOneObject, problemOf, type Problem } from './verify-problem.ts';
import { inSlice, type VerifyScope } from './verify-scope.ts';

/** Of files that a parent lacks, so many are named. */
const MOST_NAMES = 100;

/** Chains that miss a link, or have one that does not fit. `listed`: all identifiers that something is stored under. */
export function brokenChains(backups: readonly BackupSummary[], listed: readonly BackupId[]): Problem[] {
  const byId = new Map(backups.map((summary) => [summary.id, summary]));
  const all = new Set(listed);
  const find: FindLink<BackupSummary> = (id) => byId.get(id) ?? (all.has(id) ? 'damaged' : undefined);
  return backups.flatMap((summary): Problem[] => {
    const chain = chainOf(summary, find);
    return chain.whole ? [] : [{ code: 'broken-chain', object: commitKey(summary.id), message: chain.why }];
  });
}

/** Holds an incremental backup against its parent. A parent that is not there is `brokenChains`' to tell. */
export async function verifyLink(repository: Repository, record: BackupRecord, scope: VerifyScope): Promise<void> {
  if (record.parent === undefined) return;
  const parent = await readRecord(repository, record.parent, scope).catch((error: unknown) => {
    // Told of where its own turn was.
    if (concernsOneObject(error)) return undefined;
    throw error;
  });
  if (parent === undefined) return;
  for (const name of lackingIn(parent, record)) {
    const message = `it holds the changed blocks of ${JSON.stringify(name)}, and ${parent.id}, on which it builds, lacks that file`;
    scope.report.problem({ code: 'broken-chain', object: commitKey(record.id), message });
  }
  await verifyLabel(repository, record, parent, scope);
}

function lackingIn(parent: BackupRecord, child: BackupRecord): string[] {
  const held = new Set(pathsOf(parent));
  const lacking: string[] = [];
  for (const path of pathsOf(child)) {
    const plain = plainPath(path);
    if (plain === undefined || held.has(plain) || held.has(incrementalPath(plain))) continue;
    lacking.push(plain);
    if (lacking.length === MOST_NAMES) break;
  }
  return lacking;
}

function* pathsOf({ parts }: BackupRecord): Generator<string> {
  for (const { frames } of parts) {
    for (const { files } of frames) for (const { path } of files) if (typeof path === 'string') yield path;
  }
}

/** Its bytes are proven with those of its part. */
async function verifyLabel(
  repository: Repository,
  record: BackupRecord,
  parent: BackupRecord,
  { signal, report, slice }: VerifyScope,
): Promise<void> {
  const place = memberPlace(record, 'backup_label');
  const object = place === undefined ? commitKey(record.id) : partKey(record.id, place.part.number);
  if (!inSlice(slice, object)) return;
  try {
    const wanted = { path: 'backup_label', sha256: undefined };
    const bytes = place && (await readMember(repository, record, { ...wanted, place }, { signal }));
    // A part that is missing is told of elsewhere.
    if (place !== undefined && bytes === undefined) return;
    const message =
      bytes === undefined ? 'it has no backup_label' : labelMisfit(parseBackupLabel(bytes.toString('utf8')), parent);
    if (message !== undefined) report.problem({ code: 'broken-chain', object, message });
  } catch (error) {
    if (!concernsOneObject(error)) throw error;
    report.problem(problemOf(error, object));
  }
}

/** The contents of every WAL file of one repository: each by itself, against its name and the cluster. */
import { forEachParallel } from '../base/parallel.ts';
import { LONG_HEADER_BYTES } from '../postgres/wal-header.ts';
import type { WalFile } from '../postgres/wal-name.ts';
import { WAL_PREFIX, parseWalKey, type WalObject } from './layout.ts';
import { oldestAuthentic } from './authentic.ts';
import type { Repository } from './repository.ts';
import { verifyObject, type VerifiedObject } from './verify-object.ts';
import { concernsOneObject, problemOf } from './verify-problem.ts';
import { inSlice, type VerifyScope } from './verify-scope.ts';
import { examineWal, WAL_MAX_BYTES } from './wal-content.ts';

const TEXT_MAX_BYTES = 16 * 1024 * 1024;

export interface WalExpectation {
  systemId: bigint;
  segmentBytes: number;
}

/** Listed as it goes, so a year of WAL costs no memory. Throws what the store says when it does not answer. */
export async function verifyWal(repository: Repository, expected: WalExpectation, scope: VerifyScope): Promise<void> {
  await forEachParallel(wanted(repository, scope), scope.jobs, async (wal) => {
    await verifyOne(repository, wal, expected, scope);
  });
}

async function* wanted({ store }: Repository, { signal, slice }: VerifyScope): AsyncGenerator<WalObject> {
  for await (const entry of store.list(WAL_PREFIX, { signal })) {
    const wal = entry.kind === 'object' ? parseWalKey(entry.key) : undefined;
    if (wal !== undefined && inSlice(slice, wal.key)) yield wal;
  }
}

async function verifyOne(
  { store, url }: Repository,
  wal: WalObject,
  expected: WalExpectation,
  { signal, report }: VerifyScope,
): Promise<void> {
  try {
    const search = { signal, accepts: ({ faults }: { faults: readonly string[] }) => faults.length === 0 };
    const found = await oldestAuthentic(store, wal.key, search, async (which) => {
      const opened = await store.open(wal.key, { signal, ...which });
      if (opened === undefined) return undefined;
      const verified = await verifyObject(opened.chunks, `${url}/${wal.key}`, keepBytes(wal.file));
      report.checked(opened.info.bytes);
      return { faults: misfits(wal, verified, expected) };
    });
    // Gone between listing and reading: only expiry does that, and it is no fault.
    for (const message of found?.faults ?? []) report.problem({ code: 'misfit', object: wal.key, message });
  } catch (error) {
    if (!concernsOneObject(error)) throw error;
    report.problem(problemOf(error, wal.key));
  }
}

function keepBytes(file: WalFile): number {
  return file.kind === 'segment' || file.kind === 'partial' ? LONG_HEADER_BYTES : TEXT_MAX_BYTES;
}

/** Everything that a sound object says or holds and should not. */
function misfits({ file, digest }: WalObject, { head, start }: VerifiedObject, expected: WalExpectation): string[] {
  const { systemId } = expected;
  const found: string[] = [];
  if (head.name !== file.name) found.push(`it says that it is ${head.name}`);
  if (head.kind !== file.kind) found.push(`it says that it is a ${head.kind}`);
  if (head.systemId !== String(systemId))
    found.push(`it says that it belongs to cluster ${head.systemId}, not ${systemId}`);
  if (digest !== undefined && !head.sha256.startsWith(digest)) found.push(`its content's SHA-256 is ${head.sha256}`);
  if (head.bytes > (keepBytes(file) === TEXT_MAX_BYTES ? TEXT_MAX_BYTES : WAL_MAX_BYTES)) {
    found.push(`it holds ${head.bytes} bytes, which no ${file.kind} does`);
  } else found.push(...examineWal(file, start, expected, head.bytes).faults);
  return found;
}

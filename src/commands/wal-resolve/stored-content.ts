/** Every content of a WAL file's name: the local file's, and every version's in every repository, judged and compared. */
import { hasCode } from '../../base/errors.ts';
import type { WalFile } from '../../postgres/wal-name.ts';
import { judgeWal, type WalJudgement } from '../../repository/judge-wal.ts';
import { parseWalKey, partialPrefix, walKey, type WalObject } from '../../repository/layout.ts';
import { readVersions, type NameVersion } from '../../repository/name-versions.ts';
import type { ObjectHead } from '../../repository/object-head.ts';
import type { Repository } from '../../repository/repository.ts';
import { mostStoredBytes } from '../../repository/wal-archive.ts';
import { WAL_MAX_BYTES } from '../../repository/wal-content.ts';
import { readAll } from '../../store/read-all.ts';
import type { CallOptions } from '../../store/store.ts';
import { sha256 } from '../../stream/checksum.ts';
import { compareContents, type ContentComparison } from './compare-contents.ts';

/** `marker`: a delete marker. `unknown`: nobody may call it junk. */
export type Verdict = 'authentic' | 'junk' | 'unknown' | 'marker';

export interface StoredContent extends NameVersion {
  repository: Repository;
  /** What `--remove` names it by: the version, or where there is none the first digits of the stored bytes' SHA-256. */
  id: string;
  verdict: Verdict;
  /** Why it is not authentic. */
  why: readonly string[];
  head: ObjectHead | undefined;
  /** With the reference; `undefined` where there is no content or no reference. */
  comparison: ContentComparison | undefined;
}

/** Where nobody meddles there is one; reading more than these would only serve who made them. */
const MOST_READ = 100;
const ID_HEX = 16;

/**
 * Reads one content after the other; only the reference stays in memory: `local`, or the first authentic one. Throws what a store
 * says.
 */
export async function readContents(
  repositories: readonly Repository[],
  file: WalFile,
  options: CallOptions & { systemId: bigint; segmentBytes: number | undefined; local: Buffer | undefined },
): Promise<StoredContent[]> {
  const contents: StoredContent[] = [];
  let reference = options.local;
  for (const repository of repositories) {
    for (const wal of await objectsOf(repository, file, options)) {
      for (const [at, version] of (await readVersions(repository.store, wal.key, options)).entries()) {
        const { id, judgement } = await judgeVersion(repository, wal, { version, at }, options);
        const sound = judgement.kind === 'authentic' ? judgement : 'sound' in judgement ? judgement.sound : undefined;
        // Partials may rightly differ: each has a key of its own.
        if (judgement.kind === 'authentic' && file.kind !== 'partial') reference ??= judgement.plain;
        const comparison =
          sound === undefined || reference === undefined ? undefined : compareContents(file, reference, sound.plain);
        const why = 'why' in judgement ? judgement.why : [];
        contents.push({ ...version, repository, id, verdict: judgement.kind, why, head: sound?.head, comparison });
      }
    }
  }
  return contents;
}

type VersionJudgement = WalJudgement | { kind: 'marker' };

async function judgeVersion(
  { store, url }: Repository,
  wal: WalObject,
  { version: { kind, key, version, bytes }, at }: { version: NameVersion; at: number },
  options: CallOptions & { systemId: bigint; segmentBytes: number | undefined },
): Promise<{ id: string; judgement: VersionJudgement }> {
  if (kind === 'marker') return { id: version ?? 'marker', judgement: { kind: 'marker' } };
  const id = version ?? 'whole';
  if (at >= MOST_READ) {
    return { id, judgement: { kind: 'unknown', why: [`it is not among the ${MOST_READ} oldest, and was not read`] } };
  }
  const maxBytes = mostStoredBytes(options.segmentBytes ?? WAL_MAX_BYTES);
  if (bytes > maxBytes) {
    const why = [`it has ${bytes} bytes, which no ${wal.file.kind} needs`];
    return { id, judgement: { kind: 'junk', why, sound: undefined } };
  }
  const { signal } = options;
  const found = await readVersion(store, key, { signal, maxBytes, ...(version === undefined ? {} : { version }) });
  if ('unreadable' in found) return { id, judgement: { kind: 'unknown', why: [found.unreadable] } };
  const judgement = judgeWal(wal, found.bytes, `${url}/${key}`, options);
  return { id: version ?? sha256(found.bytes).slice(0, ID_HEX), judgement };
}

async function readVersion(
  store: Repository['store'],
  key: string,
  options: Parameters<typeof readAll>[2],
): Promise<{ bytes: Buffer } | { unreadable: string }> {
  try {
    const found = await readAll(store, key, options);
    if (found === undefined) return { unreadable: 'it was gone when it was read' };
    const { version } = found.info;
    // What is judged must be what is removed.
    if (options.version !== undefined && version !== options.version) {
      return { unreadable: `the store gave version ${version ?? 'without a name'} in its place` };
    }
    return found;
  } catch (error) {
    if (hasCode(error, 'denied')) return { unreadable: 'these credentials may not read it' };
    if (hasCode(error, 'damaged')) return { unreadable: error.detail ?? error.message };
    throw error;
  }
}

/** The keys that the name has in the repository: one, but for partials. */
async function objectsOf({ store }: Repository, file: WalFile, { signal }: CallOptions): Promise<WalObject[]> {
  if (file.kind !== 'partial') return [{ key: walKey(file), file }];
  const keys = new Set<string>();
  const prefix = partialPrefix(file.segment);
  for await (const entry of store.list(prefix, { signal })) if (entry.kind === 'object') keys.add(entry.key);
  return [...keys].flatMap((key) => {
    const wal = parseWalKey(key);
    return wal?.file.kind === 'partial' ? [wal] : [];
  });
}

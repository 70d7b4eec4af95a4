/** What whoever steals these credentials could do: tried on the probe's own object, which nothing depends on. */
import { hasCode } from '../../base/errors.ts';
import { PROBE_KEY } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { BucketProtection, CallOptions } from '../../store/store.ts';
import { failedLook, item, settingName, type CheckItem } from './check-item.ts';
import type { Mending } from './mending.ts';

/** The last of a repository's checks: afterwards the probe may be gone, and the next check makes it anew. */
export async function rightsChecks(
  repository: Repository,
  { signal, mending, versioning }: CallOptions & { mending: Mending; versioning: BucketProtection['versioning'] },
): Promise<CheckItem[]> {
  const repo = settingName(repository.number);
  const { probe } = repository.store;
  const items = [await versionsCheck(repository, { signal, mending, versioning })];
  const ask = async (name: string, expected: string, look: () => Promise<CheckItem | undefined>): Promise<void> => {
    try {
      items.push(await look());
    } catch (error) {
      signal.throwIfAborted();
      items.push(failedLook(name, expected, error));
    }
  };
  const overwrite = [`${repo} cannot overwrite`, 'an unconditional write is refused'] as const;
  await ask(...overwrite, async () => {
    const bytes = Buffer.from('walhold asks whether these credentials may overwrite\n');
    const found = await probe?.overwrite?.(PROBE_KEY, bytes, { signal });
    return found === undefined ? undefined : overwriteItem(overwrite, found, { mending, versioning });
  });
  const remove = [`${repo} cannot delete`, 'deleting is refused'] as const;
  await ask(...remove, async () => {
    const found = await probe?.remove?.(PROBE_KEY, { signal });
    if (found === undefined) return undefined;
    const taken = [
      ...(found.name === 'accepted' ? ['a name'] : []),
      ...(found.version === 'accepted' ? ['a version'] : []),
    ];
    if (taken.length === 0) return item(...okRow(remove, 'refused'));
    const hint = `Take the right to delete from these credentials: ${mending.rights}.`;
    return item(remove[0], false, `${taken.join(' and ')} could be deleted`, remove[1], hint);
  });
  return items.filter((one) => one !== undefined);
}

type Row = readonly [name: string, expected: string];

function okRow([name, expected]: Row, found: string): [string, true, string, string] {
  return [name, true, found, expected];
}

/**
 * S3 has no right to create alone: what refuses an overwrite there is a bucket policy. With versions it is advice, since readers take
 * the oldest version; without them whoever has these credentials destroys what is stored.
 */
function overwriteItem(
  row: Row,
  found: 'refused' | 'accepted',
  { mending, versioning }: { mending: Mending; versioning: BucketProtection['versioning'] },
): CheckItem {
  if (found === 'refused') return item(...okRow(row, 'refused'));
  const [name, expected] = row;
  const policy = `refuse it by a policy (S3: s3:if-none-match): ${mending.rights}.`;
  if (versioning === 'on') {
    return item(
      name,
      true,
      'accepted: the first version stays, and is what readers take',
      expected,
      `Advice: ${policy}`,
    );
  }
  const hint = `Turn versioning on, or ${policy} ${mending.versioning}`;
  return item(name, false, 'accepted: what is stored can be destroyed with these credentials', expected, hint);
}

/** Whoever may not list them can be shown a cover. The restorer should; an archiver need not. */
async function versionsCheck(
  { number, store }: Repository,
  { signal, mending, versioning }: CallOptions & { mending: Mending; versioning: BucketProtection['versioning'] },
): Promise<CheckItem | undefined> {
  if (store.versions === undefined || versioning === 'off') return undefined;
  const name = `${settingName(number)} versions can be listed`;
  const expected = 'older versions are seen, so that nothing can be hidden from this reader';
  try {
    for await (const _ of store.versions.list(PROBE_KEY, { signal, limit: 1 })) break;
    return item(name, true, 'yes', expected);
  } catch (error) {
    signal.throwIfAborted();
    if (!hasCode(error, 'denied', 'unsupported', 'store-rejected')) return failedLook(name, expected, error);
    const hint = `Advice: those who restore need it (S3: s3:ListBucketVersions, s3:GetObjectVersion): ${mending.rights}.`;
    return item(name, true, `no: ${error.message}`, expected, hint);
  }
}

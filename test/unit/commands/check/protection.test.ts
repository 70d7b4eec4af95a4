import { describe, expect, it } from 'vitest';
import { SILENT } from '../../../../src/base/log.ts';
import type { CheckItem } from '../../../../src/commands/check/check-item.ts';
import { segmentLockCheck } from '../../../../src/commands/check/probe-lock.ts';
import { repositoryChecks } from '../../../../src/commands/check/repository-checks.ts';
import type { CommandContext } from '../../../../src/commands/command-context.ts';
import { PROBE_KEY } from '../../../../src/repository/layout.ts';
import type { Repository } from '../../../../src/repository/repository.ts';
import type { MemoryStoreOptions } from '../../../support/memory-store.ts';
import { NOW } from '../../../support/memory-store.ts';
import { memoryRepository, type MemoryRepository } from '../../../support/memory-repository.ts';
import { SYSTEM_ID } from '../../../support/file-repository.ts';

const DAY_MS = 86_400_000;
const lockOf = (mode: 'bucket' | 'governance' | 'compliance'): NonNullable<Repository['lock']> => {
  return { mode, periodMs: 30 * DAY_MS, maxMs: 365 * DAY_MS };
};
/** As a locked bucket should be. */
const BUCKET: MemoryStoreOptions['bucket'] = {
  versioning: 'on',
  lockable: true,
  defaultRetention: { mode: 'compliance', periodMs: 30 * DAY_MS },
  lifecycle: [],
};
const SOUND = { versioned: true, locks: 'kept', overwrites: 'refused', bucket: BUCKET, skewMs: 0 } as const;

async function check(
  made: MemoryRepository,
): Promise<{ rows: Record<string, CheckItem>; wrong: string[]; advice: string[] }> {
  const clock = { now: () => NOW.getTime() };
  const context = { signal: new AbortController().signal, log: SILENT, clock } as unknown as CommandContext;
  const cluster = { systemId: SYSTEM_ID, dataDirectory: undefined };
  const items = await repositoryChecks(context, made.repository, cluster);
  const plain = ({ name }: CheckItem): string => name.replace(/^repo /, '');
  return {
    rows: Object.fromEntries(items.map((one) => [plain(one), one])),
    wrong: items.filter(({ ok }) => !ok).map(plain),
    advice: items.filter(({ ok, hint }) => ok && hint !== null).map(plain),
  };
}

describe('what check says of a bucket', () => {
  it('is that all is well, where it is', async () => {
    const made = memoryRepository({ ...SOUND, lock: lockOf('compliance') });
    const { retention } = made.repository;
    const { rows, wrong, advice } = await check({
      ...made,
      repository: { ...made.repository, retention: { ...retention, windowMs: 30 * DAY_MS } },
    });
    expect({ wrong, advice }).toEqual({ wrong: [], advice: ['last backup', 'retention'] });
    expect(rows['retention']?.hint).toContain('walhold lock extend');
    for (const name of ['versioning', 'object lock', 'lifecycle rules', 'cannot delete', 'clock of the store']) {
      expect(Object.keys(rows)).toContain(name);
    }
    expect(rows['probe is locked']?.found).toBe(
      `compliance until ${new Date(NOW.getTime() + 30 * DAY_MS).toISOString()}`,
    );
  });

  it('passes what the README sets up: a versioned bucket, an archiver that may not delete, and nothing else', async () => {
    const made = memoryRepository({
      versioned: true,
      locks: 'dropped',
      overwrites: 'accepted',
      mayListVersions: false,
    });
    const { rows, wrong, advice } = await check(made);
    expect(wrong).toEqual([]);
    expect(advice).toEqual([
      'object lock',
      'lifecycle rules',
      'retention',
      'versions can be listed',
      'cannot overwrite',
    ]);
    expect(rows['versioning']).toMatchObject({ found: 'on', hint: null });
    expect(rows['cannot overwrite']?.hint).toContain('s3:if-none-match');
  });

  const faults: [
    what: string,
    options: MemoryStoreOptions & { lock?: Repository['lock'] },
    row: string,
    hint: RegExp,
  ][] = [
    [
      'a lock on a bucket without',
      { bucket: { ...BUCKET, lockable: false } },
      'object lock',
      /put-object-lock-configuration --bucket memory/,
    ],
    [
      'a lock on a bucket without versions',
      { bucket: { ...BUCKET, versioning: 'off' } },
      'versioning',
      /put-bucket-versioning/,
    ],
    ['versions that are suspended', { bucket: { ...BUCKET, versioning: 'suspended' } }, 'versioning', /Status=Enabled/],
    [
      'a default that is shorter than the locks asked for',
      {
        lock: lockOf('bucket'),
        bucket: { ...BUCKET, defaultRetention: { mode: 'governance', periodMs: 29 * DAY_MS } },
      },
      'default retention',
      /"Days":30/,
    ],
    [
      'no default where the bucket must lock',
      { lock: lockOf('bucket'), bucket: { ...BUCKET, defaultRetention: 'none' } },
      'default retention',
      /DefaultRetention/,
    ],
    [
      'locks that are dropped and cannot be set',
      { locks: 'dropped', mayRetain: false },
      'probe is locked',
      /s3:PutObjectRetention/,
    ],
    [
      'rules that delete by age',
      { bucket: { ...BUCKET, lifecycle: ['expire after 7 days'] } },
      'lifecycle rules',
      /get-bucket-lifecycle/,
    ],
    ['a right to delete', { mayRemove: true }, 'cannot delete', /Take the right/],
    ['a clock that is far away', { skewMs: -301_000 }, 'clock of the store', /NTP/],
  ];
  it.each(faults)('names %s in one row, with what mends it', async (_, options, row, hint) => {
    const { rows, wrong } = await check(memoryRepository({ ...SOUND, lock: lockOf('compliance'), ...options }));
    expect(wrong).toEqual([row]);
    expect(rows[row]?.hint).toMatch(hint);
  });

  it('calls an accepted overwrite a fault where nothing of what it covers would be left', async () => {
    const { rows, wrong } = await check(memoryRepository({ overwrites: 'accepted', bucket: { versioning: 'off' } }));
    expect(wrong).toEqual(['cannot overwrite']);
    expect(rows['cannot overwrite']?.hint).toContain('put-bucket-versioning');
  });

  it('does not take versions for granted that nothing shows', async () => {
    expect((await check(memoryRepository({ overwrites: 'accepted' }))).wrong).toEqual(['cannot overwrite']);
  });

  it('calls no default a fault where walhold asks for each lock itself', async () => {
    const options = { ...SOUND, bucket: { ...BUCKET, defaultRetention: 'none' as const }, lock: lockOf('governance') };
    const { rows, wrong } = await check(memoryRepository(options));
    expect(wrong).toEqual([]);
    expect(rows['default retention']?.found).toBe('none');
  });

  it('can be asked again and again, also where the probe could be deleted', async () => {
    for (const options of [
      SOUND,
      { ...SOUND, mayRemove: true },
      { overwrites: 'accepted' as const, versioned: true },
    ]) {
      const made = memoryRepository({ ...options, lock: undefined });
      const first = await check(made);
      expect(await check(made)).toEqual(first);
    }
  });

  it('asks nothing of the bucket before it is known to be the repository of this cluster', async () => {
    const made = memoryRepository(SOUND);
    made.memory.objects.clear();
    await check(made);
    expect(made.memory.calls.filter((call) => /^(create|overwrite|remove)/.test(call))).toEqual([]);
  });
});

describe('the lock of an old probe', () => {
  const ago = (days: number): Date => new Date(NOW.getTime() - days * DAY_MS);
  const withProbe = (days: number, options: MemoryStoreOptions & { lock: Repository['lock'] }): MemoryRepository => {
    const made = memoryRepository({ ...SOUND, ...options });
    made.memory.put(PROBE_KEY, Buffer.from('an old probe'), { storedAt: ago(days) });
    return made;
  };

  it('is set anew where it ran out', async () => {
    const made = withProbe(31, { lock: lockOf('compliance') });
    expect((await check(made)).wrong).toEqual([]);
    expect(made.memory.objects.get(PROBE_KEY)?.[0]?.retention).toBeDefined();
  });

  it('is no fault where it ran out and only the bucket could set it', async () => {
    const { rows, wrong } = await check(withProbe(31, { lock: lockOf('bucket') }));
    expect(wrong).toEqual([]);
    expect(rows['probe is locked']?.hint).toContain('segment');
  });

  it('is a fault where it should be there still', async () => {
    expect((await check(withProbe(29, { lock: lockOf('bucket') }))).wrong).toEqual(['probe is locked']);
  });
});

describe('the lock of a segment that was just stored', () => {
  const signal = new AbortController().signal;
  const rowFor = async (retention: boolean, lock: Repository['lock'] = lockOf('compliance')): Promise<unknown> => {
    const { memory, repository } = memoryRepository({ ...SOUND, ...(lock === undefined ? {} : { lock }) });
    const until = new Date(NOW.getTime() + DAY_MS);
    const version = memory.put('wal/x', Buffer.from('x'), {
      retention: retention ? { mode: 'compliance', until } : undefined,
    });
    return await segmentLockCheck(repository, { key: 'wal/x', version }, { signal });
  };

  it('is there, or a fault', async () => {
    expect(await rowFor(true)).toMatchObject([{ name: 'repo segment locked', ok: true }]);
    expect(await rowFor(false)).toMatchObject([{ name: 'repo segment locked', ok: false, found: 'it has no lock' }]);
  });
});

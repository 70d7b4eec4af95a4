import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { walhold, walholdOk } from '../support/archived-cluster.ts';
import { waitUntilArchived } from '../support/archiving.ts';
import { failoverBehindArchive } from '../support/failover.ts';
import { archiveCommand } from '../support/hook.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { recoverFromArchive, startInVain } from '../support/recovery.ts';
import { filedSegments, filedWal } from '../support/repository-files.ts';

describe('after a failover in which the old primary had not archived all', () => {
  test('recovery stops at the hole, and goes on once the new primary has pushed what it had streamed', async () => {
    await using failover = await failoverBehindArchive();
    const { old, next, seed, unarchived } = failover;
    const [first = ''] = unarchived;
    expect(await filedSegments(old.repository, '00000001')).not.toContain(first);
    await recoverFromArchive(seed, { config: old.config });

    const stopped = await startInVain(seed);
    expect(stopped).toMatchObject({ status: 1, promoted: false });
    expect(stopped.log).toMatch(new RegExp(`walhold-fetch: error: ${first} is missing .*WAL goes on behind it`));

    const push = ['wal', 'push', '-D', next.dataDir];
    const check = await walhold(next, old.config, [...push, '--check']);
    expect(check.status).toBe(1);
    for (const name of unarchived) expect(check.stdout).toContain(name);
    expect(await filedSegments(old.repository, '00000001')).not.toContain(first);
    await walholdOk(next, old.config, push);
    expect(await filedSegments(old.repository, '00000001')).toEqual(expect.arrayContaining([...unarchived]));

    await seed.start();
    await seed.waitUntilPromoted();
    expect(await fingerprint(seed)).toEqual(await fingerprint(next));
    // Its segments come behind what was archived in the regular way, and nothing was written twice.
    const again = await walholdOk(next, old.config, push);
    expect(again.stdout).not.toContain(first);
  });

  test('a history file that is missing is a hole too, and the new primary has it still', async () => {
    await using failover = await failoverBehindArchive();
    const { old, next, seed } = failover;
    await walholdOk(next, old.config, ['wal', 'push', '-D', next.dataDir]);
    await rm(join(old.repository, 'wal', '00000002.history.zst'));
    await recoverFromArchive(seed, { config: old.config });

    const stopped = await startInVain(seed);
    expect(stopped).toMatchObject({ status: 1, promoted: false });
    expect(stopped.log).toMatch(/walhold-fetch: error: 00000002\.history is missing/);

    await walholdOk(next, old.config, ['wal', 'push', '-D', next.dataDir]);
    expect(await filedWal(old.repository)).toContain('00000002.history.zst');
    await seed.start();
    await seed.waitUntilPromoted();
    expect(await fingerprint(seed)).toEqual(await fingerprint(next));
  });

  test('the old primary, once archiving again, finds its segments stored by the new one', async () => {
    await using failover = await failoverBehindArchive();
    const { old, next, unarchived } = failover;
    await walholdOk(next, old.config, ['wal', 'push', '-D', next.dataDir]);
    await old.cluster.configure({ archive_command: await archiveCommand({ config: old.config }) });
    await old.cluster.start();
    for (const name of unarchived) await waitUntilArchived(old.cluster, name);
  });
});

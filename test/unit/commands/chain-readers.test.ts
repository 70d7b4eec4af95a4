/** What else reads records, of chains: verify, list, repo copy. */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListJson } from '../../../src/commands/list.ts';
import type { RepoCopyJson } from '../../../src/commands/repo-copy.ts';
import type { VerifyJson } from '../../../src/commands/verify.ts';
import { lsn } from '../../../src/postgres/lsn.ts';
import type { BackupRecord } from '../../../src/repository/backup-record.ts';
import { commitKey, IDENTITY_KEY, partKey, type BackupId } from '../../../src/repository/layout.ts';
import { callCompanion, jsonOf, type CompanionResult } from '../../support/companion-call.ts';
import { FileRepository } from '../../support/file-repository.ts';
import { BLOCK_BYTES, linkId, putLink } from '../../support/made-chain.ts';
import { putSegments } from '../../support/made-segments.ts';

let stored: FileRepository;
beforeEach(async () => {
  stored = await FileRepository.create();
  await putSegments(stored, 2, 8);
});
afterEach(async () => await stored[Symbol.asyncDispose]());

const before = Buffer.alloc(4 * BLOCK_BYTES, 1);
const after = Buffer.alloc(4 * BLOCK_BYTES, 2);
const FULL = linkId(0) as BackupId;
const FIRST = linkId(1) as BackupId;
const SECOND = linkId(2) as BackupId;

/** A full backup, and two that build on it. */
async function putChain(change: { from?: ReturnType<typeof lsn>; lacking?: boolean } = {}): Promise<void> {
  const { lacking = false, ...of } = change;
  const relations: Record<string, Buffer> = lacking ? { 'base/1/99': before } : { 'base/1/100': before };
  let parent: BackupRecord | undefined = await putLink(
    stored,
    { relations },
    { id: FULL, parent: undefined, segno: 2 },
  );
  for (const [id, segno] of [
    [FIRST, 3],
    [SECOND, 4],
  ] as const) {
    const contents = { relations: { 'base/1/100': after }, changes: { 'base/1/100': { before } } };
    parent = await putLink(stored, contents, { id, parent, segno, ...(id === SECOND ? of : {}) });
  }
}

const run = async (command: readonly string[], ...flags: string[]): Promise<CompanionResult> =>
  await callCompanion([...command, '--repo', `file://${stored.root}`, ...flags]);
const remove = async (key: string): Promise<void> => await rm(join(stored.root, key));

describe('verify of a chain', () => {
  const verify = async (...flags: string[]): Promise<VerifyJson> =>
    jsonOf<VerifyJson>(await run(['verify', '--json'], ...flags));

  it('finds nothing wrong with a sound one', async () => {
    await putChain();
    expect(await verify()).toMatchObject({ ok: true, problems: [] });
  });

  it.each([[[]], [['--quick']]])('misses a link, with %j', async (flags) => {
    await putChain();
    await remove(commitKey(FULL));
    const why = `backup ${FULL}, which ${FIRST} builds on, cannot be trusted`;
    expect((await verify(...flags)).problems).toEqual([
      { code: 'broken-chain', object: commitKey(FIRST), message: why },
      { code: 'broken-chain', object: commitKey(SECOND), message: why },
    ]);
    await rm(join(stored.root, 'backup', FULL), { recursive: true });
    expect((await verify(...flags)).problems[0]?.message).toMatch(/is not stored$/);
  });

  it('sees a parent that is of another kind', async () => {
    await putChain();
    const change = (record: BackupRecord): BackupRecord => ({ ...record, server: { ...record.server, major: 16 } });
    await putLink(stored, { relations: { 'base/1/100': before } }, { id: FULL, parent: undefined, segno: 2, change });
    expect((await verify('--quick')).problems).toContainEqual(
      expect.objectContaining({
        code: 'broken-chain',
        message: expect.stringMatching(/is of PostgreSQL 16, not 15/) as string,
      }),
    );
  });

  it('sees a label that names another parent, when it reads that part', async () => {
    await putChain({ from: lsn(0x12345n) });
    expect((await verify('--quick')).problems).toEqual([]);
    expect((await verify()).problems).toEqual([
      {
        code: 'broken-chain',
        object: partKey(SECOND, 3),
        message: expect.stringMatching(/its label says that it builds on 0\/12345 on timeline 1, not on/) as string,
      },
    ]);
  });

  it('sees a file whose blocks below are nowhere', async () => {
    await putChain({ lacking: true });
    expect((await verify('--quick')).problems).toEqual([
      {
        code: 'broken-chain',
        object: commitKey(FIRST),
        message: `it holds the changed blocks of "base/1/100", and ${FULL}, on which it builds, lacks that file`,
      },
    ]);
  });
});

describe('list of a chain', () => {
  const list = async (): Promise<ListJson> => jsonOf<ListJson>(await run(['list', '--json']));

  it('names types and parents', async () => {
    await putChain();
    expect((await list()).backups.map(({ id, type, parent }) => [id, type, parent])).toEqual([
      [FULL, 'full', null],
      [FIRST, 'incremental', FULL],
      [SECOND, 'incremental', FIRST],
    ]);
    const { stdout } = await run(['list']);
    expect(stdout).toMatch(/^BACKUP +PARENT +LABEL/);
    expect(stdout).toMatch(new RegExp(`^${SECOND} +${FIRST} `, 'm'));
  });

  it('has no column of parents where there are none', async () => {
    await putLink(stored, { relations: {} }, { id: FULL, parent: undefined, segno: 2 });
    expect((await run(['list'])).stdout).toMatch(/^BACKUP +LABEL/);
  });

  it('opens no window with a backup whose chain is broken', async () => {
    await putChain();
    expect((await list()).windows).toMatchObject([{ from: '2026-11-22T10:30:00Z' }]);
    await remove(commitKey(FULL));
    expect((await list()).windows).toEqual([]);
  });

  it('is what status goes by', async () => {
    await putChain();
    const lastBackup = async (): Promise<string | undefined> =>
      jsonOf<{ lastBackup: { id: string } | null }>(await run(['status', '--json'])).lastBackup?.id;
    expect(await lastBackup()).toBe(SECOND);
    await writeFile(join(stored.root, commitKey(FIRST)), '{}');
    expect(await lastBackup()).toBe(FULL);
  });
});

describe('repo copy of a chain', () => {
  const copyTo = async (other: FileRepository): Promise<RepoCopyJson> =>
    jsonOf<RepoCopyJson>(
      await run(['repo', 'copy', '--from', '1', '--to', '2', '--json'], '--repo2', `file://${other.root}`),
    );

  it('brings all links', async () => {
    await putChain();
    await using other = await FileRepository.create(2);
    await rm(join(other.root, IDENTITY_KEY));
    expect(await copyTo(other)).toMatchObject({ conflicts: [], damaged: [] });
    for (const id of [FULL, FIRST, SECOND]) expect(existsSync(join(other.root, commitKey(id)))).toBe(true);
  });

  it('commits nothing whose parent is not there', async () => {
    await putChain();
    await using other = await FileRepository.create(2);
    await remove(partKey(FIRST, 1));
    const { damaged } = await copyTo(other);
    expect(damaged.map(({ object }) => object)).toEqual([partKey(FIRST, 1), commitKey(SECOND)]);
    expect(damaged[1]).toMatchObject({
      code: 'broken-chain',
      message: expect.stringMatching(new RegExp(`^it is not copied: backup ${FIRST}, on which`)) as string,
    });
    expect(existsSync(join(other.root, commitKey(FULL)))).toBe(true);
    for (const id of [FIRST, SECOND]) expect(existsSync(join(other.root, commitKey(id)))).toBe(false);
  });

  it('takes a parent that is there already', async () => {
    await putChain();
    await using other = await FileRepository.create(2);
    await copyTo(other);
    await rm(join(other.root, 'backup', SECOND), { recursive: true });
    await rm(join(stored.root, 'backup', FIRST), { recursive: true });
    expect(await copyTo(other)).toMatchObject({ conflicts: [], damaged: [] });
    expect(existsSync(join(other.root, commitKey(SECOND)))).toBe(true);
  });
});

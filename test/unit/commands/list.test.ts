import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListJson } from '../../../src/commands/list.ts';
import type { WalListJson } from '../../../src/commands/wal-list.ts';
import { callCompanion, jsonOf } from '../../support/companion-call.ts';
import { FileRepository, SYSTEM_ID } from '../../support/file-repository.ts';
import { nameOf, putSegments } from '../../support/made-segments.ts';
import { inSegment, putBackup } from '../../support/stored-backup.ts';

const STOPPED = '2026-11-22T17:46:00Z';
const at = (minute: number): string => `2026-11-22T18:${String(minute).padStart(2, '0')}:00.000000Z`;

let stored: FileRepository;
let second: FileRepository;
beforeEach(async () => {
  stored = await FileRepository.create();
  second = await FileRepository.create();
});
afterEach(async () => {
  await stored[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

async function list(...flags: string[]): Promise<ListJson & { status: number; stderr: string }> {
  const result = await callCompanion(['list', '--json', '--repo', `file://${stored.root}`, ...flags]);
  if (result.stdout === '') throw new Error(result.stderr);
  return { ...jsonOf<ListJson>(result), status: result.status, stderr: result.stderr };
}

describe('list', () => {
  it('has nothing to show of a new repository', async () => {
    expect(await list()).toMatchObject({ backups: [], windows: [], gaps: [], status: 0, stderr: '' });
  });

  it('shows a backup in exactly the shape of the contract', async () => {
    const record = await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    const { backups } = await list();
    expect(backups).toEqual([
      {
        id: '20261122T174500Z-full',
        type: 'full',
        parent: null,
        label: 'made by a test',
        startedAt: '2026-11-22T17:45:00Z',
        stoppedAt: STOPPED,
        startLsn: '0/300028',
        stopLsn: '0/400190',
        timeline: 1,
        pgVersion: '15.17',
        systemId: String(SYSTEM_ID),
        sizeBytes: record.sizeBytes,
        storedBytes: record.storedBytes,
        lockedUntil: null,
        encrypted: false,
      },
    ]);
  });

  it('ends a window at the last commit that can be reached, not at the last time of storing', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 5, { about: { commits: 1, lastCommitAt: at(5), endLsn: '0/5FFFFF' } });
    await putSegments(stored, 6, 6, { about: { commits: 0, endLsn: '0/6000F0' } });
    const { windows, gaps } = await list();
    expect(windows).toEqual([{ timeline: 1, from: STOPPED, to: at(5), fromLsn: '0/400190', toLsn: '0/6000F0' }]);
    expect(gaps).toEqual([]);
  });

  it('ends a window where it begins when nothing was committed since', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 5, { about: { commits: 0 } });
    expect((await list()).windows).toMatchObject([{ from: STOPPED, to: STOPPED }]);
  });

  it('never ends a window before it begins', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 4, { about: { commits: 1, lastCommitAt: '2026-11-22T17:45:30.000000Z' } });
    expect((await list()).windows).toMatchObject([{ from: STOPPED, to: STOPPED }]);
  });

  it('breaks windows at holes and names these', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    const later = { id: '20261123T000000Z-full', stoppedAt: '2026-11-23T00:00:00Z' };
    await putBackup(stored, { ...later, startLsn: inSegment(9), stopLsn: inSegment(9, 400) });
    await putSegments(stored, 3, 5, { about: { commits: 1, lastCommitAt: at(5) } });
    await putSegments(stored, 8, 10, { about: { commits: 1, lastCommitAt: '2026-11-23T01:00:00.000000Z' } });
    const { backups, windows, gaps } = await list();
    expect(backups.map(({ id }) => id)).toEqual(['20261122T174500Z-full', '20261123T000000Z-full']);
    expect(windows.map(({ from, to }) => [from, to])).toEqual([
      [STOPPED, at(5)],
      ['2026-11-23T00:00:00Z', '2026-11-23T01:00:00.000000Z'],
    ]);
    expect(gaps).toEqual([{ timeline: 1, first: nameOf(6), last: nameOf(7) }]);
  });

  it('opens no window for a backup that lacks the WAL to become consistent', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 3);
    expect(await list()).toMatchObject({ windows: [], gaps: [] });
  });

  it('does not list an upload that did not end', async () => {
    const record = await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await rm(join(stored.root, `backup/${record.id}/backup.json`));
    const { backups, status, stderr } = await list();
    expect(backups).toEqual([]);
    expect(stderr).toContain(`${record.id} is an upload that did not end`);
    expect(status).toBe(0);
  });

  it('takes what is stored in several repositories together', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 4);
    await putSegments(second, 4, 6, { about: { commits: 1, lastCommitAt: at(9) } });
    const { backups, windows, gaps } = await list('--repo2', `file://${second.root}`);
    expect(backups).toHaveLength(1);
    expect(windows).toMatchObject([{ to: at(9) }]);
    expect(gaps).toEqual([]);
    expect(await list('--repo2', `file://${second.root}`, '--use-repo', '2')).toMatchObject({
      backups: [],
      windows: [],
    });
  });

  it('shows what it can read and ends with 1 when a repository does not answer', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    const { backups, status, stderr } = await list('--repo2', `file://${second.root}-gone`);
    expect(backups).toHaveLength(1);
    expect(stderr).toContain('repository 2');
    expect(status).toBe(1);
  });

  it('never takes repositories of two clusters for one', async () => {
    const identity = { format: 1, systemId: '7', createdAt: '2026-01-01T00:00:00.000Z', by: 'a test' };
    await second.put('walhold.json', JSON.stringify(identity));
    await expect(list('--repo2', `file://${second.root}`)).rejects.toThrow('belongs to another cluster');
  });

  it('leaves out a backup whose record cannot be trusted, and ends with 1', async () => {
    const record = await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await stored.put(`backup/${record.id}/backup.json`, '{"format":1,"parts":[]}\n');
    const { backups, status, stderr } = await list();
    expect(backups).toEqual([]);
    expect(stderr).toContain('cannot be trusted and is left out');
    expect(status).toBe(1);
  });

  it('prints tables for people, in which names of a repository move no cursor', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) }, (record) => {
      return { ...record, label: 'two\u001b[2Jlines\nhere' };
    });
    const { stdout } = await callCompanion(['list', '--repo', `file://${stored.root}`]);
    expect(stdout).toContain('two [2Jlines here');
    expect(stdout).toMatch(/^BACKUP +LABEL/);
    expect(stdout).toContain('there is no moment that one can recover to');
  });
});

describe('wal list', () => {
  const walList = async (...flags: string[]): Promise<WalListJson[]> => {
    const both = ['--repo', `file://${stored.root}`, '--repo2', `file://${second.root}`];
    return jsonOf<WalListJson[]>(await callCompanion(['wal', 'list', '--json', ...both, ...flags]));
  };

  it('shows each file once, with the repositories that hold it', async () => {
    await putSegments(stored, 3, 4);
    await putSegments(second, 4, 5);
    await second.putWal('00000002.history', '1\t0/500000\tno reason\n');
    const found = await walList();
    expect(found.map(({ name, repositories }) => [name, repositories])).toEqual([
      [nameOf(3), [1]],
      [nameOf(4), [1, 2]],
      [nameOf(5), [2]],
      ['00000002.history', [2]],
    ]);
    expect(found[0]).toMatchObject({ kind: 'segment', timeline: 1 });
    expect(await walList('--timeline', '0x2')).toEqual([]);
    expect(await walList('--use-repo', '1')).toHaveLength(2);
  });

  it('shows what can be read, and names the repository that cannot', async () => {
    await putSegments(stored, 3, 3);
    await rm(second.root, { recursive: true });
    const argv = ['wal', 'list', '--repo', `file://${stored.root}`, '--repo2', `file://${second.root}`];
    const { status, stdout, stderr } = await callCompanion(argv);
    expect(stdout).toContain(nameOf(3));
    expect(stderr).toMatch(/warning: repository 2 .* could not be read/);
    expect(status).toBe(1);
  });

  it('prints valid JSON of nothing', async () => {
    expect(await walList()).toEqual([]);
  });

  it('does not take a repository without its identity for an empty one', async () => {
    await rm(join(stored.root, 'walhold.json'));
    const { status, stderr } = await callCompanion(['wal', 'list', '--repo', `file://${stored.root}`]);
    expect(stderr).toContain('is not, or no longer, a repository');
    expect(status).toBe(1);
  });
});

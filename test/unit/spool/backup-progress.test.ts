import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { textLog } from '../../../src/base/log.ts';
import { backupInProgressJson, describeBackupInProgress } from '../../../src/commands/backup-in-progress.ts';
import { ProgressNotes } from '../../../src/commands/progress/note-progress.ts';
import { Progress } from '../../../src/commands/progress/progress.ts';
import { openSpool, type Spool } from '../../../src/spool/spool.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const log = textLog('test', 'error', () => {});
let path = '';
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'walhold-spool-'));
});
afterEach(() => rmSync(path, { recursive: true, force: true }));

async function spool(): Promise<Spool> {
  return await openSpool(path, log, 0);
}

describe('the note of a running backup', () => {
  it('tells status how far it is, until it ends', async () => {
    const clock = new ManualClock();
    const seen = async (isAlive: boolean): ReturnType<typeof backupInProgressJson> =>
      await backupInProgressJson(await spool(), { clock, isAlive: () => isAlive });
    const notes = new ProgressNotes(await spool(), 4711, clock);
    const progress = new Progress([notes.view], clock);
    progress.phase('copying', { done: () => 512, total: 1024 });
    notes.id = '20261122T174500Z-full';
    await clock.advance(5000);
    await expect.poll(async () => (await seen(true))?.at).toBe('2026-11-22T00:00:05.000Z');
    const shown = await seen(true);
    expect(shown).toMatchObject({ pid: 4711, id: '20261122T174500Z-full', phase: 'copying', bytesDone: 512 });
    expect(describeBackupInProgress(shown)).toBe(
      '20261122T174500Z-full, process 4711, since 2026-11-22T00:00:00.000Z: copying: 512 bytes of 1 kB (50%), 0 bytes/s',
    );
    expect(await seen(false)).toBeNull();
    clock.advance(60_001).catch(() => undefined);
    await progress[Symbol.asyncDispose]();
    await notes[Symbol.asyncDispose]();
    expect(readdirSync(path)).toEqual([]);
  });

  it('is none when nobody has spoken for a minute, whoever has the number of the process now', async () => {
    const clock = new ManualClock();
    const notes = new ProgressNotes(await spool(), 4711, clock);
    const progress = new Progress([notes.view], clock);
    progress.phase('copying');
    const isAlive = (): boolean => true;
    await expect.poll(async () => await backupInProgressJson(await spool(), { clock, isAlive })).not.toBeNull();
    const later = new ManualClock(clock.now() + 60_001);
    expect(await backupInProgressJson(await spool(), { clock: later, isAlive })).toBeNull();
    await progress[Symbol.asyncDispose]();
  });
});

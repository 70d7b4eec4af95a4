import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListJson } from '../../../../src/commands/list.ts';
import { callCompanion, jsonOf, type CompanionResult } from '../../../support/companion-call.ts';
import { nameOf } from '../../../support/made-segments.ts';
import { BACKUP_ID, RestorePlace } from '../../../support/restorable-backup.ts';

let place: RestorePlace;
let repo: string[];
beforeEach(async () => {
  place = await RestorePlace.create();
  repo = ['--repo', `file://${place.stored.root}`, '--metrics-file', join(place.root, 'walhold.prom')];
});
afterEach(async () => await place[Symbol.asyncDispose]());

const drill = async (...flags: string[]): Promise<CompanionResult> =>
  await callCompanion(['drill', '--json', '--scratch-dir', place.root, ...repo, ...flags]);
const lastDrill = async (): Promise<ListJson['lastDrill']> =>
  jsonOf<ListJson>(await callCompanion(['list', '--json', ...repo])).lastDrill;
const segment = (number: number): string =>
  join(place.stored.root, `wal/00000001/0000000100000000/${nameOf(number)}.zst`);

describe('a drill that nothing leads to the end of', () => {
  it('says so in its result, and the repository and the metrics remember', async () => {
    await place.putBackup();
    await rm(segment(6));
    const result = await drill();
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/error: could not plan a recovery to the end of the WAL\n.*WAL is missing/);
    expect(jsonOf(result)).toEqual({
      ok: false,
      backup: BACKUP_ID,
      targetReached: false,
      rtoSeconds: null,
      restoreSeconds: null,
      replaySeconds: null,
      lastCommitAt: null,
      rpoSeconds: null,
      checks: [{ name: 'plan', ok: false, detail: expect.stringContaining(nameOf(6)) as string }],
    });
    expect(await lastDrill()).toMatchObject({ ok: false, backup: BACKUP_ID, failed: ['plan'] });
    expect(await readFile(join(place.root, 'walhold.prom'), 'utf8')).toMatch(/^walhold_last_drill_ok\{.*\} 0$/m);
  });

  it('is not remembered where a repository that did not answer may have what is missing', async () => {
    await place.putBackup();
    await rm(segment(6));
    repo.push('--repo2', `file://${join(place.root, 'gone')}`);
    const result = await drill();
    expect(result.status).toBe(1);
    expect(jsonOf(result)).toMatchObject({ ok: false, targetReached: false });
    expect(await lastDrill()).toBeNull();
  });

  it('is not remembered where somebody chose a target that there is not', async () => {
    await place.putBackup();
    const early = await drill('--target-time', '2026-11-22 17:00:00+00');
    expect(early.status).toBe(1);
    expect(jsonOf(early)).toMatchObject({ ok: false, backup: null, checks: [{ name: 'plan', ok: false }] });
    expect(jsonOf(await drill('--target-lsn', '0/900000'))).toMatchObject({ ok: false, backup: BACKUP_ID });
    expect(await lastDrill()).toBeNull();
  });
});

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { METRIC_NAMES, metricOf } from '../../../../src/commands/metrics/metric-table.ts';
import { callCompanion } from '../../../support/companion-call.ts';
import { readExposition } from '../../../support/exposition.ts';
import { FileRepository } from '../../../support/file-repository.ts';
import { putSegments } from '../../../support/made-segments.ts';
import { inSegment, putBackup } from '../../../support/stored-backup.ts';

let folder: string;
let path: string;
let stored: FileRepository;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'walhold-metrics-'));
  path = join(folder, 'walhold.prom');
  stored = await FileRepository.create();
  await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
  await putSegments(stored, 3, 5);
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  await stored[Symbol.asyncDispose]();
});

const walhold = async (...argv: string[]): ReturnType<typeof callCompanion> =>
  await callCompanion([...argv, '--repo', `file://${stored.root}`, '--metrics-file', path]);

/** The value of each metric without labels of its own. */
async function values(): Promise<Record<string, number | undefined>> {
  const families = readExposition(await readFile(path, 'utf8'));
  return Object.fromEntries([...families.values()].map(({ name, samples }) => [name.slice(8), samples[0]?.value]));
}

describe('metrics_file', () => {
  it('is made by status, readable for everybody, with nothing left beside it', async () => {
    const umask = process.umask(0o077);
    const result = await walhold('status', '--prometheus').finally(() => process.umask(umask));
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(await readFile(path, 'utf8')).toBe(result.stdout);
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(await readdir(folder)).toEqual(['walhold.prom']);
    expect(await values()).toMatchObject({ store_up: 1, backups: 1, gaps: 0, tampering: 0, build_info: 1 });
  });

  it('is a new file each time, so that whoever reads it reads one or the other', async () => {
    await walhold('status');
    const before = await stat(path);
    await walhold('status');
    expect((await stat(path)).ino).not.toBe(before.ino);
  });

  it('keeps what check, verify and expire have said while status says what is new', async () => {
    const begun = Date.now() / 1000;
    expect((await walhold('verify', '--slice', '2/4')).status).toBe(0);
    expect(await values()).toEqual({
      last_verify_timestamp_seconds: expect.closeTo(begun, -2) as number,
      last_verify_ok: 1,
      last_verify_read_ratio: 0.25,
    });
    expect((await walhold('expire', '--retention-window', '1d')).status).toBe(0);
    // No server is to be had here.
    expect((await walhold('check', '-d', 'host=/nonexistent')).status).toBe(1);
    const checked = await values();
    expect(checked).toMatchObject({ last_verify_ok: 1, last_expire_ok: 1, last_check_ok: 0, backups: 1, gaps: 0 });
    await stored.put('wal/00000001/0000000100000000/000000010000000000000004.zst', 'damaged');
    expect((await walhold('verify')).status).toBe(1);
    await walhold('status');
    expect(await values()).toMatchObject({ last_verify_ok: 0, last_verify_read_ratio: 1, last_check_ok: 0 });
  });

  it('loses what is not known any more', async () => {
    await walhold('status');
    expect(await values()).toHaveProperty('last_stored_timestamp_seconds');
    await rm(join(stored.root, 'walhold.json'));
    expect((await walhold('status')).status).toBe(1);
    const found = await values();
    expect(found).toMatchObject({ store_up: 0 });
    expect(found).not.toHaveProperty('last_stored_timestamp_seconds');
    expect(found).not.toHaveProperty('backups');
  });

  it('is left alone by looks at the past, at one of the repositories, and by expire that only says', async () => {
    await walhold('status', '--as-of', '2026-11-22 17:45:00+00');
    await walhold('status', '--use-repo', '1');
    await walhold('verify', '--quick', '--use-repo', '1');
    await walhold('expire', '--dry-run', '--retention-window', '1d');
    expect(await readdir(folder)).toEqual([]);
  });

  it('is not replaced where it is somebody else’s, or cannot be', async () => {
    await writeFile(path, 'root:x:0:0\n');
    const result = await walhold('status');
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(
      /warning: metrics_file .* was not written by walhold, and is not replaced\n.*\n.*hint/,
    );
    expect(await readFile(path, 'utf8')).toBe('root:x:0:0\n');
    // The work itself was done.
    expect((await walhold('verify', '--quick')).status).toBe(0);

    path = join(folder, 'none', 'walhold.prom');
    const lacking = await walhold('status');
    expect(lacking.status).toBe(1);
    expect(lacking.stderr).toMatch(/could not (read|write) metrics_file/);
    path = folder;
    expect((await walhold('status')).stderr).toMatch(/metrics_file|EISDIR/);
  });

  it('forgets what another archive has said in it', async () => {
    await walhold('verify', '--quick');
    await using other = await FileRepository.create();
    await callCompanion(['status', '--repo', `file://${other.root}`, '--metrics-file', path]);
    expect(await values()).not.toHaveProperty('last_verify_ok');
  });

  it('must be named by an absolute path', async () => {
    path = 'walhold.prom';
    expect(await walhold('status')).toMatchObject({ status: 2 });
  });
});

it('every metric belongs to one of those that write it', () => {
  const sources = new Set(METRIC_NAMES.map((name) => metricOf(name).of));
  expect([...sources].sort()).toEqual(['check', 'drill', 'expire', 'proof', 'status', 'verify']);
});

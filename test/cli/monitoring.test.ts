import { existsSync, globSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../../scripts/build.ts';
import { promtool } from '../../scripts/prometheus-tools.ts';
import { loadConfig } from '../../src/config/load.ts';
import { blocksFor, textsWithPlaces } from '../support/document-blocks.ts';
import { FileRepository } from '../support/file-repository.ts';
import { built } from '../support/hook.ts';
import { putSegments } from '../support/made-segments.ts';
import { Place } from '../support/place.ts';
import { plainEnvironment, run } from '../support/run.ts';
import { inSegment, putBackup } from '../support/stored-backup.ts';

const MONITORING = join(ROOT, 'scripts/monitoring');
const UNITS = join(ROOT, 'scripts/systemd');

const prometheus = await promtool();
const hasSystemd = existsSync('/usr/bin/systemd-analyze') && existsSync('/usr/bin/systemctl');

sayMissing(prometheus !== undefined, 'no promtool to check with: its Debian package could not be fetched');
sayMissing(hasSystemd, 'no systemd-analyze and systemctl to check with: the package systemd brings them');

/** @throws in CI, where skipping would hide what was never tested. */
function sayMissing(found: boolean, reason: string): void {
  if (found) return;
  if (process.env['CI'] === 'true') throw new Error(reason);
  process.stderr.write(`skipped: ${reason}\n`);
}

describe.skipIf(prometheus === undefined)('Prometheus’ own checker', () => {
  const tool = prometheus ?? '';

  test('takes what status prints', async () => {
    await using stored = await FileRepository.create();
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 5);
    const argv = [await built('walhold'), 'status', '--prometheus', '--repo', `file://${stored.root}`];
    const { stdout, status } = await run(argv);
    expect({ status, text: stdout }).toMatchObject({ status: 0, text: expect.stringContaining('_bytes{') as string });
    await using place = await Place.create('promtool', 'current user');
    const file = await place.file('walhold.prom', stdout);
    const check = await run(['sh', '-c', 'exec "$0" check metrics <"$1"', tool, file]);
    expect(check).toMatchObject({ status: 0, stdout: '', stderr: '' });
    await writeFile(file, stdout.replaceAll('walhold_gaps', 'walhold_gaps_total'));
    expect((await run(['sh', '-c', 'exec "$0" check metrics <"$1"', tool, file])).status).not.toBe(0);
  });

  test('takes the alert rules, which fire when they should', async () => {
    expect(await run([tool, 'check', 'rules', 'alerts.yml'], { cwd: MONITORING })).toMatchObject({ status: 0 });
    const result = await run([tool, 'test', 'rules', 'alerts.test.yml'], { cwd: MONITORING });
    expect(result.status, result.stdout + result.stderr).toBe(0);
    expect(result.stdout).toContain('SUCCESS');
  });
});

describe('the systemd units', () => {
  let place: Place;
  /** Copies that name a `walhold` that is there. */
  let folder: string;
  const names = globSync('*', { cwd: UNITS }).toSorted();

  beforeAll(async () => {
    place = await Place.create('units', 'current user');
    folder = await place.folder('units');
    const program = await built('walhold');
    for (const name of names) {
      const text = await readFile(join(UNITS, name), 'utf8');
      await writeFile(join(folder, name), text.replace(/^ExecStart=walhold /m, `ExecStart=${program} `));
    }
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  test('come in pairs, a service and its timer', () => {
    expect(names.length).toBeGreaterThan(0);
    const stems = names.filter((name) => name.endsWith('@.service')).map((name) => name.replace('.service', ''));
    expect(names).toEqual(stems.flatMap((stem) => [`${stem}.service`, `${stem}.timer`]));
  });

  test.skipIf(!hasSystemd).each(names)('%s is one that systemd takes without a word', async (name) => {
    const unit = join(folder, name.replace('@.', '@main.'));
    const result = await run(['systemd-analyze', 'verify', '--man=no', unit]);
    expect(result).toMatchObject({ status: 0, stderr: '' });
    // What it is asked can fail: a directive that nobody knows.
    const wrong = (await readFile(join(folder, name), 'utf8')).replace(/^\[(Service|Timer)\]$/m, '$&\nProtectAll=yes');
    await mkdir(join(folder, 'wrong'), { recursive: true });
    await writeFile(join(folder, 'wrong', name), wrong);
    const other = await run([
      'systemd-analyze',
      'verify',
      '--man=no',
      join(folder, 'wrong', name.replace('@.', '@main.')),
    ]);
    expect(other.stderr).toContain('ProtectAll');
  });

  test.each(names.filter((name) => name.endsWith('.service')))('%s calls a command that there is', async (name) => {
    const text = await readFile(join(UNITS, name), 'utf8');
    const [, command = ''] = /^ExecStart=(.+)$/m.exec(text) ?? [];
    await expectCommand(/\bwalhold ([^'>]+)/.exec(command)?.[1] ?? '');
  });

  test('verify reads another part each day, and all in four weeks', async () => {
    const text = await readFile(join(UNITS, 'walhold-verify@.service'), 'utf8');
    const [, quoted = ''] = /^ExecStart=\/bin\/sh -c '(.+)'$/m.exec(text) ?? [];
    // As systemd reads it.
    await expectSlices(place, quoted.replaceAll('%%', '%').replaceAll('$$', '$'));
  });

  test.skipIf(!hasSystemd)('are installed as README.md shows', async () => {
    const root = await place.folder('root');
    await mkdir(join(root, 'etc/systemd/system'), { recursive: true });
    const [text = ''] = textsWithPlaces(blocksFor(import.meta.url, 'install'), {
      '/etc/systemd/system': join(root, 'etc/systemd/system'),
      'systemctl enable': `systemctl --root=${root} enable`,
    });
    const result = await run(['sh', '-e', '-c', text], { cwd: ROOT });
    expect(result.status, result.stderr).toBe(0);
    const wanted = join(root, 'etc/systemd/system/timers.target.wants');
    expect((await readdir(wanted)).toSorted()).toEqual(
      ['backup', 'drill', 'status', 'verify'].map((name) => `walhold-${name}@main.timer`),
    );
    expect(await readlink(join(wanted, 'walhold-status@main.timer'))).toMatch(/walhold-status@\.timer$/);
  });
});

describe('the crontab', () => {
  const lines = async (): Promise<string[]> =>
    (await readFile(join(ROOT, 'scripts/cron/walhold'), 'utf8'))
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && !/^[A-Z_]+=\S+$/.test(line));

  test('has a time, a user and a command that there is in every line', async () => {
    expect((await lines()).length).toBe(6);
    for (const line of await lines()) {
      const [, user, command = ''] = /^(?:(?:\*(?:\/\d+)?|\d+) +){5}(\S+) +(walhold .+)$/.exec(line) ?? [];
      expect(user, line).toBe('postgres');
      await expectCommand(/^walhold ([^>]+)/.exec(command)?.[1] ?? '');
    }
  });

  test('verifies another part each day, and all in four weeks', async () => {
    const line = (await lines()).find((one) => one.includes('--slice')) ?? '';
    await using place = await Place.create('cron', 'current user');
    // As cron reads it: what is not escaped would end the command.
    const command = line.slice(line.indexOf('walhold')).replaceAll('\\%', '\0');
    expect(command).not.toContain('%');
    await expectSlices(place, command.replaceAll('\0', '%').replace('>/dev/null', ''));
  });
});

test('the settings that README.md shows for metrics load', () => {
  const [block] = blocksFor(import.meta.url, 'walhold.conf');
  const { config } = loadConfig({
    arguments: { configFile: '/c', flags: new Map([['repo', 'file:///a']]) },
    environment: {},
    readFile: () => block?.text ?? '',
  });
  expect(config.metricsFile).toBe('/var/lib/prometheus/node-exporter/walhold.prom');
});

/** Its words are those of a command, and its options are in the help of that. */
async function expectCommand(text: string): Promise<void> {
  const words = text.trim().split(' ');
  const first = words.findIndex((word) => word.startsWith('-'));
  const command = first < 0 ? words : words.slice(0, first);
  const help = await run([await built('walhold'), ...command, '--help']);
  expect(help.stdout, text).toContain(`Usage: walhold ${command.join(' ')}`);
  for (const option of words.filter((word) => /^--?[a-z]/.test(word))) expect(help.stdout).toContain(option);
}

/** Runs a command line with a `walhold` and a `date` that only tell: what they are told on 28 days in a row. */
async function expectSlices(place: Place, command: string): Promise<void> {
  const bin = join(place.path, 'bin');
  await mkdir(bin, { recursive: true });
  await cp('/bin/echo', join(bin, 'walhold'));
  const slices = new Set<string>();
  for (let day = 0; day < 28; day += 1) {
    await writeFile(join(bin, 'date'), `#!/bin/sh\n[ "$1" = +%s ] && echo ${1_795_000_000 + day * 86_400}\n`);
    await chmod(join(bin, 'date'), 0o755);
    const env = { ...plainEnvironment(), PATH: `${bin}:/usr/bin:/bin` };
    const { stdout, stderr } = await run(['/bin/sh', '-c', command], { env });
    expect(stdout, stderr).toMatch(/^verify --slice \d+\/28\n$/);
    slices.add(stdout);
  }
  expect(slices.size).toBe(28);
  expect([...slices].every((text) => Number(/ (\d+)\//.exec(text)?.[1]) >= 1)).toBe(true);
}

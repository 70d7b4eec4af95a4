import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callCompanion, type CompanionResult } from '../../../support/companion-call.ts';
import { FileRepository } from '../../../support/file-repository.ts';
import { nameOf, putSegments } from '../../../support/made-segments.ts';
import { inSegment, putBackup } from '../../../support/stored-backup.ts';

const HOSTILE = '</script><b>';

let stored: FileRepository;
let folder: string;
beforeEach(async () => {
  stored = await FileRepository.create();
  folder = await mkdtemp(join(tmpdir(), 'walhold-report-'));
});
afterEach(async () => {
  await stored[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function report(...flags: string[]): Promise<CompanionResult> {
  return await callCompanion(['report', '--repo', `file://${stored.root}`, ...flags]);
}

async function putStory(): Promise<void> {
  await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) }, (record) => {
    return { ...record, label: HOSTILE };
  });
  await putSegments(stored, 3, 6);
  await putSegments(stored, 9, 10);
}

describe('report', () => {
  it('is a page on stdout, with all that a repository shows, and nothing else', async () => {
    await putStory();
    const { status, stdout, stderr } = await report();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^<!doctype html>\n<html lang="en">[^]*<\/html>\n$/);
    expect(stdout).toContain('Recoverable, but one thing is wrong');
    expect(stdout).toContain(`WAL is missing in one place: ${nameOf(7)} to ${nameOf(8)}.`);
    expect(stdout).toContain('&lt;/script&gt;&lt;b&gt;');
    expect(stdout).not.toContain(HOSTILE);
    expect(stdout).not.toMatch(/<script|<img|<link|<iframe|@import|url\(|https?:\/\/|\son[a-z]+=/);
    expect((await report('-o', '-')).stdout).toMatch(/^<!doctype html>/);
  });

  it('says so where nothing is stored', async () => {
    const { status, stdout } = await report();
    expect(stdout).toContain('Nothing can be recovered');
    expect(stdout).toContain('No backup is stored, so nothing can be recovered.');
    expect(status).toBe(0);
  });

  it('replaces a file as a whole, through a link too, and leaves nothing else', async () => {
    await putStory();
    const [file, link] = [join(folder, 'page.html'), join(folder, 'link.html')];
    await writeFile(file, 'old');
    await symlink('page.html', link);
    expect(await report('-o', link)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(await readFile(file, 'utf8')).toContain('<!doctype html>');
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await report('--output', join(folder, 'new.html'))).toMatchObject({ status: 0 });
    expect((await readdir(folder)).sort()).toEqual(['link.html', 'new.html', 'page.html']);
  });

  it('never takes the place of what is no file', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await mkdir(join(folder, 'directory'));
    for (const path of [pipe, join(folder, 'directory'), '/dev/null']) {
      const { status, stderr } = await report('-o', path);
      expect(stderr).toContain(`${path} is not a file that a report could replace`);
      expect(status).toBe(2);
    }
    expect((await readdir(folder)).sort()).toEqual(['directory', 'pipe']);
    const nowhere = await report('-o', join(folder, 'missing/page.html'));
    expect(nowhere.stderr).toContain('could not write the report');
    expect(nowhere.status).toBe(1);
  });

  it('shows what it can read, and what it cannot, and ends with 1 then', async () => {
    await putStory();
    const { status, stdout, stderr } = await report('--repo2', `file://${stored.root}-gone`);
    expect(stdout).toMatch(/Repository 2 \(file:[^)]*-gone\) could not be read: /);
    expect(stdout).toContain('20261122T174500Z-full');
    expect(stderr).toContain('warning: repository 2');
    expect(status).toBe(1);
    expect(await report('--repo2', `file://${stored.root}-gone`, '--use-repo', '1')).toMatchObject({
      status: 0,
      stderr: '',
    });
  });

  it('names a backup that cannot be restored, where it stands', async () => {
    await putBackup(stored, { startLsn: inSegment(3), stopLsn: inSegment(4, 400) });
    await putSegments(stored, 3, 3);
    const { stdout } = await report();
    expect(stdout).toContain('cannot be restored: WAL is missing');
  });
});

import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPostgresPrograms } from '../../../src/server/postgres-programs.ts';

const { signal } = new AbortController();

describe('looking for PostgreSQL’s programs', () => {
  let place: string;
  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'walhold-programs-'));
  });
  afterEach(async () => await rm(place, { recursive: true }));

  /** A folder whose `postgres` says this. */
  async function folder(name: string, answer: string): Promise<string> {
    const path = join(place, name);
    await mkdir(path);
    await writeFile(join(path, 'postgres'), `#!/bin/sh\necho '${answer}'\n`);
    await chmod(join(path, 'postgres'), 0o755);
    return path;
  }

  it('takes the first on PATH that is of the right major version, where it really lies', async () => {
    const old = await folder('old', 'postgres (PostgreSQL) 91.3');
    const right = await folder('right', 'postgres (PostgreSQL) 92.1 (Debian 92.1-1)');
    const linked = join(place, 'linked');
    await mkdir(linked);
    await symlink(join(right, 'postgres'), join(linked, 'postgres'));
    const path = ['relative', '', '/nonexistent', old, linked].join(':');
    expect(await findPostgresPrograms({ major: 92, folder: undefined, path, signal })).toBe(right);
  });

  it('says what it found instead, and how to name it', async () => {
    const old = await folder('old', 'postgres (PostgreSQL) 91.3');
    await expect(findPostgresPrograms({ major: 92, folder: undefined, path: old, signal })).rejects.toMatchObject({
      code: 'not-found',
      message: 'could not find the programs of PostgreSQL 92',
      detail: `found: PostgreSQL 91 in ${old}`,
      hint: expect.stringContaining('--pg-bin') as string,
    });
  });

  it.each([
    ['another major version', 'postgres (PostgreSQL) 91.3', 'it holds those of PostgreSQL 91'],
    ['something else', 'hello', 'no "postgres" that runs lies there'],
  ])('looks nowhere else where a folder is named, and refuses %s', async (_, answer, detail) => {
    const named = await folder('named', answer);
    const right = await folder('right', 'postgres (PostgreSQL) 92.1');
    const search = findPostgresPrograms({ major: 92, folder: named, path: right, signal });
    await expect(search).rejects.toMatchObject({ code: 'usage', detail });
  });
});

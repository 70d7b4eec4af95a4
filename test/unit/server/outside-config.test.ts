import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outsideConfig, type OutsideConfig } from '../../../src/server/outside-config.ts';
import type { ServerFacts } from '../../../src/server/server-facts.ts';

let top = '';
let data = '';
let etc = '';
beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'walhold-config-')));
  data = join(top, 'data');
  etc = join(top, 'etc');
  for (const folder of [data, etc]) mkdirSync(folder);
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function put(path: string, text = ''): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function found(files: { conf?: string; hba?: string; ident?: string }): OutsideConfig | undefined {
  const settings = new Map([
    ['data_directory', data],
    ['config_file', files.conf ?? put(join(data, 'postgresql.conf'))],
    ['hba_file', files.hba ?? put(join(data, 'pg_hba.conf'))],
    ['ident_file', files.ident ?? put(join(data, 'pg_ident.conf'))],
  ]);
  const checkpoint = { lsn: '0/1', redoLsn: '0/1', timeline: 1 };
  const facts: ServerFacts = {
    version: '16',
    major: 16,
    inRecovery: false,
    systemId: 1n,
    startedAt: '2026-11-22T17:45:00.000000Z',
    checkpoint,
    settings,
  };
  return outsideConfig(facts, data);
}

describe('configuration outside the data directory', () => {
  it('is none where all lies inside', () => {
    expect(found({})).toBeUndefined();
    expect(
      found({ conf: put(join(data, 'a.conf'), "include 'b.conf'\n"), hba: put(join(data, 'b.conf')) }),
    ).toBeUndefined();
  });

  it('is each of the three files that lies outside', () => {
    const hba = put(join(etc, 'pg_hba.conf'));
    expect(found({ hba })).toEqual({ configFile: undefined, hbaFile: hba, identFile: undefined, files: [hba] });
  });

  it('brings included files, one within another, relative to their own folder', () => {
    const conf = put(
      join(etc, 'postgresql.conf'),
      "include = 'more/a.conf'\ninclude_if_exists 'none.conf'\ninclude_dir 'conf.d'\n",
    );
    const a = put(join(etc, 'more/a.conf'), "include 'b.conf'\ninclude '../postgresql.conf'\n");
    const b = put(join(etc, 'more/b.conf'));
    const c = put(join(etc, 'conf.d/c.conf'));
    put(join(etc, 'conf.d/c.bak'));
    put(join(etc, 'conf.d/.hidden.conf'));
    expect(found({ conf })?.files).toEqual([conf, a, b, c]);
  });

  it('brings what an inner file includes from outside', () => {
    const outer = put(join(etc, 'tuning.conf'));
    const conf = put(join(data, 'postgresql.conf'), `include '${outer}'\n`);
    expect(found({ conf })).toMatchObject({ configFile: undefined, files: [outer] });
  });

  it('brings lists of names and included files of pg_hba.conf', () => {
    const text =
      'local all @admins all trust # @not-this\nhost @"my list",x all all md5\ninclude "extra hba"\ninclude_dir hba.d\n';
    const hba = put(join(etc, 'pg_hba.conf'), text);
    const names = ['admins', 'my list', 'extra hba', 'hba.d/1.conf'].map((name) => put(join(etc, name)));
    expect(found({ hba })?.files.toSorted()).toEqual([hba, ...names].toSorted());
  });

  it('sees through a link inside the data directory', () => {
    const target = put(join(etc, 'postgresql.conf'));
    const conf = join(data, 'postgresql.conf');
    symlinkSync(target, conf);
    expect(found({ conf })).toMatchObject({ configFile: conf, files: [conf] });
  });

  it('asks for the right to see where the files are', () => {
    const facts = { settings: new Map([['data_directory', data]]) } as unknown as ServerFacts;
    expect(() => outsideConfig(facts, data)).toThrow(
      expect.objectContaining({ code: 'server', hint: expect.stringContaining('pg_read_all_settings') as string }),
    );
  });
});

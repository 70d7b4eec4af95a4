import { describe, expect, it, test } from 'vitest';
import { classify, isUnloggedFork, unloggedRelations, type PathKind } from '../../../src/postgres/data-files.ts';

describe('a base backup', () => {
  test.each<[string, PathKind]>([
    ['PG_VERSION', 'file'],
    ['global/pg_control', 'file'],
    ['postgresql.auto.conf', 'file'],
    ['current_logfiles', 'file'],
    ['log/postgresql.log', 'file'],
    ['base', 'directory'],
    ['base/5', 'directory'],
    ['base/5/1259', 'file'],
    ['base/5/1259_vm.2', 'file'],
    ['base/5/pg_filenode.map', 'file'],
    ['global/1262', 'file'],
    ['global/t3_16384', 'file'],
    ['pg_xact/0000', 'file'],
    ['pg_stat', 'directory'],
    ['pg_stat/pgstat.stat', 'file'],
    ['pg_twophase/00000300', 'file'],
    ['pg_tblspc', 'directory'],
    ['pg_tblspc/16384', 'symlink'],
    ['pg_tblspc/16384/PG_15_202209061/5/16385', 'file'],
    ['pg_wal2', 'directory'],
    ['base/pg_wal', 'directory'],
    ['conf.d/recovery.signal', 'file'],
    ['backup_label.old', 'file'],
    ['t3_16384', 'file'],
  ])('keeps %s', (path, kind) => {
    expect(classify(path, kind)).toBe('keep');
  });

  test.each<[string, PathKind]>([
    ['postmaster.pid', 'file'],
    ['postmaster.opts', 'file'],
    ['backup_label', 'file'],
    ['tablespace_map', 'file'],
    ['backup_manifest', 'file'],
    ['postgresql.auto.conf.tmp', 'file'],
    ['current_logfiles.tmp', 'file'],
    ['recovery.signal', 'file'],
    ['standby.signal', 'file'],
    ['pgsql_tmp_whatever', 'file'],
    ['base/pgsql_tmp', 'directory'],
    ['pg_tblspc/16384/PG_15_202209061/pgsql_tmp', 'directory'],
    ['global/pg_internal.init', 'file'],
    ['base/5/pg_internal.init.4711', 'file'],
    ['base/5/t3_16384', 'file'],
    ['base/5/t3_16384_fsm.1', 'file'],
    ['pg_tblspc/16384/PG_15_202209061/5/t12_16384', 'file'],
  ])('leaves out %s', (path, kind) => {
    expect(classify(path, kind)).toBe('skip');
  });

  test.each<[string, PathKind]>([
    ['pg_wal', 'directory'],
    ['pg_wal', 'symlink'],
    ['pg_replslot', 'directory'],
    ['pg_dynshmem', 'directory'],
    ['pg_notify', 'directory'],
    ['pg_serial', 'directory'],
    ['pg_snapshots', 'directory'],
    ['pg_stat_tmp', 'symlink'],
    ['pg_subtrans', 'directory'],
  ])('keeps %s without its contents', (path, kind) => {
    expect(classify(path, kind)).toBe('directory-only');
  });

  test.each<[string, PathKind]>([
    ['.s.PGSQL.5432', 'other'],
    ['base/5/link', 'symlink'],
    ['pg_tblspc/link', 'symlink'],
    ['pg_tblspc/16384/link', 'symlink'],
    ['postgresql.conf', 'symlink'],
  ])('warns of %s', (path, kind) => {
    expect(classify(path, kind)).toBe('special');
  });
});

describe('unlogged relations', () => {
  const unlogged = unloggedRelations([
    '16384',
    '16384_init',
    '16390',
    '16384_vm',
    'x_init',
    '16399_init.1',
    't1_5_init',
  ]);

  it('are those with an init fork', () => {
    expect(unlogged).toEqual(new Set(['16384']));
  });

  test.each([
    ['base/5/16384', true],
    ['base/5/16384.2', true],
    ['base/5/16384_fsm', true],
    ['base/5/16384_vm.1', true],
    ['pg_tblspc/1/PG_15_202209061/5/16384', true],
    ['base/5/16384_init', false],
    ['base/5/16384_init.1', false],
    ['base/5/163840', false],
    ['base/5/16390', false],
    ['base/5/16384x', false],
    ['global/16384', false],
    ['pg_xact/16384', false],
    ['16384', false],
  ])('%s: %s', (path, expected) => {
    expect(isUnloggedFork(path, unlogged)).toBe(expected);
    expect(isUnloggedFork(path, new Set())).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { parseConf } from '../../../src/postgres/conf-file.ts';
import { privateConf, recoverySettings, type PrivateSettings } from '../../../src/server/private-settings.ts';

const recorded = {
  maxConnections: 500,
  maxWorkerProcesses: 16,
  maxWalSenders: 12,
  maxPreparedXacts: 300,
  maxLocksPerXact: 128,
};
const base: PrivateSettings = {
  major: 15,
  recorded,
  socketDirectory: '/var/tmp/it’s/sockets',
  hbaFile: '/x/pg_hba.conf',
  identFile: '/x/pg_ident.conf',
  preload: '',
  recovery: [],
};

function valuesOf(settings: Partial<PrivateSettings>): Map<string, string> {
  const { entries, errors } = parseConf(privateConf({ ...base, ...settings }));
  expect(errors).toEqual([]);
  return new Map(entries.map(({ name, value }) => [name, value]));
}

describe('the configuration of a private server', () => {
  it('lets nobody in from outside, and nothing out', () => {
    expect(Object.fromEntries(valuesOf({}))).toMatchObject({
      listen_addresses: '',
      unix_socket_directories: '/var/tmp/it’s/sockets',
      unix_socket_permissions: '0700',
      archive_mode: 'off',
      primary_conninfo: '',
      max_logical_replication_workers: '0',
      shared_preload_libraries: '',
      autovacuum: 'off',
    });
  });

  it('has the five settings of replay at least as recorded, and enough of its own', () => {
    const small = {
      maxConnections: 1,
      maxWorkerProcesses: 0,
      maxWalSenders: 0,
      maxPreparedXacts: 0,
      maxLocksPerXact: 10,
    };
    const five = (values: Map<string, string>): (string | undefined)[] =>
      ['max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions']
        .concat('max_locks_per_transaction')
        .map((name) => values.get(name));
    expect(five(valuesOf({}))).toEqual(['500', '16', '12', '300', '128']);
    expect(five(valuesOf({ recorded: small }))).toEqual(['30', '0', '0', '200', '10']);
  });

  it('has only what the major version knows', () => {
    const known = (major: number): boolean[] => {
      const values = valuesOf({ major });
      return ['event_triggers', 'max_active_replication_origins'].map((name) => values.has(name));
    };
    expect([13, 16, 17, 18].map(known)).toEqual([
      [false, false],
      [false, false],
      [true, false],
      [true, true],
    ]);
  });

  it('loads libraries when asked', () => {
    expect(valuesOf({ preload: 'timescaledb' }).get('shared_preload_libraries')).toBe('timescaledb');
  });
});

describe('the settings of a recovery', () => {
  it('are all that is taken over, the last of each', () => {
    const autoConf = `
      archive_command = 'cp %p /elsewhere'
      shared_preload_libraries = 'hostile'
      restore_command = 'old'
      primary_conninfo = 'host=primary'
      recovery_end_command = 'rm -r /'
      archive_cleanup_command = 'rm -r /'
      recovery_target_name = ''
      restore_command = 'walhold-fetch %f %p'
      recovery_target_timeline = '1'
      recovery_target_action = 'promote'
      recovery_prefetch = 'off'
      recovery_target_time = '2026-11-22 17:45:00+00'
    `;
    expect(recoverySettings(autoConf)).toEqual([
      ['restore_command', 'walhold-fetch %f %p'],
      ['recovery_target_timeline', '1'],
      ['recovery_target_action', 'promote'],
      ['recovery_prefetch', 'off'],
      ['recovery_target_time', '2026-11-22 17:45:00+00'],
    ]);
  });
});

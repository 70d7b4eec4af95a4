import { describe, expect, it } from 'vitest';
import { recoveryConf, signalFile, type RecoveryConf } from '../../../../src/commands/restore/recovery-conf.ts';
import { parseConf } from '../../../../src/postgres/conf-file.ts';
import { at } from '../../../support/wal-inventory.ts';

const TO_END: RecoveryConf = {
  target: { kind: 'end' },
  exclusive: false,
  action: 'pause',
  timeline: '3',
  restoreCommand: `/opt/it's/walhold-fetch %f %p`,
  standby: false,
  archiveOff: false,
  prefetchOff: false,
  invalidPagesIgnored: false,
};

/** What a server makes of the two files together. */
function effective(autoConf: string): Record<string, string> {
  const { entries, errors } = parseConf(autoConf);
  expect(errors).toEqual([]);
  return Object.fromEntries(entries.map(({ name, value }) => [name, value]));
}

describe('postgresql.auto.conf of a recovery', () => {
  const targets: [string, Partial<RecoveryConf>, Record<string, string>][] = [
    ['the end', {}, {}],
    [
      'an LSN in front of a hole',
      { target: { kind: 'lsn', lsn: at('16/B374D848') }, prefetchOff: true },
      {
        recovery_prefetch: 'off',
        recovery_target_lsn: '16/B374D848',
        recovery_target_action: 'pause',
        recovery_target_inclusive: 'on',
      },
    ],
    [
      'a time',
      { target: { kind: 'time', time: { unixMicros: 1_795_366_800_123_456n, offsetMinutes: 60 } } },
      {
        recovery_target_time: '2026-11-22 18:00:00.123456+01:00',
        recovery_target_action: 'pause',
        recovery_target_inclusive: 'on',
      },
    ],
    [
      'an LSN',
      { target: { kind: 'lsn', lsn: at('16/B374D848') }, exclusive: true },
      { recovery_target_lsn: '16/B374D848', recovery_target_action: 'pause', recovery_target_inclusive: 'off' },
    ],
    [
      'a transaction',
      { target: { kind: 'xid', xid: '750' }, action: 'promote' },
      { recovery_target_xid: '750', recovery_target_action: 'promote', recovery_target_inclusive: 'on' },
    ],
    [
      'a name',
      { target: { kind: 'name', name: `before 'it'` } },
      { recovery_target_name: `before 'it'`, recovery_target_action: 'pause', recovery_target_inclusive: 'on' },
    ],
    [
      'consistency',
      { target: { kind: 'immediate' } },
      { recovery_target: 'immediate', recovery_target_action: 'pause', recovery_target_inclusive: 'on' },
    ],
  ];
  it.each(targets)('names %s', (_, conf, expected) => {
    expect(effective(recoveryConf({ ...TO_END, ...conf }, '', ''))).toEqual({
      restore_command: `/opt/it's/walhold-fetch %f %p`,
      recovery_target_timeline: '3',
      ...expected,
    });
  });

  it('keeps what has nothing to do with recovery, comments too', () => {
    const old =
      "# by hand\nwork_mem = '4MB'\nrecovery_target_time = 'x'\nrestore_command='y'\narchive_cleanup_command = 'rm'\nprimary_slot_name = 's'\nprimary_conninfo = 'host=a'\nshared_buffers = '1GB'";
    const text = recoveryConf(TO_END, old, '');
    expect(text.split('\n').slice(0, 4)).toEqual([
      '# by hand',
      "work_mem = '4MB'",
      "shared_buffers = '1GB'",
      '# written by walhold restore',
    ]);
    expect(Object.keys(effective(text))).toEqual([
      'work_mem',
      'shared_buffers',
      'restore_command',
      'recovery_target_timeline',
    ]);
  });

  it('leaves a standby the address of its primary', () => {
    const text = recoveryConf({ ...TO_END, standby: true }, "primary_conninfo = 'host=a'\n", '');
    expect(effective(text)).toMatchObject({ primary_conninfo: 'host=a' });
  });

  it('turns archiving off only where told', () => {
    expect(effective(recoveryConf({ ...TO_END, archiveOff: true }, "archive_mode = 'on'\n", ''))).toMatchObject({
      archive_mode: 'off',
    });
    expect(effective(recoveryConf(TO_END, '', ''))).not.toHaveProperty('archive_mode');
  });

  it('overrules the targets of postgresql.conf, before it names its own', () => {
    const main = "recovery_target_xid = '7'\nrecovery_target_lsn = '0/1'\nport = 5432\n";
    const names = parseConf(recoveryConf({ ...TO_END, target: { kind: 'lsn', lsn: at('0/2') } }, '', main)).entries.map(
      ({ name }) => name,
    );
    expect(names).toEqual([
      'recovery_target_xid',
      'restore_command',
      'recovery_target_timeline',
      'recovery_target_action',
      'recovery_target_inclusive',
      'recovery_target_lsn',
    ]);
  });

  it('goes with the signal file that belongs to it', () => {
    expect(signalFile({ standby: false })).toBe('recovery.signal');
    expect(signalFile({ standby: true })).toBe('standby.signal');
  });
});

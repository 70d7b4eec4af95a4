import { describe, expect, it } from 'vitest';
import { parseBackupLabel } from '../../../src/postgres/backup-label.ts';
import { parseControlFile } from '../../../src/postgres/control-file.ts';
import { lsn } from '../../../src/postgres/lsn.ts';
import { replayedControl, resumedLabel } from '../../../src/postgres/resumed-backup.ts';
import { timelineId } from '../../../src/postgres/timeline.ts';
import { ALL_MAJORS, fixture } from '../../support/postgres-fixture.ts';

const START = {
  startLsn: lsn(0x2_0000_0028n),
  startSegment: '000000010000000200000000',
  checkpointLsn: lsn(0x2_0000_0060n),
};

describe.each(ALL_MAJORS)('what a resumed backup of PostgreSQL %i says of itself', (major) => {
  it('is a label with the first start, as of a standby, and all else as it was', () => {
    const label = fixture(major, 'backup_label');
    const before = parseBackupLabel(label.toString('utf8'));
    const after = parseBackupLabel(resumedLabel(label, START).toString('utf8'));
    expect(after).toEqual({ ...before, ...START, from: 'standby' });
  });

  it('is a control file whose replay must come to the end, and all else as it was', () => {
    const before = parseControlFile(fixture(major, 'pg_control'));
    const end = { lsn: lsn(0x3_0000_0100n), timeline: timelineId(1) };
    const after = parseControlFile(replayedControl(fixture(major, 'pg_control'), end));
    if (!before.ok || !after.ok) throw new Error('the file cannot be read');
    expect(after.control).toEqual({
      ...before.control,
      state: 'in archive recovery',
      minRecoveryPoint: end.lsn,
      minRecoveryPointTimeline: 1,
      backupStartPoint: 0n,
      backupEndRequired: false,
    });
  });
});

describe('a label of a resumed backup', () => {
  it('keeps the bytes of its text, whatever their encoding', () => {
    const [before = '', after = ''] = fixture(15, 'backup_label')
      .toString('latin1')
      .split(/(?<=LABEL: ).*/);
    const label = Buffer.from(`${before}\u00e9 BACKUP FROM: here${after}`, 'latin1');
    expect(resumedLabel(label, START).toString('latin1')).toContain('LABEL: \u00e9 BACKUP FROM: here\n');
  });

  it('is not made of one that lacks a line', () => {
    const label = Buffer.from(
      fixture(15, 'backup_label')
        .toString()
        .replace(/^CHECKPOINT LOCATION.*\n/m, ''),
    );
    expect(() => resumedLabel(label, START)).toThrow("the server's backup label has no line CHECKPOINT LOCATION");
  });
});
